//! Plans for the unit tests of this crate.

use super::Plan;
use super::draft::{Cpus, Draft};
use super::load::{Load, Spec};
use crate::plan::backend::Engine;
use crate::population::nodes::{PushNode, Targets};

/// A plan for nodes on these ports of 127.0.0.1 and one core; the first takes the pushes.
pub(crate) fn plan(ports: &[u16], change: impl FnOnce(&mut Spec)) -> Plan {
    plan_pushing_to(0, ports, change)
}

/// The same where the node at `push_node` takes the pushes.
pub(crate) fn plan_pushing_to(
    push_node: usize,
    ports: &[u16],
    change: impl FnOnce(&mut Spec),
) -> Plan {
    plan_of(push_node, &[0], ports, change)
}

/// The same on these cores.
pub(crate) fn plan_of(
    push_node: usize,
    cores: &[usize],
    ports: &[u16],
    change: impl FnOnce(&mut Spec),
) -> Plan {
    let draft = draft(push_node, ports, cores, change);
    draft.from_kernels_choice().plan(u64::MAX, Cpus::Own).unwrap()
}

/// What one of them is made of.
pub(crate) fn draft(
    push_node: usize,
    ports: &[u16],
    cores: &[usize],
    change: impl FnOnce(&mut Spec),
) -> Draft {
    let mut spec = Spec::default();
    change(&mut spec);
    let url = |port| format!("ws://127.0.0.1:{port}/").parse().unwrap();
    let urls: Vec<_> = ports.iter().map(url).collect();
    let no_names = |_: &str, _: u16| unreachable!("addresses only");
    let targets =
        Targets::new(&urls, &PushNode::Index(push_node), &no_names, &mut Vec::new()).unwrap();
    Draft::new(Load::new(spec).unwrap(), targets, cores.to_vec(), Engine::IoUring).unwrap()
}

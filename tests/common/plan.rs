//! Plans for tests and benches, made in the way of the command line: from a `Spec` with its defaults
//! and the URLs of nodes. What a test does not name it does not depend on.

use fanstorm::engine::ring::uring;
use fanstorm::plan::Plan;
use fanstorm::plan::backend::Engine;
use fanstorm::plan::draft::{Cpus, Draft};
use fanstorm::plan::load::{Load, Spec};
use fanstorm::population::nodes::{PushNode, Targets};

/// A plan for one worker on CPU 0, over io_uring where this host grants it; the first node takes the pushes.
pub(crate) fn plan<U: AsRef<str>>(nodes: &[U], spec: Spec) -> Plan {
    let urls: Vec<_> =
        nodes.iter().map(|url| url.as_ref().parse().expect("a node's URL")).collect();
    let no_names = |_: &str, _: u16| unreachable!("addresses only");
    let targets = Targets::new(&urls, &PushNode::First, &no_names, &mut Vec::new());
    let load = Load::new(spec).expect("a load that can be run");
    let engine = if uring::probe().is_ok() { Engine::IoUring } else { Engine::Epoll };
    let draft = Draft::new(load, targets.expect("nodes"), vec![0], engine).expect("a draft");
    draft.from_kernels_choice().plan(u64::MAX, Cpus::Own).expect("a plan")
}

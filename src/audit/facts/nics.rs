//! Network cards: queues, speed, who serves their interrupts.
//!
//! Belongs here: devices of the network namespace that we run in, as /proc/net/dev lists them (/sys
//! may still show those of another). Does not: loopback and virtual devices, which have no queues
//! that could be spread over CPUs.

use crate::audit::facts::files::Files;
use crate::audit::facts::offloads;
use crate::audit::facts::offloads::Offloads;

/// A network card that is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nic {
    /// `eth0`.
    pub name: String,
    /// Queues for what comes in.
    pub receive_queues: usize,
    /// Queues for what goes out.
    pub send_queues: usize,
    /// Megabits a second; unknown in most virtual machines.
    pub speed_mbit: Option<u64>,
    /// Software spreads what comes in over CPUs (RPS).
    pub spreads: bool,
    /// CPUs that serve its interrupts, sorted; empty where /proc does not say.
    pub interrupt_cpus: Vec<usize>,
    /// What it does by itself; unknown where the kernel does not say.
    pub offloads: Option<Offloads>,
    /// The default route leaves through it.
    pub default_route: bool,
}

pub(super) fn read(files: &Files<'_>) -> Vec<Nic> {
    let devices = files.text("proc/net/dev").unwrap_or_default();
    let names = devices.lines().filter_map(|line| line.split_once(':'));
    let names = names.map(|(name, _)| name.trim());
    let routes = files.text("proc/net/route").unwrap_or_default();
    names.filter_map(|name| nic(files, name, &routes)).collect()
}

fn nic(files: &Files<'_>, name: &str, routes: &str) -> Option<Nic> {
    let folder = format!("sys/class/net/{name}");
    let up = files.text(&format!("{folder}/operstate"))? != "down";
    if !up || !files.exists(&format!("{folder}/device")) {
        return None;
    }
    let queues = files.names(&format!("{folder}/queues"));
    let count = |prefix| queues.iter().filter(|queue| queue.starts_with(prefix)).count();
    let spreads = |queue: &String| {
        let mask = files.text(&format!("{folder}/queues/{queue}/rps_cpus"));
        mask.is_some_and(|mask| mask.chars().any(|c| !matches!(c, '0' | ',')))
    };
    Some(Nic {
        name: name.to_owned(),
        receive_queues: count("rx-"),
        send_queues: count("tx-"),
        // -1 where the driver does not know.
        speed_mbit: files.text(&format!("{folder}/speed")).and_then(|speed| speed.parse().ok()),
        spreads: queues.iter().any(spreads),
        interrupt_cpus: interrupt_cpus(files, &folder),
        // No file of a kernel's: a recorded host has the words of `ethtool -k` here.
        offloads: files.text(&format!("ethtool/{name}")).map(|text| offloads::of_record(&text)),
        default_route: routes.lines().any(|line| is_default(line, name)),
    })
}

/// `eth0 00000000 0100A8C0 …` (/proc/net/route): destination 0.
fn is_default(line: &str, name: &str) -> bool {
    let mut fields = line.split_whitespace();
    fields.next() == Some(name) && fields.next() == Some("00000000")
}

fn interrupt_cpus(files: &Files<'_>, folder: &str) -> Vec<usize> {
    // A virtio device is a child of the PCI device that has the interrupts.
    let folders = [format!("{folder}/device/msi_irqs"), format!("{folder}/device/../msi_irqs")];
    let numbers = folders.iter().map(|folder| files.names(folder)).find(|irqs| !irqs.is_empty());
    let cpus = |irq: String| files.list(&format!("proc/irq/{irq}/effective_affinity_list"));
    let mut cpus: Vec<_> =
        numbers.unwrap_or_default().into_iter().filter_map(cpus).flatten().collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

#[cfg(test)]
mod tests {
    use crate::audit::facts::nics::*;

    #[test]
    fn only_the_line_to_everywhere_is_the_default_route() {
        let route = "Iface\tDestination\tGateway\neth0\t00000000\t0100A8C0\neth1\t0000A8C0\t0\n";
        let default = |name| route.lines().any(|line| is_default(line, name));
        assert!(default("eth0") && !default("eth1") && !default("eth"));
    }
}

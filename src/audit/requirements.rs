//! What a plan asks of the host, in numbers.
//!
//! Belongs here: plain figures and sums of them. Does not: where they come from (`cli` fills them from
//! a plan), what follows from them (`rules`).

use crate::host::limits;
use crate::host::socket_cost;
use crate::units::Bytes;

/// A stall of the cluster's or of ours that the kernel's queues should hold without loss: a tenth of
/// a second is a missed scheduling period of a container (`cpu.cfs_period_us`).
const STALL_S: f64 = 0.1;

/// Where the cluster is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Child processes of ours, on this host.
    Embedded,
    /// Somebody else's, on this host.
    Loopback,
    /// Behind a network card.
    #[default]
    Elsewhere,
}

impl Place {
    /// Both ends of every connection are on this host.
    pub const fn is_here(self) -> bool {
        matches!(self, Self::Embedded | Self::Loopback)
    }
}

/// Whether the plan stands on io_uring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UringDemand {
    /// Not at all.
    Unused,
    /// It goes on without where nobody can have it on the spot.
    #[default]
    Preferred,
    /// It does not run without.
    Required,
}

/// Handshakes of TLS that a plan's connects ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Handshakes {
    /// Sockets to `wss://` nodes.
    pub sockets: u64,
    /// Sessions are resumed after the first of each worker.
    pub resumes: bool,
    /// Of them so many may begin in a second, where that was said.
    pub asked_per_s: Option<f64>,
}

/// The plan in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanRequirements {
    /// Descriptors, ports and memory: what stops a run.
    pub limits: limits::ResourceDemand,
    /// How many nodes.
    pub nodes: u64,
    /// Where they are.
    pub place: Place,
    /// Ports that nodes on this host listen on, where they are known.
    pub node_ports: Vec<u16>,
    /// Addresses that our sockets come from, at least 1.
    pub source_addresses: u64,
    /// Sockets that push.
    pub push_sockets: u64,
    /// Messages of the largest trial.
    pub messages: u64,
    /// Copies of each message that must come back.
    pub copies_per_message: u64,
    /// Bytes of one copy on the wire, without headers of TCP and below.
    pub copy_bytes: u64,
    /// Messages a second, in an open loop.
    pub rate_per_s: Option<f64>,
    /// Messages that may be under way at once, where something bounds them: a closed loop's windows.
    pub window: Option<u64>,
    /// Connects to one node that may be under way at once.
    pub connects_at_once: u64,
    /// Handshakes of TLS, where a node wants any.
    pub handshakes: Option<Handshakes>,
    /// CPUs that carry a worker.
    pub workers: Vec<usize>,
    /// Whether the plan stands on io_uring.
    pub io_uring: UringDemand,
}

impl PlanRequirements {
    /// Sockets of the plan.
    pub const fn sockets(&self) -> u64 {
        self.limits.sockets
    }

    /// Sockets from one source address to the busiest node: what shares one range of ports.
    pub const fn sockets_per_source(&self) -> u64 {
        let sources = if self.source_addresses == 0 { 1 } else { self.source_addresses };
        self.limits.sockets_to_busiest.div_ceil(sources)
    }

    /// Messages that may be under way at once: all of a burst, the windows of a closed loop, what an
    /// open loop sends during a stall.
    pub fn outstanding(&self) -> u64 {
        let during_stall = self.rate_per_s.map(|rate| (rate * STALL_S).ceil() as u64);
        let bound = self.window.or(during_stall).unwrap_or(u64::MAX);
        self.messages.min(bound.max(1))
    }

    /// Bytes that the outstanding copies occupy in the queues of one socket, with the kernel's own
    /// rounding.
    pub fn queued_per_socket(&self) -> Bytes {
        Bytes(self.outstanding().saturating_mul(socket_cost::queued(self.copy_bytes).0))
    }

    /// Copies a second, in an open loop.
    pub fn copies_per_s(&self) -> Option<f64> {
        self.rate_per_s.map(|rate| rate * self.copies_per_message as f64)
    }

    /// Bits a second on the line towards us, headers included, one packet for each copy.
    pub fn line_bits_per_s(&self) -> Option<f64> {
        let bytes = self.copy_bytes + socket_cost::WIRE_OVERHEAD.0;
        self.copies_per_s().map(|copies| copies * bytes as f64 * 8.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::requirements::*;

    fn need(messages: u64) -> PlanRequirements {
        PlanRequirements {
            messages,
            copies_per_message: 10,
            copy_bytes: 110,
            ..PlanRequirements::default()
        }
    }

    #[test]
    fn what_may_be_under_way_is_bounded_by_the_shape_of_the_load() {
        assert_eq!(need(8_000).outstanding(), 8_000, "a burst sends everything");
        let open = PlanRequirements { rate_per_s: Some(500.0), ..need(8_000) };
        assert_eq!(open.outstanding(), 50, "a tenth of a second's messages");
        assert_eq!(PlanRequirements { rate_per_s: Some(0.5), ..need(8_000) }.outstanding(), 1);
        assert_eq!(PlanRequirements { window: Some(48), ..need(8_000) }.outstanding(), 48);
        assert_eq!(PlanRequirements { window: Some(48), ..need(10) }.outstanding(), 10);
    }

    #[test]
    fn sources_share_the_sockets_of_the_busiest_node() {
        let limits = limits::ResourceDemand {
            sockets_to_busiest: 100_001,
            ..limits::ResourceDemand::default()
        };
        let need = PlanRequirements { limits, source_addresses: 4, ..PlanRequirements::default() };
        assert_eq!(need.sockets_per_source(), 25_001);
        assert_eq!(PlanRequirements { source_addresses: 0, ..need }.sockets_per_source(), 100_001);
    }

    #[test]
    fn a_line_carries_a_packet_for_each_copy() {
        let need = PlanRequirements { rate_per_s: Some(1e3), ..need(1) };
        assert_eq!(need.line_bits_per_s(), Some(1e4 * 200.0 * 8.0));
    }
}

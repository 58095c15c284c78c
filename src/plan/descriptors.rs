//! Where the sockets' descriptors live, and how many rings that takes.
//!
//! Belongs here: the arithmetic. Does not: the limit itself (`host::limits`), the rings' tables
//! (`engine::ring`).
//!
//! Every socket takes a place in the process's table, which `RLIMIT_NOFILE` bounds. A socket that
//! lives in the table of an io_uring (a direct descriptor) takes none; such a table has at most
//! `RLIMIT_NOFILE` places too, but that counts for each ring anew (`io_sqe_files_register`). So where
//! the limit cannot be raised, more rings hold more sockets: several for each worker, which drives them
//! all.

use super::Plan;
use crate::plan::backend::Engine;
use crate::plan::connect_options::Descriptors;

/// The largest table of a ring (`IORING_MAX_FIXED_FILES`).
const TABLE_MAX: u64 = 1 << 20;

/// Beside the sockets: what a process holds anyway.
const OWN: u64 = 64;

/// Why descriptors cannot live where they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// epoll knows no tables of rings.
    #[error("--descriptors direct: only io_uring has tables of its own, and the workers use epoll")]
    NoRings,
}

impl Plan {
    /// The same plan with its descriptors placed, where a process may open `limit` files.
    ///
    /// # Errors
    /// See [`DescriptorError`].
    pub fn within_descriptors(self, limit: u64) -> Result<Self, DescriptorError> {
        let rings_each = self.rings_for(limit);
        // Where not even the rings fit, their tables are no way out: the limit is to be raised.
        let bells = if rings_each > 1 { 1 } else { 0 };
        let rings = (self.workers() as u64).saturating_mul(rings_each.saturating_add(bells));
        let helps = OWN.saturating_add(rings) <= limit;
        let fits = self.sockets().saturating_add(OWN) <= limit || !helps;
        match (self.dialing.descriptors, self.engine) {
            (Descriptors::Direct, Engine::Epoll) => Err(DescriptorError::NoRings),
            (Descriptors::Direct, Engine::IoUring) => Ok(self.in_rings(rings_each)),
            (Descriptors::Auto, Engine::IoUring) if !fits => Ok(self.in_rings(rings_each)),
            (Descriptors::Auto | Descriptors::Process, _) => Ok(self),
        }
    }

    /// Rings that the worker with most sockets needs.
    fn rings_for(&self, limit: u64) -> u64 {
        // `engine::spread` deals sockets evenly: no worker has more than this.
        let busiest = self.sockets().div_ceil(self.workers() as u64);
        busiest.div_ceil(limit.clamp(1, TABLE_MAX)).max(1)
    }

    fn in_rings(self, each: u64) -> Self {
        Self { direct: true, rings_each: usize::try_from(each).unwrap_or(usize::MAX), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn plan(nodes: u16, receivers: u32, cores: usize, descriptors: Descriptors) -> Plan {
        let ports: Vec<u16> = (1..=nodes).collect();
        let plan = fixture::plan(&ports, |spec| {
            spec.receivers_per_node = Some(receivers);
            spec.dialing.descriptors = descriptors;
        });
        Plan { cores: (0..cores).collect(), ..plan }
    }

    fn placed(plan: Plan, limit: u64) -> (bool, usize) {
        let plan = plan.within_descriptors(limit).unwrap();
        (plan.direct, plan.rings_each)
    }

    #[test]
    fn sockets_that_fit_the_process_stay_there_unless_told_otherwise() {
        assert_eq!(placed(plan(1, 19_933, 1, Descriptors::Auto), 20_000), (false, 1));
        assert_eq!(placed(plan(1, 19_933, 1, Descriptors::Direct), 20_000), (true, 1));
        assert_eq!(placed(plan(1, 50_000, 1, Descriptors::Process), 20_000), (false, 1));
        assert_eq!(placed(plan(1, 198, 1, Descriptors::Auto), 50), (false, 1), "no room for rings");
    }

    #[test]
    fn each_ring_holds_as_many_as_the_limit_and_more_rings_hold_more() {
        let auto = |nodes, receivers, cores| plan(nodes, receivers, cores, Descriptors::Auto);
        assert_eq!(placed(auto(1, 19_934, 1), 20_000), (true, 1), "19 937 in one table of 20 000");
        assert_eq!(placed(auto(11, 18_182, 1), 20_000), (true, 11));
        assert_eq!(placed(auto(11, 18_182, 2), 20_000), (true, 6));
        assert_eq!(placed(auto(1, 3_000_000, 1), u64::MAX - 64), (false, 1));
        for (sockets, cores) in [(200_005_u64, 1_usize), (200_005, 3), (1_000_000, 7)] {
            let plan = auto(1, sockets as u32 - 3, cores).within_descriptors(20_000).unwrap();
            assert!(sockets.div_ceil(plan.rings() as u64) <= 20_000, "no table overflows");
        }
    }

    /// 13 workers of 1000 sockets under a limit of 100: 10 rings and a bell each are 143 descriptors.
    #[test]
    fn tables_of_rings_are_no_way_out_where_rings_and_bells_do_not_fit_themselves() {
        let workers = |limit| placed(plan(1, 12_997, 13, Descriptors::Auto), limit);
        assert_eq!(workers(100), (false, 1), "the limit is to be raised");
        assert_eq!(workers(166), (false, 1), "7 rings and a bell each: 104 + 64");
        assert_eq!(workers(167), (true, 6), "6 rings and a bell each: 91 + 64");
        assert_eq!(plan(1, 12_997, 13, Descriptors::Auto).bells(), 0, "one ring needs none");
    }

    #[test]
    fn what_cannot_be_is_said_with_the_figures() {
        let epoll = Plan { engine: Engine::Epoll, ..plan(1, 1, 1, Descriptors::Direct) };
        assert_eq!(epoll.within_descriptors(20_000).unwrap_err(), DescriptorError::NoRings);
    }
}

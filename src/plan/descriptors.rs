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

/// The rings of each worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    /// How many: 1, unless a ring's table of descriptors is too small for the worker's sockets.
    pub each: usize,
    /// Sockets live in the rings' tables of descriptors, not in the process's.
    pub direct: bool,
}

impl Rings {
    /// Those that hold the descriptors of `sockets` over `workers` where a process may open `limit` files.
    ///
    /// # Errors
    /// See [`DescriptorError`].
    pub fn within(
        limit: u64,
        asked: Descriptors,
        engine: Engine,
        sockets: u64,
        workers: usize,
    ) -> Result<Self, DescriptorError> {
        let each = rings_for(limit, sockets, workers as u64);
        // Where not even the rings fit, their tables are no way out: the limit is to be raised.
        let bells = if each > 1 { 1 } else { 0 };
        let rings = (workers as u64).saturating_mul(each.saturating_add(bells));
        let helps = OWN.saturating_add(rings) <= limit;
        let fits = sockets.saturating_add(OWN) <= limit || !helps;
        let process = Self { each: 1, direct: false };
        let direct = Self { each: usize::try_from(each).unwrap_or(usize::MAX), direct: true };
        match (asked, engine) {
            (Descriptors::Direct, Engine::Epoll) => Err(DescriptorError::NoRings),
            (Descriptors::Direct, Engine::IoUring) => Ok(direct),
            (Descriptors::Auto, Engine::IoUring) if !fits => Ok(direct),
            (Descriptors::Auto | Descriptors::Process, _) => Ok(process),
        }
    }
}

/// Rings that the worker with most sockets needs.
fn rings_for(limit: u64, sockets: u64, workers: u64) -> u64 {
    // `engine::spread` deals sockets evenly: no worker has more than this.
    let busiest = sockets.div_ceil(workers);
    busiest.div_ceil(limit.clamp(1, TABLE_MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sockets, workers, and what was asked for.
    type Case = (u64, usize, Descriptors);

    /// `nodes` with so many receivers each, and three push sockets.
    fn case(nodes: u64, receivers: u64, workers: usize, descriptors: Descriptors) -> Case {
        (nodes * receivers + 3, workers, descriptors)
    }

    fn placed((sockets, workers, asked): Case, limit: u64) -> (bool, usize) {
        let Rings { each, direct } =
            Rings::within(limit, asked, Engine::IoUring, sockets, workers).unwrap();
        (direct, each)
    }

    #[test]
    fn sockets_that_fit_the_process_stay_there_unless_told_otherwise() {
        assert_eq!(placed(case(1, 19_933, 1, Descriptors::Auto), 20_000), (false, 1));
        assert_eq!(placed(case(1, 19_933, 1, Descriptors::Direct), 20_000), (true, 1));
        assert_eq!(placed(case(1, 50_000, 1, Descriptors::Process), 20_000), (false, 1));
        assert_eq!(placed(case(1, 198, 1, Descriptors::Auto), 50), (false, 1), "no room for rings");
    }

    #[test]
    fn each_ring_holds_as_many_as_the_limit_and_more_rings_hold_more() {
        let auto = |nodes, receivers, cores| case(nodes, receivers, cores, Descriptors::Auto);
        assert_eq!(placed(auto(1, 19_934, 1), 20_000), (true, 1), "19 937 in one table of 20 000");
        assert_eq!(placed(auto(11, 18_182, 1), 20_000), (true, 11));
        assert_eq!(placed(auto(11, 18_182, 2), 20_000), (true, 6));
        assert_eq!(placed(auto(1, 3_000_000, 1), u64::MAX - 64), (false, 1));
        for (sockets, cores) in [(200_005_u64, 1_usize), (200_005, 3), (1_000_000, 7)] {
            let (_, each) = placed(auto(1, sockets - 3, cores), 20_000);
            assert!(sockets.div_ceil((cores * each) as u64) <= 20_000, "no table overflows");
        }
    }

    /// 13 workers of 1000 sockets under a limit of 100: 10 rings and a bell each are 143 descriptors.
    #[test]
    fn tables_of_rings_are_no_way_out_where_rings_and_bells_do_not_fit_themselves() {
        let workers = |limit| placed(case(1, 12_997, 13, Descriptors::Auto), limit);
        assert_eq!(workers(100), (false, 1), "the limit is to be raised");
        assert_eq!(workers(166), (false, 1), "7 rings and a bell each: 104 + 64");
        assert_eq!(workers(167), (true, 6), "6 rings and a bell each: 91 + 64");
    }

    #[test]
    fn what_cannot_be_is_said_with_the_figures() {
        let epoll = Rings::within(20_000, Descriptors::Direct, Engine::Epoll, 4, 1);
        assert_eq!(epoll, Err(DescriptorError::NoRings));
    }
}

//! How far a trial can be trusted: whether its numbers describe the cluster or the generator.
//!
//! Belongs here: one pure rule per caveat, from facts that others gathered. Does not: gathering them
//! (`host::facts`, the worker), nor what the *cluster* did wrong: a missing copy is a result, not a
//! caveat.
//!
//! A new rule is a function in one of the files here and an entry in the `RULES` above it. `generator`: our
//! workers and their stamps; `schedule`: being in time; `cpus`: CPU time and settings of the host; `drops`:
//! its network stack; here and in `baseline`: what the trial is held against.
//! `docs/verdict.md` is made from these entries.

pub mod baseline;
mod cpus;
mod drops;
mod facts;
mod generator;
mod judged;
mod kind;
pub mod objective;
mod schedule;

pub use self::facts::{Beside, Evidence, Kind, Surroundings};
use self::facts::{DEGRADED, Grounds, Rule, degraded};
pub use self::judged::{Caveat, Judged, Trust};
pub use self::schedule::RATE_NOT_REACHED;
use crate::units::Count;

/// Rules about what the trial was to be, and what it is held against.
const RULES: &[Rule] = &[
    Rule {
        kind: Kind {
            code: "sockets-left-out",
            severities: DEGRADED,
            meaning: "Sockets could not be connected, and --min-connected allowed that: nothing is expected of them.",
        },
        judge: sockets_left_out,
    },
    Rule { kind: baseline::NEAR_OWN_FLOOR, judge: near_own_floor },
];

/// Every kind of caveat that a result can hold.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    rules().map(|rule| &rule.kind)
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    [generator::RULES, schedule::RULES, cpus::RULES, drops::RULES, RULES].into_iter().flatten()
}

/// What a trial without some of its sockets is not: the load that was planned.
fn sockets_left_out(facts: &Evidence<'_>) -> Option<Grounds> {
    let failed = facts.connecting.failed();
    (failed > 0).then(|| {
        let text = format!(
            "{} of {} sockets could not be connected and are left out of what is expected \
             (--min-connected {})",
            Count(failed),
            Count(facts.connecting.sockets),
            facts.least
        );
        degraded(text, "see the reasons beside the connections")
    })
}

fn near_own_floor(facts: &Evidence<'_>) -> Option<Grounds> {
    facts.baseline?.near(facts.outcome)
}

/// The caveats of a trial, worst first. There is no other way to one.
pub fn judge(facts: &Evidence<'_>) -> Vec<Caveat> {
    let found = |rule: &Rule| Some(rule.kind.caveat((rule.judge)(facts)?));
    let mut caveats: Vec<Caveat> = rules().filter_map(found).collect();
    caveats.sort_by_key(|caveat| std::cmp::Reverse(caveat.severity));
    caveats
}

#[cfg(test)]
mod tests {
    use std::iter;

    use proptest::prelude::*;

    use crate::audit::Shortfall;
    use crate::host::facts::{CpuTicks, HostCounters, SchedTime, TCP_DROPS, Throttle};
    use crate::load::inter_arrival::InterArrival;
    use crate::load::profile::{FixedRate, Profile};
    use crate::measure::connecting::Connecting;
    use crate::measure::outcome::{Class, CoreUse, TrialOutcome, Untaught};
    use crate::plan::connect_options::MinConnected;
    use crate::units::{Nanos, Rate};
    use crate::verdict::baseline::Baseline;
    use crate::verdict::*;

    /// A trial of 200 ms on CPU 1 with a p99 of 990 µs, and a host that did nothing to it.
    #[derive(Clone)]
    struct Case {
        run: TrialOutcome,
        before: HostCounters,
        after: HostCounters,
        profile: Profile,
        connecting: Connecting,
        baseline: Option<Baseline>,
        surroundings: Surroundings,
    }

    type Change = fn(&mut Case);

    fn at(per_s: f64) -> Profile {
        let arrivals = InterArrival::Constant;
        FixedRate { rate: Rate::per_second(per_s), arrivals }.into()
    }

    /// The pressure had begun before the trial, so that its counter stayed as it was.
    fn pruned_under_pressure(case: &mut Case) {
        case.before.tcp_pressed = Some(true);
        case.after.tcp_drops.as_mut().unwrap()[5] += 1;
    }

    fn quiet() -> Case {
        let ns = (1..=1_000).map(Nanos::from_micros).collect();
        let core = CoreUse {
            cpu: 1,
            cpu_time: Nanos::from_millis(100),
            wall: Nanos::from_millis(200),
            longest_turn: Nanos::from_micros(900),
            ..CoreUse::default()
        };
        let run = TrialOutcome {
            messages: 1_000,
            sent: 1_000,
            send_time: Some(Nanos::from_millis(1)),
            receive_time: Some(Nanos::from_millis(170)),
            latency_ns: vec![(Class::Service, ns)],
            cores: vec![CoreUse { cpu: 0, ..CoreUse::default() }, core],
            ..TrialOutcome::nothing()
        };
        let ticks = |steal, total| CpuTicks { steal, total };
        let before = HostCounters {
            cpu_all: Some(ticks(50, 10_000)),
            cpu_each: vec![(0, ticks(10, 5_000)), (1, ticks(40, 5_000))],
            throttle: Some(Throttle { periods: 7, time: Nanos::from_millis(70) }),
            sched: Some(SchedTime {
                running: Nanos::from_millis(400),
                waiting: Nanos::from_millis(90),
            }),
            process_cpu: None,
            tcp_drops: Some([9; TCP_DROPS.len()]),
            tcp_pressed: Some(false),
            softnet_dropped: Some(5),
        };
        let mut after = before.clone();
        after.cpu_all = Some(ticks(50, 12_000));
        after.cpu_each = vec![(0, ticks(10, 6_000)), (1, ticks(40, 6_000))];
        after.sched =
            Some(SchedTime { running: Nanos::from_millis(500), waiting: Nanos::from_millis(91) });
        Case {
            run,
            before,
            after,
            profile: Profile::default(),
            connecting: Connecting { sockets: 6, connected: 6, ..Connecting::default() },
            baseline: None,
            surroundings: Surroundings { cpus_allowed: Some(2), ..Surroundings::default() },
        }
    }

    /// 1000 messages a second, each noticed so late.
    fn lagging(case: &mut Case, lag_us: u64) {
        case.run.lag_ns = Some(iter::repeat_n(Nanos::from_micros(lag_us), 100).collect());
        case.profile = at(1e3);
    }

    /// 1000 messages at 1000 a second, which took so long to leave.
    fn paced(case: &mut Case, took_ms: u64) {
        lagging(case, 1);
        case.run.scheduled_per_s = Some(1e3);
        case.run.send_time = Some(Nanos::from_millis(took_ms));
    }

    #[test]
    fn a_rate_that_was_not_reached_is_told_with_all_three_and_who_did_not_keep_up() {
        // Issue 11, A8: every copy came, at half of the load that was asked for, and nothing said so.
        let told = |lag_us: u64, sent: u64| {
            let mut case = quiet();
            paced(&mut case, 1_998);
            lagging(&mut case, lag_us);
            case.run.sent = sent;
            let caveats = judged(&case);
            let caveat = caveats.into_iter().find(|c| c.code == "rate-not-reached").unwrap();
            (caveat.text, caveat.remedy)
        };
        let (text, remedy) = told(1, 1_000);
        assert!(text.contains("asked for 1 000/s, scheduled 1 000/s, sent 500/s"), "{text}");
        assert!(remedy.contains("the push node reads too slowly"), "{remedy}");
        assert!(told(900_000, 1_000).1.contains("the generator itself was late"));
        assert!(told(1, 900).1.contains("lost sockets"));
    }

    /// So many reads, each stamped so late.
    fn stamped(case: &mut Case, late_us: u64, reads: usize) {
        case.run.stamps_ns = Some(iter::repeat_n(Nanos::from_micros(late_us), reads).collect());
    }

    #[test]
    fn polling_for_a_deadline_is_no_work() {
        let spinning = codes(|case| {
            case.profile = at(1e3);
            case.run.cores[1].cpu_time = Nanos::from_millis(199);
            case.run.cores[1].spun = Nanos::from_millis(100);
        });
        assert_eq!(spinning, []);
    }

    fn judged(case: &Case) -> Vec<Caveat> {
        judge(&Evidence {
            outcome: &case.run,
            profile: &case.profile,
            host_before: &case.before,
            host_after: &case.after,
            connecting: &case.connecting,
            least: MinConnected::All,
            baseline: case.baseline.as_ref(),
            surroundings: &case.surroundings,
        })
    }

    fn codes(change: impl Fn(&mut Case)) -> Vec<(&'static str, Trust)> {
        let mut case = quiet();
        change(&mut case);
        judged(&case).iter().map(|caveat| (caveat.code, caveat.severity)).collect()
    }

    #[test]
    fn a_quiet_trial_has_no_caveat() {
        assert_eq!(codes(|_| {}), []);
    }

    /// Strangers' ids are nothing to warn of where each of our messages was heard somewhere, nor is a loss
    /// where no id is left over.
    #[test]
    fn ids_without_text_are_a_caveat_only_where_messages_are_wholly_missing() {
        for (copies, messages, missing) in [(3, 0, 2), (0, 1, 2), (3, 1, 0)] {
            let codes = codes(|c| {
                c.run.untaught = Untaught { copies, messages };
                c.run.delivery.missing = missing;
            });
            assert!(codes.iter().all(|(code, _)| *code != "ids-untaught"), "{codes:?}");
        }
    }

    /// A null cluster that was as slow.
    fn own_floor(run: &TrialOutcome) -> Baseline {
        let floor = Judged { outcome: run.clone(), caveats: Vec::new() };
        Baseline { trials: vec![floor], ..Baseline::default() }
    }

    fn untuned(case: &mut Case) {
        case.surroundings.shortfalls = ["net.ipv4.tcp_mem", "swap"]
            .map(|knob| Shortfall { text: format!("{knob} is 1"), remedy: format!("set {knob}") })
            .to_vec();
    }

    #[test]
    fn each_cause_alone_makes_its_own_caveat_and_no_other() {
        use Trust::{Degraded, Void};
        let busy = |case: &mut Case| case.run.cores[1].cpu_time = Nanos::from_millis(191);
        let table: [(Change, &str, Trust); 28] = [
            (|c| c.run.cores[0].cq_overflow = 1, "cq-overflow", Void),
            (|c| c.run.saturated = 1, "histogram-saturated", Void),
            (|c| c.run.unattributable = 1, "ids-overflowed", Void),
            (
                |c| {
                    c.run.untaught = Untaught { copies: 3, messages: 1 };
                    c.run.delivery.missing = 2;
                },
                "ids-untaught",
                Degraded,
            ),
            (busy, "core-busy", Degraded),
            (
                |c| {
                    c.run.cores[1].cpu_time = Nanos::from_millis(191);
                    c.profile = at(1e3);
                },
                "core-busy",
                Void,
            ),
            // Above a tenth of the interval of 1 ms and a twentieth of the p99 of 990 µs.
            (|c| lagging(c, 101), "schedule-lag", Void),
            (|c| paced(c, 1_020), "rate-not-reached", Degraded),
            (|c| c.run.clock_was_set = true, "wall-clock-set", Degraded),
            (|c| c.run.cores[0].enobufs = 1, "buffers-exhausted", Degraded),
            (|c| c.run.cores[0].longest_turn = Nanos::from_micros(995), "long-turn", Degraded),
            // Above a tenth of the p99 of 990 µs.
            (|c| stamped(c, 100, 1_000), "late-stamps", Degraded),
            (|c| c.after.cpu_each[1].1.steal += 2, "cpu-steal", Degraded),
            (|c| c.after.cpu_all.as_mut().unwrap().steal += 3, "cpu-steal", Degraded),
            (|c| c.after.throttle.as_mut().unwrap().periods += 1, "cpu-throttled", Degraded),
            (
                |c| c.after.sched.as_mut().unwrap().waiting = Nanos::from_millis(102),
                "run-queue-wait",
                Degraded,
            ),
            (|c| c.after.tcp_drops.as_mut().unwrap()[0] += 1, "listen-drops", Degraded),
            (|c| c.after.tcp_drops.as_mut().unwrap()[7] += 1, "kernel-drops", Degraded),
            (pruned_under_pressure, "kernel-drops", Degraded),
            (|c| c.after.tcp_drops.as_mut().unwrap()[5] += 1, "receive-buffer-full", Degraded),
            (|c| c.after.softnet_dropped = Some(6), "softnet-drops", Degraded),
            (|c| c.surroundings.cpus_allowed = Some(1), "single-cpu", Degraded),
            (|c| c.surroundings.beside = Beside::Nodes, "shared-cores", Degraded),
            (untuned, "host-untuned", Degraded),
            (|c| c.surroundings.smt_siblings = vec![(0, 8)], "smt-siblings", Degraded),
            (|c| c.run.delivery.earlier = 1, "late-arrivals", Degraded),
            (|c| c.connecting.connected -= 1, "sockets-left-out", Degraded),
            (|c| c.baseline = Some(own_floor(&c.run)), "near-own-floor", Degraded),
        ];
        for (change, code, severity) in table {
            assert_eq!(codes(change), [(code, severity)]);
        }
        // Every rule has its line above.
        let tested: std::collections::BTreeSet<_> = table.iter().map(|(_, code, _)| code).collect();
        assert_eq!(tested.len(), rules().count());
    }

    #[test]
    fn thresholds_are_crossed_not_touched() {
        let at_threshold: [Change; 11] = [
            |c| paced(c, 1_009),
            // A message that was late at the end of a trial of 99 ms.
            |c| {
                paced(c, 99);
                c.run.scheduled_per_s = Some(20_000.0);
            },
            |c| c.run.cores[1].cpu_time = Nanos::from_millis(190),
            |c| c.run.cores[1].longest_turn = Nanos::from_micros(990),
            |c| lagging(c, 99),
            |c| stamped(c, 99, 1_000),
            // Nine reads beyond the p99 are none.
            |c| stamped(c, 900, 999),
            // Late, but nothing beside what is reported.
            |c| {
                lagging(c, 101);
                (0..100).for_each(|_| c.run.latency_ns[0].1.record(Nanos(2_300_000)));
            },
            // One of a thousand ticks.
            |c| c.after.cpu_each[1].1.steal += 1,
            // 11 ms of waiting in 111 ms are less than a tenth.
            |c| c.after.sched.as_mut().unwrap().waiting = Nanos::from_millis(101),
            // A share of nearly nothing.
            |c| {
                c.after.sched = Some(SchedTime {
                    running: c.before.sched.unwrap().running,
                    waiting: c.before.sched.unwrap().waiting.plus(Nanos::from_micros(999)),
                });
            },
        ];
        for change in at_threshold {
            assert_eq!(codes(change), []);
        }
    }

    fn is_void(beside: Beside, lag_us: u64, service_us: &[u64]) -> bool {
        let mut case = quiet();
        lagging(&mut case, lag_us);
        case.surroundings.beside = beside;
        case.run.latency_ns[0].1 = service_us.iter().copied().map(Nanos::from_micros).collect();
        judged(&case).iter().any(|caveat| caveat.code == "schedule-lag")
    }

    proptest! {
        #[test]
        fn on_our_own_cpus_a_trial_that_we_slow_down_is_never_excused_for_being_slower(
            mut latencies in prop::collection::vec(1_u64..100_000, 2..200),
            slower in prop::collection::vec(0_u64..10_000_000, 200),
            lag_us in 0_u64..20_000,
            more_lag_us in 0_u64..20_000,
        ) {
            latencies.sort_unstable();
            // All but one copy may have been in our way, for as long as you like.
            let spoilt = latencies.iter().zip(&slower).enumerate();
            let spoilt: Vec<_> =
                spoilt.map(|(i, (us, slower))| if i == 0 { *us } else { us + slower }).collect();
            for beside in [Beside::Nodes, Beside::Embedded] {
                prop_assert!(
                    !is_void(beside, lag_us, &latencies) || is_void(beside, lag_us + more_lag_us, &spoilt)
                );
            }
        }

        #[test]
        fn on_cpus_apart_what_lateness_adds_to_latencies_excuses_it_no_better(
            latencies in prop::collection::vec(1_u64..100_000, 1..200),
            lag_us in 0_u64..20_000,
            more_lag_us in 0_u64..20_000,
        ) {
            // Each leaves later, and behind those that were held up with it.
            let spoilt: Vec<_> = latencies.iter().map(|us| us + 2 * more_lag_us).collect();
            // A bucket is a thousandth wide: half a percent of reserve.
            let nearly = lag_us + more_lag_us + (lag_us + more_lag_us).div_ceil(200);
            prop_assert!(
                !is_void(Beside::Nobody, lag_us, &latencies) || is_void(Beside::Nobody, nearly, &spoilt)
            );
        }
    }

    #[test]
    fn the_p99_that_we_spoilt_ourselves_is_no_excuse() {
        // Issue 11, A10: a cluster on our own CPUs at 200 a second. Polling it had a p99 of 18 ms and
        // was degraded; sleeping it had one of 8 ms and was void.
        let row = |p99_us: u64| -> Vec<u64> {
            (0..1_000).map(|i| if i < 980 { 900 } else { p99_us }).collect()
        };
        let at = |beside, lag_us: u64, p99_us: u64| {
            let mut case = quiet();
            lagging(&mut case, lag_us);
            case.profile = at(200.0);
            case.surroundings.beside = beside;
            case.run.latency_ns[0].1 = row(p99_us).into_iter().map(Nanos::from_micros).collect();
            judged(&case).iter().any(|caveat| caveat.code == "schedule-lag")
        };
        assert!(at(Beside::Nodes, 600, 18_000) && at(Beside::Nodes, 600, 8_000));
        // A cluster with CPUs of its own is as slow as it is.
        assert!(!at(Beside::Nobody, 600, 18_000) && at(Beside::Nobody, 600, 8_000));
    }

    #[test]
    fn no_more_of_a_latency_is_called_our_own_than_there_is() {
        let told = |lag_us: u64, p99_ms: u64| {
            let mut case = quiet();
            lagging(&mut case, lag_us);
            case.surroundings.beside = Beside::Nobody;
            case.run.latency_ns[0].1 = iter::repeat_n(Nanos::from_millis(p99_ms), 2_000).collect();
            let caveats = judged(&case);
            caveats.into_iter().find(|caveat| caveat.code == "schedule-lag").unwrap().text
        };
        let (part, all) = (told(30_000, 100), told(60_000, 100));
        assert!(
            part.contains("at the p99, up to 60") && part.ends_with("ms of it our own"),
            "{part}"
        );
        assert!(all.ends_with("at the p99, all of which may be our own"), "{all}");
    }

    #[test]
    fn of_too_few_messages_for_a_p99_the_sentence_names_none() {
        let told = |samples: usize, lag_us: u64| {
            let mut case = quiet();
            lagging(&mut case, lag_us);
            case.run.lag_ns =
                Some((1..=samples as u64).map(|i| Nanos::from_micros(lag_us + i)).collect());
            case.run.latency_ns[0].1 = iter::repeat_n(Nanos(1_000), samples).collect();
            let caveats = judged(&case);
            caveats.into_iter().find(|caveat| caveat.code == "schedule-lag").unwrap().text
        };
        assert!(told(5, 300).contains("late by 305 µs at the most, of 5,"), "{}", told(5, 300));
        assert!(
            told(200, 300).contains("late by 498 µs or more for 3 of 200,"),
            "{}",
            told(200, 300)
        );
        assert!(
            !told(999, 300).contains("p99") && told(1_000, 300).contains("1.29 ms at the p99,")
        );
    }

    #[test]
    fn a_short_burst_may_keep_a_core_busy_but_a_schedule_may_not() {
        let short = |profile: Profile| {
            codes(move |case| {
                case.profile = profile.clone();
                case.run.cores[1].cpu_time = Nanos::from_millis(99);
                case.run.cores[1].wall = Nanos::from_millis(99);
            })
        };
        assert_eq!(short(Profile::default()), []);
        assert_eq!(short(at(1e3)), [("core-busy", Trust::Void)]);
    }

    #[test]
    fn a_long_turn_is_held_against_a_p99_only_where_there_is_one() {
        let few = codes(|case| {
            case.run.latency_ns[0].1 = iter::repeat_n(Nanos(1_000), 999).collect();
            case.run.cores[1].longest_turn = Nanos::from_secs(1);
        });
        assert_eq!(few, []);
    }

    #[test]
    fn what_the_host_does_not_show_is_not_held_against_the_trial() {
        let hidden = codes(|case| {
            case.after.softnet_dropped = Some(6);
            case.after.throttle.as_mut().unwrap().periods += 1;
            case.before = HostCounters::default();
            case.surroundings.cpus_allowed = None;
        });
        assert_eq!(hidden, []);
    }

    #[test]
    fn waiting_behind_our_own_cluster_is_not_laid_at_the_door_of_strangers() {
        let told = |beside| {
            let mut case = quiet();
            // As with --cores 2 beside eleven nodes on two CPUs.
            case.surroundings.beside = beside;
            case.after.sched.as_mut().unwrap().waiting = Nanos::from_secs(19);
            let caveats = judged(&case);
            let caveat = caveats.into_iter().find(|caveat| caveat.code == "run-queue-wait");
            caveat.map(|caveat| caveat.text + "; " + &caveat.remedy).unwrap()
        };
        let (ours, strangers) = (told(Beside::Embedded), told(Beside::Nobody));
        assert!(ours.contains("18.9 s for a CPU behind the embedded cluster"), "{ours}");
        assert!(!ours.contains("other processes"), "{ours}");
        assert!(strangers.contains("18.9 s for a CPU: 99.5 %"), "{strangers}");
        assert!(strangers.contains("other processes"), "{strangers}");
    }

    #[test]
    fn on_one_cpu_sharing_is_said_once() {
        let one = codes(|case| {
            case.surroundings.cpus_allowed = Some(1);
            case.surroundings.beside = Beside::Embedded;
        });
        assert_eq!(one, [("single-cpu", Trust::Degraded)]);
    }

    #[test]
    fn the_worst_comes_first_and_each_has_its_figures_and_a_remedy() {
        let mut case = quiet();
        case.surroundings.beside = Beside::Embedded;
        case.run.saturated = 1_200;
        stamped(&mut case, 120, 2_000);
        untuned(&mut case);
        case.after.tcp_drops.as_mut().unwrap()[1] += 3;
        case.after.throttle = Some(Throttle { periods: 9, time: Nanos::from_millis(95) });
        let caveats = judged(&case);
        let severities: Vec<_> = caveats.iter().map(|caveat| caveat.severity).collect();
        assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
        let said = |code: &str, figures: &str| {
            let caveat = caveats.iter().find(|caveat| caveat.code == code).unwrap();
            assert!(caveat.text.contains(figures), "{}", caveat.text);
            assert!(!caveat.remedy.is_empty());
        };
        said("histogram-saturated", "1 200 latencies were above 3 6");
        said("late-stamps", "service p99 of 990 µs up to 120 µs are our own");
        said("late-stamps", "of 2 000 sampled reads");
        said("listen-drops", "ListenDrops +3");
        said("cpu-throttled", "in 2 periods, and we stood still for 25.0 ms");
        said("shared-cores", "CPU 0, 1");
        said("host-untuned", "net.ipv4.tcp_mem is 1; swap is 1");
    }
}

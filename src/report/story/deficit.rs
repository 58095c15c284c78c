//! What went wrong in a trial, if anything did: who fell silent, which node misses how much, which messages,
//! which sockets were lost.

use super::content::{Block, Emphasis, Section, Sentence};
use super::names::{node, place, socket, trial};
use super::nodes;
use super::phrase::{Phrase, Value, counted, phrase};
use super::pictures;
use crate::report::document::Plan;
use crate::report::document::figures::seconds;
use crate::report::document::trial::{Ending, Gap, LatencyClass, LostSocket, TrialResult};
use crate::report::silent_nodes::{
    MissingPattern, SameOnAll, SilentNode, missing_patterns, of_sent, sent_each,
};
use crate::units::{Count, Nanos};

/// Streams with missing copies that a person looks at; the result file has all.
const STREAMS_MAX: usize = 4;
/// Missing ranges of each.
const RANGES_MAX: usize = 4;
/// Lost sockets.
const LOST_MAX: usize = 6;
/// Nodes of which is said what they miss.
const FINDINGS_MAX: usize = 8;
/// A shorter pause before a socket's end explains nothing.
const IDLE_MIN: Nanos = Nanos::from_secs(1);

/// `None` where every copy came and no socket was lost.
pub(super) fn section(plan: &Plan, class: LatencyClass, run: &TrialResult) -> Option<Section> {
    if run.delivery.missing == 0 && run.lost_sockets.is_empty() {
        return None;
    }
    let found = missing_patterns(plan, run);
    let told = found.iter().take(FINDINGS_MAX).map(|finding| tell(plan, finding, run));
    let mut blocks: Vec<Block> = told.map(Block::Sentence).collect();
    blocks.extend(more(found.len().saturating_sub(FINDINGS_MAX) as u64, "such nodes"));
    blocks.extend(nodes::blocks(plan, class, run));
    blocks.extend(lost_sockets(plan, &run.lost_sockets));
    blocks.extend(missing_messages(plan, run, &found));
    blocks.extend(pictures::strips(plan, run));
    let heading = phrase![trial(plan, run), ": ", how_it_ended(plan, run)];
    Some(Section { key: "deficit", heading: Some(heading), blocks })
}

/// What missing copies have in common, in words.
fn tell(plan: &Plan, finding: &MissingPattern<'_>, run: &TrialResult) -> Sentence {
    let push_node = node(plan, plan.push_node);
    let (lead, rest) = match finding {
        MissingPattern::Silent(silence) => return silent(plan, silence, run),
        MissingPattern::PushNodeAlone => (
            "every node but the push node is silent:".into(),
            phrase![" the links of the push node, ", push_node, ", to the others may be down"],
        ),
        MissingPattern::All => (
            "every node is silent, the push node too:".into(),
            phrase![
                " the push node, ",
                push_node,
                ", or what passes messages on for all (a broker) may be down"
            ],
        ),
        MissingPattern::SameOnAll(same) => {
            (phrase![place(plan, same.place), " misses whole messages:"], same_on_all(same))
        }
    };
    Sentence::about(lead, Emphasis::Bad, rest)
}

fn same_on_all(same: &SameOnAll<'_>) -> Phrase {
    let SameOnAll { sockets, messages, first, last, .. } = *same;
    let none = phrase![" came to none of its ", Count(sockets), " sockets"];
    match messages {
        1 => phrase![" message ", Count(first), none],
        _ => phrase![
            " the same ",
            Count(messages),
            " messages",
            none,
            ", from message ",
            Count(first),
            " on; the last of them is ",
            Count(last)
        ],
    }
}

fn silent(plan: &Plan, silence: &SilentNode<'_>, run: &TrialResult) -> Sentence {
    let whole = silence.delivered == 0;
    let what = if whole { " was silent:" } else { " fell silent:" };
    let (delivered, expected) = (Count(silence.delivered), Count(silence.expected));
    let mut text = phrase![" it delivered ", delivered, " of ", expected, " copies"];
    if !whole {
        text.push(phrase![", and nothing from message ", Count(silence.from_message), " on"]);
    }
    if run.lost_sockets.iter().any(|lost| lost.place() == silence.place) {
        text.push(" (a socket to it was lost, see below)");
    }
    Sentence::about(phrase![place(plan, silence.place), what], Emphasis::Bad, text)
}

fn how_it_ended(plan: &Plan, run: &TrialResult) -> Phrase {
    let late = run.delivery.missing.saturating_sub(run.unsent_copies());
    let missing = if run.sent == run.messages || run.ending == Ending::Interrupted {
        counted(late, "copy is missing", "copies are missing")
    } else {
        let verb = if late == 1 { " is missing" } else { " are missing" };
        phrase![sent(run), ", and ", copies_of_them(late), verb]
    };
    match run.ending {
        Ending::Complete if late == 0 => "every copy came, and sockets were lost".into(),
        Ending::Complete | Ending::Drained => {
            let drain = Value::limit(plan.drain_s);
            phrase![missing, "; ended after ", drain, " without a copy (--drain)"]
        }
        Ending::SocketsLost => phrase![missing, "; ended when no living socket expected more"],
        Ending::Interrupted if late == 0 => {
            phrase!["interrupted; ", sent(run), ", and every copy of them has come"]
        }
        Ending::Interrupted => {
            phrase!["interrupted; ", sent(run), ", and ", copies_of_them(late), " had not come"]
        }
    }
}

/// `1 500 of 4 000 messages were sent`.
fn sent(run: &TrialResult) -> Phrase {
    let verb = if run.sent == 1 { " was sent" } else { " were sent" };
    phrase![Count(run.sent), " of ", counted(run.messages, "message", "messages"), verb]
}

fn copies_of_them(count: u64) -> Phrase {
    counted(count, "copy of them", "copies of them")
}

fn lost_sockets(plan: &Plan, lost: &[LostSocket]) -> Vec<Block> {
    let told = lost.iter().take(LOST_MAX).map(|lost| Block::Sentence(lost_socket(plan, lost)));
    let more = more(lost.len().saturating_sub(LOST_MAX) as u64, "lost sockets");
    told.chain(more).collect()
}

fn lost_socket(plan: &Plan, lost: &LostSocket) -> Sentence {
    let (name, at) = (socket(plan, lost.socket), Value::seconds(Some(lost.at_s)));
    let lead = phrase!["lost ", name, " after ", at, ":"];
    let mut text = phrase![" ", place(plan, lost.place()), ": ", &lost.reason];
    if let Some(code) = lost.our_close_code {
        text.push(phrase![", we closed with ", Value::Number(code.into())]);
    }
    if let Some(idle) = lost.idle_s.map(seconds).filter(|idle| *idle >= IDLE_MIN) {
        text.push(phrase![", after ", idle, " in which nothing came or left"]);
    }
    Sentence::about(lead, Emphasis::Bad, text)
}

fn missing_messages(plan: &Plan, run: &TrialResult, found: &[MissingPattern<'_>]) -> Vec<Block> {
    // Where it is not known what was sent, numbers that are missing say nothing about the cluster.
    let Some(sent) = sent_each(plan, run) else { return Vec::new() };
    // Of a silent node a sentence has said everything.
    let silent = |gap: &Gap| {
        found
            .iter()
            .any(|f| matches!(f, MissingPattern::Silent(silence) if silence.place == gap.place()))
    };
    let gaps = run
        .gaps
        .iter()
        .filter(|gap| !silent(gap))
        .filter_map(|gap| of_sent(gap, &sent, plan.subscriptions));
    let gaps: Vec<Gap> = gaps.collect();
    let untold = run.gaps_total.saturating_sub((run.gaps.len() - gaps.len()) as u64);
    let mut blocks: Vec<Block> = Vec::new();
    if !gaps.is_empty() {
        let what = "missing messages, numbered from 0 within each push socket's own:";
        let told = gaps.iter().take(STREAMS_MAX).map(|gap| stream(plan, gap)).collect();
        blocks.extend([Phrase::from(what).into(), Block::List(told)]);
    }
    blocks.extend(more(untold.saturating_sub(STREAMS_MAX as u64), "streams with missing copies"));
    blocks
}

fn stream(plan: &Plan, gap: &Gap) -> Phrase {
    let ranges = Phrase::joined(gap.ranges.iter().take(RANGES_MAX).map(range), ", ");
    let cut = gap.truncated || gap.ranges.len() > RANGES_MAX;
    phrase![
        "on ",
        socket(plan, gap.socket),
        " (node ",
        Value::Number(gap.node),
        gap.reached.as_ref().map(|name| phrase![", ", name]),
        ") from push socket ",
        Value::Number(gap.sender),
        ": ",
        Count(gap.missing),
        if plan.subscriptions > 1 { " copies missing of " } else { " missing: " },
        ranges,
        if cut { ", ..." } else { "" }
    ]
}

/// Hyphens would read as minus beside grouped digits.
fn range(&[first, last]: &[u64; 2]) -> Phrase {
    match last.saturating_sub(first) {
        0 => Count(first).into(),
        _ => phrase![Count(first), "..", Count(last)],
    }
}

fn more(count: u64, what: &'static str) -> Option<Block> {
    let line = || phrase!["and ", Count(count), " more ", what, " (--json has them)"];
    (count > 0).then(|| line().into())
}

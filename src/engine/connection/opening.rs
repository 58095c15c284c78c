//! How far a connection is in its dialect's opening.
//!
//! Belongs here: which step is next, what answers it, and the words when none does. Does not: the steps
//! (`dialect::opening`), sending and reading (`worker::opening`), how long it may take (`worker::connect`).

use crate::dialect::matching::{How, Matching};
use crate::dialect::opening::{Opening, OpeningAnswer, OpeningStep};
use crate::dialect::pattern::Values;
use crate::dialect::template::CAPTURED_MAX;
use crate::population::sockets::SocketId;
use crate::wire::excerpt::excerpt;

/// Where one socket is.
#[derive(Debug)]
pub(in crate::engine) struct OpeningProgress {
    seat: SocketId,
    uuid: u128,
    /// The steps before it are done.
    step: usize,
    /// The message of this step was handed to the kernel.
    is_sent: bool,
    /// What answers were asked to be remembered for.
    captured: Vec<(String, Vec<u8>)>,
    /// Messages that were sent so far.
    said: u64,
    /// The first message in this step that was no answer to it.
    other: Option<String>,
    /// Why the node has not let us in.
    refusal: Option<String>,
}

/// What is to be done, while nothing is in flight.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Next {
    /// This message is due.
    Send(Vec<u8>),
    /// An answer is due.
    Await,
    /// The node has refused a step, for this reason.
    Refused(String),
    /// All steps are done.
    Done,
}

/// How far a stream was read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Stream {
    /// Up to here: the opening goes on with what follows.
    Used(usize),
    /// All steps are done, and what follows is no part of them.
    Over(usize),
}

impl OpeningProgress {
    /// With the values of the socket's own row, as `dialect::pattern::column_name` names them.
    pub(in crate::engine) const fn new(
        seat: SocketId,
        uuid: u128,
        row: Vec<(String, Vec<u8>)>,
    ) -> Self {
        let (other, refusal) = (None, None);
        Self { seat, uuid, step: 0, is_sent: false, captured: row, said: 0, other, refusal }
    }

    /// What is known of the socket when all is done, and how much it has said.
    pub(in crate::engine) fn into_known(self) -> (Vec<(String, Vec<u8>)>, u64) {
        (self.captured, self.said)
    }

    fn values(&self) -> Values<'_> {
        let SocketId { socket, node, .. } = self.seat;
        let (uuid, reference) = (self.uuid, self.said);
        Values { socket, node, uuid, reference, captured: &self.captured, ..Values::default() }
    }

    /// What is to be done, now that nothing is in flight.
    pub(in crate::engine) fn next(&mut self, opening: &Opening) -> Next {
        if let Some(refusal) = &self.refusal {
            return Next::Refused(refusal.clone());
        }
        while let Some(step) = opening.steps.get(self.step) {
            if let Some(text) = &step.send
                && !self.is_sent
            {
                self.is_sent = true;
                self.said += 1;
                return Next::Send(text.bytes(&self.values()));
            }
            if step.answer.is_some() {
                return Next::Await;
            }
            self.step_done();
        }
        Next::Done
    }

    /// Steps that are done before this one.
    pub(in crate::engine) const fn step(&self) -> usize {
        self.step
    }

    /// Why the node has not let us in.
    pub(in crate::engine) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Passes over steps that were said and await nothing. True when no step is left.
    pub(in crate::engine) fn skip(&mut self, opening: &Opening) -> bool {
        while let Some(step) = opening.steps.get(self.step) {
            if step.answer.is_some() || (step.send.is_some() && !self.is_sent) {
                return false;
            }
            self.step_done();
        }
        true
    }

    /// A message came. False where it is none of the opening's.
    pub(in crate::engine) fn hear(&mut self, opening: &Opening, message: &[u8]) -> bool {
        let Some(OpeningStep { send, answer: Some(answer) }) = opening.steps.get(self.step) else {
            return false;
        };
        // Nothing answers what was not said, and nothing follows a refusal.
        if self.refusal.is_some() || (send.is_some() && !self.is_sent) {
            return false;
        }
        let OpeningAnswer { expect, refuse, captures } = answer;
        let values = self.values();
        let matches = |wanted: &Matching| wanted.with(&values).is_in(message);
        if refuse.iter().any(matches) {
            let said = excerpt(message);
            self.refusal = Some(format!("{} was refused: {said}", self.named(opening)));
        } else if matches(expect) {
            for capture in captures {
                match capture.find(message) {
                    Some(value) if capture.in_messages && value.len() > CAPTURED_MAX => {
                        let (name, named, len) = (&capture.name, self.named(opening), value.len());
                        self.refusal = Some(format!(
                            "{named} was answered with {len} bytes of what it calls `{name}`: a message \
                             repeats {CAPTURED_MAX} at most"
                        ));
                        return true;
                    }
                    Some(value) => self.captured.push((capture.name.clone(), value.to_vec())),
                    None => {
                        let (name, said) = (&capture.name, excerpt(message));
                        let named = self.named(opening);
                        self.refusal = Some(format!(
                            "{named} was answered without what it calls `{name}`: {said}"
                        ));
                        return true;
                    }
                }
            }
            self.step_done();
        } else {
            self.other.get_or_insert_with(|| excerpt(message));
            return false;
        }
        true
    }

    /// More of a stream came, of which `window` is to be read from `from` on: steps are answered one behind
    /// the other.
    pub(in crate::engine) fn hear_stream(
        &mut self,
        opening: &Opening,
        window: &[u8],
        from: usize,
    ) -> Stream {
        let mut at = from;
        while let Some(OpeningStep { send, answer }) = opening.steps.get(self.step) {
            // Nothing answers what was not said, and nothing follows a refusal.
            let (Some(answer), None) = (answer, &self.refusal) else {
                return Stream::Used(window.len());
            };
            if send.is_some() && !self.is_sent {
                return Stream::Used(window.len());
            }
            let values = self.values();
            let rest = &window[at..];
            let wanted = answer.expect.with(&values);
            let refusals = answer.refuse.iter().map(|refuse| refuse.with(&values));
            let refusals: Vec<_> = refusals.collect();
            let answered = wanted.next_end(rest);
            let refused = refusals
                .iter()
                .filter_map(|refuse| Some(refuse.next_end(rest)? - refuse.needle().len()));
            if let Some(start) =
                refused.min().filter(|start| answered.is_none_or(|end| *start < end))
            {
                let said = excerpt(&rest[start..]);
                self.refusal = Some(format!("{} was refused: {said}", self.named(opening)));
                return Stream::Used(window.len());
            }
            let Some(end) = answered else {
                self.other.get_or_insert_with(|| excerpt(rest));
                // Either may have begun.
                let longest = refusals.iter().chain([&wanted]).map(|wanted| wanted.needle().len());
                let kept = longest.max().unwrap_or_default().saturating_sub(1);
                return Stream::Used(at.max(window.len().saturating_sub(kept)));
            };
            self.step_done();
            at += end;
        }
        Stream::Over(at)
    }

    /// The reason of an end that came before the opening was over.
    pub(in crate::engine) fn ended(&self, opening: &Opening, reason: &str) -> String {
        format!("{reason}, in {}{}", self.named(opening), self.heard_instead())
    }

    /// The reason where it took longer than `limit_s`.
    pub(in crate::engine) fn timed_out(&self, opening: &Opening, limit_s: f64) -> String {
        let heard = match self.heard_instead() {
            none if none.is_empty() => ": the node said nothing".to_owned(),
            heard => heard,
        };
        format!(
            "{} was not done within {limit_s} s (--connect-timeout){heard}",
            self.named(opening)
        )
    }

    fn step_done(&mut self) {
        (self.step, self.is_sent, self.other) = (self.step + 1, false, None);
    }

    fn heard_instead(&self) -> String {
        self.other
            .as_ref()
            .map_or_else(String::new, |said| format!(": the node said {said} instead"))
    }

    /// `step 2 of 3 (send `a`, expect `b`)`, in the dialect's words: the same for all sockets.
    fn named(&self, opening: &Opening) -> String {
        let step = opening.steps.get(self.step);
        let shown = |text: String| excerpt(text.as_bytes());
        let send = step.and_then(|step| step.send.as_ref()).map(|text| {
            let to_do = if self.is_sent { "sent" } else { "to send" };
            format!("{to_do} {}", shown(text.to_string()))
        });
        let answer = step.and_then(|step| step.answer.as_ref());
        let answer = answer.map(|answer| expects(&answer.expect));
        let words: Vec<_> = send.into_iter().chain(answer).collect();
        let (place, of) = (self.step + 1, opening.steps.len());
        format!("step {place} of {of} of the dialect's opening ({})", words.join(", "))
    }
}

/// What an answer must be, in the dialect's words.
fn expects(Matching { how, pattern }: &Matching) -> String {
    let how = match how {
        How::Exactly => " exactly",
        How::StartingWith => " what begins with",
        How::Containing => "",
    };
    format!("expects{how} {}", excerpt(pattern.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::file::{self, Source};

    /// The steps of a dialect file.
    fn opening(steps: &str) -> Opening {
        let head = "schema = 'fanstorm.dialect/1'\nname = 't'\nmessage.template = '{text}'\n";
        let text = format!("{head}{steps}");
        let source = Source { file: "t", text: &text, settings: &[], environment: &|_| None };
        file::read(&source).unwrap_or_else(|error| panic!("{error}")).opening
    }

    fn progress(socket: u32) -> OpeningProgress {
        OpeningProgress::new(SocketId { socket, node: 2 }, 7, Vec::new())
    }

    fn login() -> Opening {
        opening(
            "opening = [
                { expect = 'INFO {' },
                { send = 'CONNECT {socket}', expect = '+OK {socket}', refuse = ['denied', '-ERR'] },
                { send = 'SUB' },
            ]",
        )
    }

    #[test]
    fn steps_follow_each_other_and_other_messages_are_passed_over() {
        let (opening, mut progress) = (login(), progress(12));
        assert_eq!(progress.next(&opening), Next::Await);
        assert!(!progress.hear(&opening, b"hello"));
        assert!(progress.hear(&opening, b"INFO {} "));
        assert!(!progress.hear(&opening, b"+OK 12"), "nothing was asked yet");
        assert_eq!(progress.next(&opening), Next::Send(b"CONNECT 12".to_vec()));
        assert_eq!(progress.next(&opening), Next::Await);
        assert!(!progress.hear(&opening, b"+OK 11"), "another socket's");
        assert!(progress.hear(&opening, b"+OK 12"));
        assert_eq!(progress.next(&opening), Next::Send(b"SUB".to_vec()));
        assert_eq!(progress.next(&opening), Next::Done);
        assert!(!progress.hear(&opening, b"INFO {"), "a message like any other");
    }

    #[test]
    fn what_an_answer_holds_is_said_again_and_awaited_in_later_steps() {
        let opening = opening(
            "[[opening]]
            expect = { starting_with = '0{' }
            capture.sid = { after = '\"sid\":\"', until = '\"' }
            [[opening]]
            send = 'join {capture:sid} {node} {uuid}'
            expect = { exactly = 'joined {capture:sid}' }",
        );
        let mut progress = progress(1);
        assert!(!progress.hear(&opening, br#"10{"sid":"no"}"#), "it does not begin so");
        assert!(progress.hear(&opening, br#"0{"sid":"a1","x":""}"#));
        let uuid = "00000000-0000-4000-8000-000000000007";
        let join = format!("join a1 2 {uuid}").into_bytes();
        assert_eq!(progress.next(&opening), Next::Send(join));
        assert!(
            !progress.hear(&opening, b"joined a1 by others")
                && progress.hear(&opening, b"joined a1")
        );
        assert_eq!(progress.next(&opening), Next::Done);
    }

    #[test]
    fn an_answer_without_what_is_to_be_captured_is_told_with_the_step() {
        let opening =
            opening("opening = [{ expect = 'hi', capture.id = { after = '#', until = ';' } }]");
        let mut progress = progress(1);
        assert!(progress.hear(&opening, b"hi #no end"));
        let Next::Refused(reason) = progress.next(&opening) else { panic!("{progress:?}") };
        assert_eq!(
            reason,
            "step 1 of 1 of the dialect's opening (expects `hi`) was answered without what it calls `id`: \
             `hi #no end`"
        );
    }

    #[test]
    fn a_refusal_wins_over_an_answer_and_is_quoted() {
        let (opening, mut progress) = (login(), progress(1));
        progress.hear(&opening, b"INFO {");
        progress.next(&opening);
        assert!(progress.hear(&opening, b"+OK 1\r\n-ERR 'no \x1b[31m'"));
        assert!(!progress.hear(&opening, b"+OK 1"));
        let Next::Refused(reason) = progress.next(&opening) else { panic!("{progress:?}") };
        assert_eq!(
            reason,
            "step 2 of 3 of the dialect's opening (sent `CONNECT {socket}`, expects `+OK {socket}`) \
             was refused: `+OK 1\\r\\n-ERR 'no \\u{1b}[31m'`"
        );
    }

    #[test]
    fn a_stream_answers_steps_wherever_it_is_cut_and_leaves_the_rest() {
        let opening = opening(
            "opening = [{ expect = 'INFO {' }, { expect = '}' }, { send = 'PING', expect = 'PONG;', refuse = '-ERR' }]\n",
        );
        let (hello, answer) = (b"INFO {a}?".as_slice(), b"PONG;MSG 1".as_slice());
        for cut in 0..=hello.len() {
            for split in 0..=answer.len() {
                let mut progress = progress(1);
                let mut carried = Vec::new();
                let mut feed = |progress: &mut OpeningProgress, bytes: &[u8]| {
                    carried.extend_from_slice(bytes);
                    let up_to = match progress.hear_stream(&opening, &carried, 0) {
                        Stream::Used(up_to) => up_to,
                        Stream::Over(up_to) => {
                            let rest = carried.split_off(up_to);
                            carried.clear();
                            return Some(rest);
                        }
                    };
                    carried.drain(..up_to);
                    None
                };
                assert_eq!(progress.next(&opening), Next::Await);
                assert_eq!(feed(&mut progress, &hello[..cut]), None);
                assert_eq!(feed(&mut progress, &hello[cut..]), None);
                assert_eq!(progress.next(&opening), Next::Send(b"PING".to_vec()), "{cut}");
                let first = feed(&mut progress, &answer[..split]);
                let rest = feed(&mut progress, &answer[split..]).unwrap();
                let all =
                    first.map_or_else(|| rest.clone(), |first| [first, rest.clone()].concat());
                assert!(
                    all.ends_with(b"MSG 1") && progress.next(&opening) == Next::Done,
                    "{split}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_in_a_stream_is_quoted_from_where_it_begins() {
        let opening =
            opening("opening = [{ send = 'SUB', expect = 'PONG', refuse = ['-ERR', 'ERROR'] }]");
        let mut progress = progress(1);
        progress.next(&opening);
        let stream = b"INFO {} -ERR 'Authorization Violation'\r\nPONG";
        assert_eq!(progress.hear_stream(&opening, stream, 0), Stream::Used(stream.len()));
        let Next::Refused(reason) = progress.next(&opening) else { panic!("{progress:?}") };
        assert!(
            reason.ends_with("was refused: `-ERR 'Authorization Violation'\\r\\nPONG`"),
            "{reason}"
        );
    }

    proptest! {
        /// Whatever is sent back, in whatever order: a socket is ready if and only if each answer came
        /// after its question. The twin looks through the words for them one after the other.
        #[test]
        fn a_socket_is_ready_when_every_step_was_answered_in_order(
            steps in prop::collection::vec((any::<bool>(), 0_usize..4), 0..6),
            words in prop::collection::vec(0_usize..4, 0..12),
        ) {
            const ANSWERS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];
            // A step that neither says nor awaits anything is none.
            let steps: Vec<_> =
                steps.iter().map(|&(asks, word)| (asks || word == 0, word)).collect();
            let written = |&(asks, word): &(bool, usize)| {
                let expect = ANSWERS[word].map(|word| format!("expect = '{word}'"));
                let keys: Vec<_> = asks.then(|| "send = '?'".to_owned()).into_iter().chain(expect).collect();
                format!("{{ {} }}", keys.join(", "))
            };
            let all: Vec<_> = steps.iter().map(written).collect();
            let opening = opening(&format!("opening = [{}]", all.join(", ")));
            let awaited: Vec<_> = steps.iter().filter_map(|&(_, word)| ANSWERS[word]).collect();
            let asked = steps.iter().filter(|(asks, _)| *asks).count();
            let (mut progress, mut sent) = (progress(0), 0);
            let mut settle = |progress: &mut OpeningProgress| loop {
                match progress.next(&opening) {
                    Next::Send(_) => sent += 1,
                    other => break other,
                }
            };
            let mut last = settle(&mut progress);
            for &word in &words {
                progress.hear(&opening, ANSWERS[word].unwrap_or("x").as_bytes());
                last = settle(&mut progress);
            }
            let mut rest = words.iter().map(|&word| ANSWERS[word].unwrap_or("x"));
            let answered = awaited.iter().all(|answer| rest.any(|word| word == *answer));
            prop_assert_eq!(last == Next::Done, answered);
            prop_assert!(!answered || sent == asked);
        }
    }
}

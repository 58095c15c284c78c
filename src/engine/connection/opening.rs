//! How far a connection is in its dialect's opening.
//!
//! Belongs here: which step is next, what answers it, and the words when none does. Does not: the steps
//! (`dialect::opening`), sending and reading (`worker::opening`), how long it may take (`worker::connect`).

use crate::dialect::opening::{Opening, OpeningAnswer, OpeningStep};
use crate::wire::excerpt::excerpt;

/// Where one socket is.
#[derive(Debug)]
pub(in crate::engine) struct OpeningProgress {
    socket: u32,
    /// The steps before it are done.
    step: usize,
    /// The message of this step was handed to the kernel.
    is_sent: bool,
    /// The first message in this step that was no answer to it.
    other: Option<String>,
    /// What the node refused this step with.
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

impl OpeningProgress {
    pub(in crate::engine) const fn new(socket: u32) -> Self {
        Self { socket, step: 0, is_sent: false, other: None, refusal: None }
    }

    /// What is to be done, now that nothing is in flight.
    pub(in crate::engine) fn next(&mut self, opening: &Opening) -> Next {
        if let Some(said) = &self.refusal {
            return Next::Refused(format!("{} was refused: {said}", self.named(opening)));
        }
        while let Some(step) = opening.steps.get(self.step) {
            if let Some(text) = &step.send
                && !self.is_sent
            {
                self.is_sent = true;
                return Next::Send(text.render(self.socket));
            }
            if step.answer.is_some() {
                return Next::Await;
            }
            self.step_done();
        }
        Next::Done
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
        let OpeningAnswer { expect, fail } = answer;
        let holds = |text: &[u8]| memchr::memmem::find(message, text).is_some();
        if fail.as_ref().is_some_and(|fail| holds(&fail.render(self.socket))) {
            self.refusal = Some(excerpt(message));
        } else if holds(&expect.render(self.socket)) {
            self.step_done();
        } else {
            self.other.get_or_insert_with(|| excerpt(message));
            return false;
        }
        true
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
        let answer = answer.map(|answer| format!("expects {}", shown(answer.expect.to_string())));
        let words: Vec<_> = send.into_iter().chain(answer).collect();
        let (place, of) = (self.step + 1, opening.steps.len());
        format!("step {place} of {of} of the dialect's opening ({})", words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::opening::OpeningText;

    fn step(send: Option<&str>, expect: Option<&str>, fail: Option<&str>) -> OpeningStep {
        OpeningStep {
            send: send.map(OpeningText::new),
            answer: expect.map(|expect| OpeningAnswer {
                expect: OpeningText::new(expect),
                fail: fail.map(OpeningText::new),
            }),
        }
    }

    fn login() -> Opening {
        let steps = vec![
            step(None, Some("INFO {"), None),
            step(Some("CONNECT {socket}"), Some("+OK {socket}"), Some("-ERR")),
            step(Some("SUB"), None, None),
        ];
        Opening { steps }
    }

    #[test]
    fn steps_follow_each_other_and_other_messages_are_passed_over() {
        let (opening, mut progress) = (login(), OpeningProgress::new(12));
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
    fn a_refusal_wins_over_an_answer_and_is_quoted() {
        let (opening, mut progress) = (login(), OpeningProgress::new(1));
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

    proptest! {
        /// Whatever is sent back, in whatever order: a socket is ready if and only if each answer came
        /// after its question. The twin looks through the words for them one after the other.
        #[test]
        fn a_socket_is_ready_when_every_step_was_answered_in_order(
            steps in prop::collection::vec((any::<bool>(), 0_usize..4), 0..6),
            words in prop::collection::vec(0_usize..4, 0..12),
        ) {
            const ANSWERS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];
            let steps: Vec<_> =
                steps.iter().map(|&(asks, word)| step(asks.then_some("?"), ANSWERS[word], None)).collect();
            let awaited: Vec<_> = steps.iter().filter_map(|step| step.answer.as_ref()).collect();
            let asked = steps.iter().filter(|step| step.send.is_some()).count();
            let opening = Opening { steps: steps.clone() };
            let (mut progress, mut sent) = (OpeningProgress::new(0), 0);
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
            let answered = awaited.iter().all(|answer| rest.any(|word| word == answer.expect.to_string()));
            prop_assert_eq!(last == Next::Done, answered);
            prop_assert!(!answered || sent == asked);
        }
    }
}

//! The opening of every dialect against a node that says anything: a socket is let in only if every step was
//! answered in its turn, and a failure is told in one line.
#![no_main]

use fanstorm::dialect::pattern::Values;
use fanstorm::dialect::{Dialect, Matching};
use fanstorm_fuzz::{DIALECTS, Input, node, stretches};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let (dialect, shape) = (input.one_of(&DIALECTS), input.shape());
    let said = stretches(&shape, input.0);
    let reads = said.iter().map(|stretch| node::frame(stretch)).collect();
    let failures = node::connect(&node::plan(dialect, &shape), reads);
    for failure in &failures {
        assert!(!failure.reason.contains(char::is_control), "{:?}", failure.reason);
        assert!(!failure.reason.is_empty());
    }
    // What a raw stretch holds is for the decoder alone to say.
    let is_framed = said.iter().all(|stretch| b"tbp".contains(stretch.first().unwrap_or(&b't')));
    let is_done = failures.is_empty();
    if is_done && is_framed {
        assert!(answered_in_turn(dialect, &said), "{}: {said:?}", dialect.name);
    }
});

/// Whether what was said holds the answers one behind the other, whenever they came.
fn answered_in_turn(dialect: &Dialect, said: &[Vec<u8>]) -> bool {
    let data = said.iter().filter(|stretch| stretch.first().is_some_and(|kind| *kind != b'p'));
    let mut messages: Vec<_> = data.map(|stretch| stretch[1..].to_vec()).collect();
    if dialect.stream {
        messages = vec![messages.concat()];
    }
    let answers = dialect.opening.steps.iter().filter_map(|step| step.answer.as_ref());
    let (mut at, mut behind) = (0, 0);
    for answer in answers {
        if !answer.captures.is_empty() {
            // What follows depends on what was said.
            return true;
        }
        let wanted = |expect: &Matching| expect.with(&Values::default());
        match dialect.stream {
            true => {
                let Some(end) = wanted(&answer.expect).next_end(&messages[0][behind..]) else {
                    return false;
                };
                behind += end;
            }
            false => {
                let rest = &messages[at..];
                let found = rest.iter().position(|message| wanted(&answer.expect).is_in(message));
                let Some(step) = found else { return false };
                at += step + 1;
            }
        }
    }
    true
}

//! A socket's bytes during a trial, by frame decoder, replies, streams and recorder: however they are cut into
//! reads the account is the same, and the client answers the same.
#![no_main]

use fanstorm::dialect::{Dialect, Opening, Upgrade};
use fanstorm::measure::outcome::TrialOutcome;
use fanstorm_fuzz::node::{self, Patience};
use fanstorm_fuzz::{DIALECTS, Input, cuts, stretches};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let (dialect, shape) = (input.one_of(&DIALECTS), input.shape());
    let (early, steps) = (input.byte() == 1, [input.byte(), input.byte(), input.byte()]);
    let (opening, upgrade) = (Opening::default(), Upgrade::default());
    let dialect = Dialect { opening, upgrade, ..dialect.clone() };
    let plan = node::plan(&dialect, &shape);
    let wire: Vec<u8> =
        stretches(&shape, input.0).iter().flat_map(|stretch| node::frame(stretch)).collect();
    let patience = if early { Patience::None } else { Patience::Messages };
    let of = |reads| {
        node::trial(&plan, &shape, reads, patience).map(|(outcome, heard)| {
            let heard: Vec<_> = heard.into_iter().filter(|(kind, _)| *kind != 8).collect();
            (account(&outcome), heard)
        })
    };
    let (whole, cut) =
        (of(vec![wire.clone()]), of(cuts(&wire, &steps).into_iter().map(<[u8]>::to_vec).collect()));
    // Where the node speaks before it was spoken to, what it says meets another moment of ours.
    if !early {
        assert_eq!(whole, cut, "{}", wire.escape_ascii());
    }
});

fn account(outcome: &TrialOutcome) -> (String, Vec<String>) {
    let lost = outcome.lost.iter().map(|lost| lost.reason.clone()).collect();
    (format!("{:?}", outcome.delivery), lost)
}

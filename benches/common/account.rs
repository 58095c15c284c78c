//! The account of a bench that receives: which copies must come, and what a rival keeps of them.
//!
//! Belongs here: the same account as the worker's, and its check. Does not: who receives.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use fanstorm::dialect::{Dialect, Recognized, Scanner, TextShape};
use fanstorm::host::clock::{Clock, Monotonic};
use fanstorm::measure::recorder::Recorder;
use fanstorm::measure::sent::SentTimes;
use fanstorm::population::audience::Audience;
use fanstorm::population::fan_out::FanOut;
use fanstorm::population::sockets::{Population, SocketId};
use fanstorm::units::Nanos;

use super::blaster::{PAYLOAD, RUN, Shape};

/// Copies that must come.
pub(crate) fn copies(shape: Shape) -> u64 {
    shape.frames * u64::from(shape.sockets)
}

/// All messages of the one sender, as if they had just been sent.
pub(crate) fn sent(shape: Shape) -> Arc<SentTimes> {
    let sent = SentTimes::new(&[shape.frames as u32]);
    sent.stamp(0, 0, shape.frames as u32, Monotonic.now());
    Arc::new(sent)
}

/// Sockets 1 and up: number 0 is the push socket, which is not here.
pub(crate) fn seats(shape: Shape) -> Vec<SocketId> {
    (1..=shape.sockets).map(|socket| SocketId { socket, node: 0 }).collect()
}

/// Every copy has come once, in order, and nothing else.
pub(crate) fn check(recorder: &Recorder, shape: Shape) {
    let counts = recorder.counts;
    assert_eq!(counts.delivered, copies(shape), "{counts:?}");
    assert_eq!(counts.duplicate + counts.foreign + counts.corrupt + counts.out_of_order, 0);
}

/// The account that the rivals keep, the same as the worker's.
pub(crate) struct Account {
    scanner: Scanner,
    pub(crate) recorder: Recorder,
}

impl Account {
    pub(crate) fn new(shape: Shape) -> Rc<RefCell<Self>> {
        let text = TextShape::new(PAYLOAD).expect("long enough");
        let counts = [shape.frames as u32];
        let population = Population::new(1, 0, 1, shape.sockets).expect("few");
        let audience = Audience::new(population, FanOut::All);
        let recorder = Recorder::new(seats(shape), 1, &counts, &audience, false, sent(shape));
        let scanner = Scanner::new(&Dialect::raw(), &text, RUN);
        Rc::new(RefCell::new(Self { scanner, recorder }))
    }

    pub(crate) fn hear(&mut self, socket: u32, message: &[u8], at: Nanos) {
        let recorder = &mut self.recorder;
        self.scanner.scan(message, &mut |sighting| match sighting {
            Recognized::Copy { sender, sequence, .. } => {
                recorder.copy(socket, sender, sequence, None, at);
            }
            other => panic!("{other:?}"),
        });
    }

    pub(crate) fn complete(&self, shape: Shape) -> bool {
        self.recorder.counts.delivered == copies(shape)
    }
}

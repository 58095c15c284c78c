//! Shows the live view of a saved result and panics, for `tests/live.py`: the terminal must be given back whoever
//! panics. Belongs here: the ways to panic. Does not: what must be seen then.
//!
//!     cargo run --example live_panic -- RESULT.json main | worker | holding
//!
//! `main` is the thread that has the screen, `worker` another one, and `holding` panics while nothing can be drawn.

use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

use fanstorm::cli::live::LiveView;
use fanstorm::cli::signals::Signals;
use fanstorm::report::saved::{self, Saved};

/// Until the picture stands.
const SHOWN: Duration = Duration::from_millis(1_500);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, who] = arguments.as_slice() else {
        eprintln!("usage: live_panic RESULT.json main | worker | holding");
        std::process::exit(2);
    };
    let bytes = fs::read(file).expect("the result can be read");
    let read = saved::read(&bytes).expect("it is a result");
    let Some(Saved::Result(document)) = read.first() else {
        panic!("a run that failed has no screen")
    };
    let mut signals = Signals::ending_the_program(Arc::default()).expect("handlers");
    let view = LiveView::open(document, signals.watched().expect("handlers")).expect("a terminal");
    thread::sleep(SHOWN);
    match who.as_str() {
        "main" => panic!("main panics as asked"),
        "worker" => {
            let worker = thread::spawn(|| panic!("worker panics as asked"));
            assert!(worker.join().is_err());
            // A run goes on to its end for a moment: nothing of it may be drawn any more.
            thread::sleep(SHOWN);
        }
        _ => view.screen.update(|_| panic!("holding panics as asked")),
    }
}

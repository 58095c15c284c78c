//! A result file from a stranger costs what it is long, whatever it says: nothing in it makes the reader
//! panic, or take memory for a length or a range that the file only names.
//!
//! Belongs here: damage to whole files under an allocator that counts. Does not: what is said of each
//! fault (`report::saved`, `tests/saved.rs`).

#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

#[path = "common/engine.rs"]
mod engine;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use fanstorm::report::saved::{self, Saved};
use fanstorm::report::story::Story;
use fanstorm::report::text::Text;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use proptest::sample::Index;

/// A file of some 10 kB, its parse and the histograms of a trial are about a third of it.
const PEAK_BYTES_MAX: usize = 16 << 20;

thread_local! {
    /// Bytes that this thread holds, and the most that it held.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

fn hold(more: usize, less: usize) {
    // After the thread's end there is nothing to count for. What another thread allocated may be freed
    // here: never below nothing.
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        let now = (now + more).saturating_sub(less);
        held.set((now, peak.max(now)));
    });
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract;
// counting touches a thread-local that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size(), 0);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        hold(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        hold(size, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that this thread held at once during `work`, beyond what it held before.
fn peak(work: impl FnOnce()) -> usize {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

/// What a run has written.
static SAVED: LazyLock<String> = LazyLock::new(|| {
    let words = "--relay --nodes 1 --messages 40 --quiet --json -";
    let output = Command::new(env!("CARGO_BIN_EXE_fanstorm"))
        .args(words.split(' '))
        .args(engine::flags(words))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
});

/// Reads it, and tells what can be read.
fn told(bytes: &[u8]) -> Result<(), String> {
    for saved in saved::read(bytes).map_err(|fault| fault.to_string())? {
        let Saved::Result(document) = saved else { continue };
        Text::new(true, None).all(&mut Vec::new(), &Story::of(&document)).unwrap();
    }
    Ok(())
}

/// The file with these texts in place of its histograms.
fn with_histogram(text: &str) -> String {
    let mut rest = SAVED.as_str();
    let mut file = String::new();
    while let Some(place) = rest.find("HISTFAAA") {
        let end = place + rest[place..].find('"').unwrap();
        file += &rest[..place];
        file += text;
        rest = &rest[end..];
    }
    file + rest
}

/// A histogram of this head and so many counts of zero, deflated.
fn packed(counts_said: u32, digits: u32, lowest: u64, highest: u64, zeros: usize) -> String {
    let mut plain = 0x1c84_9313_u32.to_be_bytes().to_vec();
    plain.extend([counts_said, 0, digits].map(u32::to_be_bytes).concat());
    plain.extend([lowest, highest].map(u64::to_be_bytes).concat());
    plain.extend(1_f64.to_be_bytes());
    plain.resize(plain.len() + zeros, 0);
    let mut deflater = ZlibEncoder::new(Vec::new(), Compression::best());
    deflater.write_all(&plain).unwrap();
    let deflated = deflater.finish().unwrap();
    let head = [0x1c84_9314, deflated.len() as u32].map(u32::to_be_bytes).concat();
    BASE64_STANDARD.encode([head, deflated].concat())
}

#[test]
fn the_file_itself_is_read_within_the_bound() {
    LazyLock::force(&SAVED);
    let peak = peak(|| told(SAVED.as_bytes()).unwrap());
    assert!((SAVED.len()..PEAK_BYTES_MAX / 2).contains(&peak), "{peak}");
}

/// Issue 11, D2: 200 MB of small values took 5 GB.
#[test]
fn a_file_of_small_values_is_refused_before_anything_is_laid_out_for_them() {
    for dense in ["[],", "1,", "{}\n", "{\"a\":1},", "\n1"] {
        let file = format!("[{}1]", dense.repeat((48 << 20) / dense.len()));
        let mut outcome = Ok(());
        let peak = peak(|| outcome = told(file.as_bytes()));
        let fault = outcome.expect_err("it is no result");
        assert!(fault.contains("values and would take"), "{fault}");
        assert!(peak < 1 << 20, "{peak} bytes for {dense:?}");
    }
}

/// A debug build of a program is large, and holds as many commas as a result that is too dense.
#[test]
fn a_large_file_that_is_no_json_is_named_for_what_it_is() {
    for (begin, says) in
        [("\x7fELF\0\0", "is binary, not JSON"), ("root:x:0:0\n", "is text, but not JSON")]
    {
        let fault = told(format!("{begin}{}", ",".repeat(48 << 20)).as_bytes()).unwrap_err();
        assert!(fault.contains(says), "{fault}");
    }
}

/// As long as a file may be and longer, a file with nothing on the disk behind its beginning.
#[test]
fn a_file_without_end_is_named_for_what_it_begins_as() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("endless");
    for (begin, says) in [
        ("\x7fELF\0\0", "is binary, not JSON; give it what a run has written"),
        ("BZh", "is compressed: unpack it, `bzip2 -dc"),
        ("{\"schema\"", "is larger than 256 MiB, which no result is; give it"),
    ] {
        std::fs::write(&path, begin).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(5 << 30).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_fanstorm"))
            .arg("report")
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("endless {says}")), "{error}");
    }
}

/// What is counted before is what is taken.
#[test]
fn a_file_that_is_taken_apart_takes_no_more_than_its_bytes_and_values_say() {
    let words = [
        "[],",
        "1,",
        "{},",
        "{\"a\":1},",
        "\"\",",
        "[[1,2],[3,4]],",
        "{\"a\":[1,{}]},",
        "\"text\",",
    ];
    for dense in words {
        let values = dense.repeat((1 << 20) / dense.len());
        let inside =
            SAVED.replacen("\"interrupted\"", &format!("\"more\":[{values}1],\"interrupted\""), 1);
        let args =
            SAVED.replacen("\"args\":[", &format!("\"args\":[{}", "\"\",".repeat(1 << 18)), 1);
        for file in [format!("[{values}1]"), values.replace(",", ",\n"), inside, args] {
            let most = saved::expansion(file.as_bytes()) as usize + PEAK_BYTES_MAX / 2;
            let peak = peak(|| drop(saved::read(file.as_bytes())));
            assert!(peak <= most, "{peak} bytes, and at most {most} for {dense:?}");
        }
    }
}

#[test]
fn the_counter_counts() {
    assert!(peak(|| drop(std::hint::black_box(vec![0_u8; 1 << 20]))) >= 1 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_histogram_that_lies_is_refused_by_the_name_of_its_field(
        counts_said: u32,
        digits in 0_u32..7,
        lowest in prop_oneof![Just(1), any::<u64>()],
        highest in prop_oneof![Just(3_600_000_000_000), Just(u64::MAX), any::<u64>()],
        zeros in prop_oneof![0_usize..100, Just(32 << 20)],
    ) {
        let file = with_histogram(&packed(counts_said, digits, lowest, highest, zeros));
        let mut outcome = Ok(());
        let peak = peak(|| outcome = told(file.as_bytes()));
        let fault = outcome.expect_err("40 copies are not none");
        prop_assert!(fault.contains("latency_histograms.service"), "{}", fault);
        prop_assert!(peak < PEAK_BYTES_MAX, "{} bytes", peak);
    }

    #[test]
    fn damage_makes_it_neither_panic_nor_swell(
        damage in prop::collection::vec((any::<Index>(), "[0-9]{1,18}|[\\[\\]{}\",:eE.-]|\\PC{0,3}", any::<bool>()), 1..4),
    ) {
        let mut bytes = SAVED.clone().into_bytes();
        for (place, text, replaces) in damage {
            let place = place.index(bytes.len());
            let end = if replaces { (place + text.len()).min(bytes.len()) } else { place };
            bytes.splice(place..end, text.into_bytes());
        }
        let peak = peak(|| drop(told(&bytes)));
        prop_assert!(peak < PEAK_BYTES_MAX, "{} bytes", peak);
    }

    /// Numbers stand where they stood, and are any others.
    #[test]
    fn no_number_makes_it_swell(place: Index, number: u64) {
        let places: Vec<_> = SAVED.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
        let at = places[place.index(places.len())];
        let mut bytes = SAVED.clone().into_bytes();
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes.splice(at..at + digits, number.to_string().into_bytes());
        let peak = peak(|| drop(told(&bytes)));
        prop_assert!(peak < PEAK_BYTES_MAX, "{} bytes", peak);
    }
}

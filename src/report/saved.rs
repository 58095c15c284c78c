//! Reading results back: files that we wrote, and the words for all that may be wrong with one.
//!
//! Belongs here: telling what is ours from what is not, older from newer, whole from cut off. Does
//! not: opening files (`cli`), whether a document agrees with itself (`document::validate`).

use serde::de::DeserializeOwned;
use simd_json::prelude::ValueAsScalar;
use simd_json::{Node, StaticNode};

use super::VERSION;
use super::document::failed::FailedDocument;
use super::document::{Document, SCHEMA};
use super::html;
use crate::report::document::validate;
use crate::report::sniff::{GIVE, Stranger};
use crate::units::{Bytes, Count};

/// The longest file that is read: some hundred thousand trials.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// The most memory that reading may take. A trial that names as many gaps as a report does takes a quarter.
const EXPANSION_MAX: u64 = 1 << 30;

/// Of the parser: copies of the file, and places in its lists of what the file holds.
const COPIES: u64 = 4;
const MARK_BYTES: u64 = 64;

/// No figure of a run is larger: so many microseconds are 31 years. What is far beyond cannot be shown, since
/// sums and steps of it have no end.
const FIGURE_MAX: f64 = 1e15;

/// Why bytes are no result that can be presented. Completes "FILE ...", one line.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Nothing.
    #[error("is empty: no result was written to it; {GIVE}")]
    Empty,
    /// More than [`FILE_BYTES_MAX`].
    #[error("is larger than {}, which no result is; {GIVE}", Bytes(FILE_BYTES_MAX))]
    TooLarge,
    /// Small values without end. The parser has a place for each, many times as large.
    #[error(
        "holds {} values and would take {} of memory to read, more than {}, which no result does; {GIVE}",
        Count(*values), Bytes(*bytes), Bytes(EXPANSION_MAX)
    )]
    TooDense {
        /// About so many.
        values: u64,
        /// What they take.
        bytes: u64,
    },
    /// It ends inside of a value.
    #[error("is cut off: it ends in the middle of a result; copy it again, or run again")]
    CutOff,
    /// Something else.
    #[error("{0}")]
    NotJson(Stranger),
    /// JSON of somebody else.
    #[error("is JSON, but no result of fanstorm: \"schema\": \"{SCHEMA}\" is not in it; {GIVE}")]
    NotOurs,
    /// Ours, but nothing that a run writes.
    #[error("is of schema {0}, which is no result of a run; {GIVE}")]
    OtherDocument(String),
    /// Ours, of the version before the first that was published.
    #[error(
        "is of schema {0}, which fanstorm {VERSION} does not read: run again with this version"
    )]
    EarlierVersion(String),
    /// Ours, of another version.
    #[error(
        "is of schema {0}, and fanstorm {VERSION} reads {SCHEMA}: present it with the fanstorm that \
         wrote it, or a newer one"
    )]
    OtherVersion(String),
    /// A key is missing, or something else stands there.
    #[error("has a wrong {key}: {reason}")]
    Key {
        /// Where.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Infinity, or close to it.
    #[error(
        "holds the figure {0:e}, which no run measures: it was changed after it was written; {GIVE}"
    )]
    Absurd(f64),
    /// It says two things.
    #[error("contradicts itself: {0}; it was changed or damaged after it was written: {GIVE}")]
    Inconsistency(#[from] validate::Inconsistency),
    /// One of several results, one a line, is none of these.
    #[error("line {line} {fault}")]
    UntrustedText {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        fault: Box<Self>,
    },
}

/// What a result file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Saved {
    /// What a run measured.
    Result(Box<Document>),
    /// Why it did not.
    Failed(FailedDocument),
}

/// The results in `bytes`: one, laid out in any way, or several, one a line.
///
/// # Errors
/// See [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Vec<Saved>, Unreadable> {
    // Some editors put a byte order mark first; readers may ignore it (RFC 8259, section 8.1).
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = html::result_in(bytes).unwrap_or(bytes);
    if let Some(excess) = excess(bytes) {
        // A program or a log of this size is no result for a better reason than its size.
        return Err(match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => excess,
            _ => Unreadable::NotJson(Stranger::of(bytes)),
        });
    }
    let lines = lines(bytes);
    let one = document(bytes);
    match one {
        Err(Unreadable::NotJson(_) | Unreadable::CutOff)
            if lines.len() > 1 && is_json(lines[0].1) =>
        {
            let of = |(line, bytes): &(usize, &[u8])| {
                document(bytes)
                    .map_err(|fault| Unreadable::UntrustedText { line: *line, fault: fault.into() })
            };
            lines.iter().map(of).collect()
        }
        one => one.map(|document| vec![document]),
    }
}

/// Why `bytes` are more than is read, where they are.
fn excess(bytes: &[u8]) -> Option<Unreadable> {
    let (values, expanded) = (marks(bytes), expansion(bytes));
    match bytes.len() as u64 {
        len if len > FILE_BYTES_MAX => Some(Unreadable::TooLarge),
        _ => (expanded > EXPANSION_MAX).then_some(Unreadable::TooDense { values, bytes: expanded }),
    }
}

/// Bytes of memory that reading `bytes` may take beside them, whatever they are: told by a look at each
/// byte, before anything is laid out for them.
pub fn expansion(bytes: &[u8]) -> u64 {
    (bytes.len() as u64 + 1_024) * COPIES + marks(bytes) * MARK_BYTES
}

/// Bytes that a value, a key or a line may follow.
fn marks(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{' | b'\n')).count() as u64
}

/// Lines that hold something, with their numbers from 1.
fn lines(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let numbered = bytes.split(|&byte| byte == b'\n').enumerate();
    let numbered = numbered.map(|(index, line)| (index + 1, line.trim_ascii()));
    numbered.filter(|(_, line)| !line.is_empty()).collect()
}

fn is_json(bytes: &[u8]) -> bool {
    simd_json::to_tape(&mut bytes.to_vec()).is_ok()
}

fn document(bytes: &[u8]) -> Result<Saved, Unreadable> {
    if bytes.trim_ascii().is_empty() {
        return Err(Unreadable::Empty);
    }
    if is_of_a_failure(bytes)? {
        return parsed(bytes).map(Saved::Failed);
    }
    let document = parsed(bytes)?;
    validate::check(&document)?;
    Ok(Saved::Result(Box::new(document)))
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    // The parser writes into what it parses.
    let mut copy = bytes.to_vec();
    let mut deserializer = simd_json::Deserializer::from_slice(&mut copy)
        .map_err(|_| Unreadable::NotJson(Stranger::of(bytes)))?;
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    T::deserialize(tracked).map_err(|error| Unreadable::Key {
        key: match track.path().to_string() {
            path if path == "." => "top level".to_owned(),
            path => path,
        },
        reason: words(&error),
    })
}

/// Whether it tells of a failure; an error where it is not ours or not of our version. Before its keys are
/// looked at: a newer one may differ in all of them.
fn is_of_a_failure(bytes: &[u8]) -> Result<bool, Unreadable> {
    let mut copy = bytes.to_vec();
    // What the parser says is about its own stages, and of no use to whoever has the wrong file.
    let tape = simd_json::to_tape(&mut copy).map_err(|_| match Stranger::of(bytes) {
        Stranger::Damaged if is_open(bytes) => Unreadable::CutOff,
        stranger => Unreadable::NotJson(stranger),
    })?;
    let family = SCHEMA.trim_end_matches(|c: char| c.is_ascii_digit());
    // A tree of all values would take as much again as the tape.
    let value = tape.as_value();
    let schema = value.as_object().and_then(|object| object.get("schema"));
    match schema.as_ref().and_then(ValueAsScalar::as_str) {
        Some(SCHEMA) => match tape.0.iter().find_map(absurd) {
            Some(figure) => Err(Unreadable::Absurd(figure)),
            None => Ok(value.as_object().is_some_and(|object| object.get("failed").is_some())),
        },
        Some(other @ "fanstorm.result/1") => Err(Unreadable::EarlierVersion(other.to_owned())),
        Some(other) if other.starts_with(family) => Err(Unreadable::OtherVersion(other.to_owned())),
        Some(other) if other.starts_with(OURS) => Err(Unreadable::OtherDocument(other.to_owned())),
        Some(_) | None => Err(Unreadable::NotOurs),
    }
}

fn absurd(node: &Node<'_>) -> Option<f64> {
    match node {
        Node::Static(StaticNode::F64(figure)) => (figure.abs() > FIGURE_MAX).then_some(*figure),
        _ => None,
    }
}

/// How the names of all our schemas begin.
const OURS: &str = "fanstorm.";

/// Whether the end lies inside of a string, an array or an object, as of a file that was cut off.
fn is_open(bytes: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_i64, false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    quoted || depth > 0
}

/// The parser's errors are named like types; people read words.
fn words(error: &simd_json::Error) -> String {
    use simd_json::ErrorType;
    match error.error() {
        ErrorType::Serde(text) => text.clone(),
        kind => {
            let name = format!("{kind:?}");
            let spaced = name.chars().enumerate().flat_map(|(index, c)| {
                let gap = (index > 0 && c.is_ascii_uppercase()).then_some(' ');
                gap.into_iter().chain([c.to_ascii_lowercase()])
            });
            spaced.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Outcome;
    use crate::report::document::Tool;
    use crate::report::document::failed::Failed;
    use crate::report::fixture::{begun, trusted, whole};
    use crate::report::text::Text;
    use crate::report::{json, story};
    use proptest::prelude::*;

    fn saved() -> Vec<u8> {
        let trials = [1_000, 3_000].map(|messages| trusted(whole(messages))).to_vec();
        let outcome = Outcome { trials, ..Outcome::default() };
        json::to_bytes(&begun(&[1_000, 3_000]).ended(&outcome)).unwrap()
    }

    fn fault(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    /// With one text in place of another.
    fn altered(from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(saved()).unwrap();
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn one_result_may_be_laid_out_in_any_way_and_several_stand_one_a_line() {
        let one = read(&saved()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&saved()).unwrap();
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        assert_eq!(read(&pretty).unwrap(), one);
        let marked = [&b"\xef\xbb\xbf"[..], &pretty].concat();
        assert_eq!(read(&marked).unwrap(), one);
        let two = [saved(), b"\n".to_vec(), saved()].concat();
        assert_eq!(read(&two).unwrap(), [one.clone(), one].concat());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_in_one_line() {
        let value: serde_json::Value = serde_json::from_slice(&saved()).unwrap();
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        for (bytes, says) in [
            (&b" \n"[..], "is empty"),
            (b"hello", "is text, but not JSON; give it what a run"),
            (b"root:x:0:0:root:/root:/bin/bash\n", "is text, but not JSON; give it what a run"),
            (b"if [ \"$1 ]; then {", "is text, but not JSON"),
            (b"\x7fELF\0\0", "is binary, not JSON; give it what a run"),
            (b"{\"schema\":: 1}", "begins like JSON but is none"),
            (br#"{"schema": "fanstorm.audit/1"}"#, "is of schema fanstorm.audit/1, which is no"),
            (b"[1, 2]", "is JSON, but no result of fanstorm"),
            (b"{}", "is JSON, but no result of fanstorm"),
            (br#"{"schema": "other/1"}"#, "is JSON, but no result of fanstorm"),
            (
                br#"{"schema": "fanstorm.result/3"}"#,
                "is of schema fanstorm.result/3, and fanstorm 0",
            ),
            (br#"{"schema": "fanstorm.result/2"}"#, "wrong top level: missing field `tool`"),
            (br#"{"schema": "fanstorm.result/1"}"#, "does not read: run again with this version"),
            (&saved()[..600], "is cut off"),
            (&pretty[..600], "is cut off"),
            (&[saved(), saved()[..600].to_vec()].concat(), "line 2 is cut off"),
            (&[&saved()[..], b"{}\n"].concat(), "line 2 is JSON, but no result"),
            (
                &altered("\"push_sockets\":3", "\"push_sockets\":\"3\""),
                "wrong plan.push_sockets: exp",
            ),
            (
                &altered("\"delivered\":6000,", ""),
                "wrong trials[0].delivery: missing field `delivered`",
            ),
            (&altered("\"ending\":\"complete\"", "\"ending\":\"well\""), "wrong trials[0].ending"),
            (&altered("\"sent\":1000", "\"sent\":-1"), "wrong trials[0].sent: exp"),
        ] {
            let fault = fault(bytes);
            assert!(fault.contains(says), "{says}: {fault}");
            assert_eq!(fault.lines().count(), 1, "{fault}");
            assert!(!fault.contains("internal error"), "{fault}");
        }
    }

    #[test]
    fn what_a_failed_run_wrote_is_read_back_among_results() {
        let tool = Tool::of(&["--json".to_owned()], 42, 7);
        let failed = Failed { phase: "connect".into(), cause: "nobody there".into(), exit_code: 4 };
        let document = FailedDocument::new(tool, failed);
        let bytes = json::to_bytes(&document).unwrap();
        assert_eq!(read(&bytes).unwrap(), [Saved::Failed(document.clone())]);
        let two = read(&[saved(), bytes].concat()).unwrap();
        assert!(matches!(&two[..], [Saved::Result(_), Saved::Failed(other)] if *other == document));
        let mut out = Vec::new();
        Text::failure(&mut out, &story::failure(&document)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("phase connect: nobody there (exit code 4)\n"), "{text}");
    }

    #[test]
    fn keys_that_a_later_version_adds_are_passed_over() {
        let more =
            altered("\"interrupted\":false", "\"interrupted\":false,\"moon\":{\"full\":[1]}");
        assert_eq!(read(&more).unwrap(), read(&saved()).unwrap());
    }

    #[test]
    fn no_figure_of_any_key_is_taken_that_no_run_measures() {
        let mut value: serde_json::Value = serde_json::from_slice(&saved()).unwrap();
        let time = value["trials"][0]["time"].clone();
        for key in ["send_s", "receive_s"] {
            for (figure, is_taken) in
                [(1e15, true), (1.1e15, false), (1e250, false), (-1e300, false)]
            {
                value["trials"][0]["time"][key] = figure.into();
                let read = read(&serde_json::to_vec(&value).unwrap());
                match read {
                    Ok(_) => assert!(is_taken, "{key}: {figure:e}"),
                    Err(Unreadable::Absurd(said)) => assert_eq!((said, is_taken), (figure, false)),
                    Err(other) => panic!("{other}"),
                }
            }
            value["trials"][0]["time"] = time.clone();
        }
        value["plan"]["drain_s"] = 1e250.into();
        let fault = fault(&serde_json::to_vec(&value).unwrap());
        assert!(fault.contains("holds the figure 1e250, which no run measures"), "{fault}");
    }

    #[test]
    fn what_nests_without_end_is_refused_without_a_crash() {
        for open in ["[", "{\"a\":"] {
            fault(open.repeat(100_000).as_bytes());
            let close = if open == "[" { "]" } else { "}" };
            let deep = [open.repeat(100_000), "1".to_owned(), close.repeat(100_000)].concat();
            fault(deep.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_file_that_is_cut_anywhere_is_called_cut_off(place: prop::sample::Index) {
            let saved = saved();
            // The newline is not missed.
            let place = 1 + place.index(saved.len() - 3);
            prop_assert!(fault(&saved[..place]).contains("is cut off"));
        }

        #[test]
        fn no_damage_makes_it_panic(place: prop::sample::Index, byte: u8) {
            let mut bytes = saved();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Ok(documents) = read(&bytes) {
                for saved in documents {
                    let Saved::Result(document) = saved else { continue };
                    let mut out = Vec::new();
                    let story = crate::report::story::Story::of(&document);
                    crate::report::text::Text::new(true, None).all(&mut out, &story).unwrap();
                }
            }
        }
    }
}

//! The scanner again, slowly: the oracle of its tests, and of the fuzzing in `fuzz/`.
//!
//! Belongs here: what a message means by a real JSON parser and by looking at every position.
//! Does not: anything that `dialect::scan` could share a mistake with but the tag and the shape.

use serde_json::Value;

use super::correlation::CorrelationId;
use super::tag::{RUN_PREFIX_LEN, TAG_LEN, Tag, run_prefix};
use super::text::TextShape;
use super::{Correlation, Dialect};
use crate::dialect::recognized::Recognized;

/// What `message` says, in sorted order.
pub fn sightings(
    dialect: &Dialect,
    shape: &TextShape,
    run: u32,
    message: &[u8],
) -> Vec<Recognized> {
    let mut found = Vec::new();
    // Socket.IO puts a number before its JSON.
    let json = message.iter().position(|byte| b"[{".contains(byte)).unwrap_or(0);
    match (&dialect.correlation, serde_json::from_slice(&message[json..])) {
        (Some(keys), Ok(value)) => {
            let mut loose = Vec::new();
            elements(&value, keys, &mut loose, &mut |texts, id, has_text| {
                let (mut seen, nothing) = texts_of(&texts.join("\0"), shape, run, Some(id));
                if nothing && !has_text {
                    seen.push(Recognized::Id(id));
                }
                found.extend(seen);
            });
            found.extend(texts_of(&loose.join("\0"), shape, run, None).0);
        }
        _ => found = texts_of(&String::from_utf8_lossy(message), shape, run, None).0,
    }
    if found.is_empty() {
        found.push(Recognized::Foreign);
    }
    found.sort();
    found
}

/// All that a stream says, looked at as one piece, byte by byte: the twin of every way of cutting it.
pub fn in_stream(shape: &TextShape, ours: u32, earlier: u32, stream: &[u8]) -> Vec<Recognized> {
    let lead = shape.head(b"");
    let marker = shape.lead_marker();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let rest = &stream[at..];
        let whole = |tag_at: usize| shape.intact(stream, tag_at);
        if rest.starts_with(&run_prefix(ours)) {
            match Tag::decode(rest) {
                Ok(Tag { sender, sequence, .. }) if whole(at) => {
                    found.push(Recognized::Copy { sender, sequence, id: None });
                    at += shape.len() - lead.len();
                }
                // Cut off by the end: nothing can be said, but of a tag that is whole and wrong.
                tag if (tag.is_ok() || rest.len() < TAG_LEN)
                    && rest.len() < shape.len() - lead.len()
                    && at >= lead.len()
                    && stream[at - lead.len()..].starts_with(&lead)
                    && rest
                        .iter()
                        .take(TAG_LEN)
                        .skip(2)
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) =>
                {
                    return found;
                }
                _ => {
                    found.push(Recognized::Corrupt);
                    at += RUN_PREFIX_LEN;
                }
            }
            continue;
        }
        if let Ok(Tag { run, sender, sequence }) = Tag::decode(rest)
            && (1..=earlier).contains(&ours.wrapping_sub(run))
            && whole(at)
        {
            found.push(Recognized::Earlier { run, sender, sequence, id: None });
        }
        if let Some(marker) = marker
            && rest.starts_with(marker)
        {
            let tag = &rest[marker.len()..];
            let is_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            let may_be = rest.len() < shape.len()
                && (tag.len() < TAG_LEN || Tag::decode(tag).is_ok())
                && tag.iter().zip(b"fs").all(|(a, b)| a == b)
                && tag.iter().take(TAG_LEN).skip(2).all(is_hex);
            if may_be && !tag.starts_with(&run_prefix(ours)) {
                return found;
            }
            if !tag.starts_with(&run_prefix(ours)) && Tag::decode(tag).is_err() {
                found.push(Recognized::Corrupt);
            }
        }
        at += 1;
    }
    found
}

/// Visits the innermost objects that have an id, and collects the strings outside of them.
/// Returns whether there was one.
fn elements(
    value: &Value,
    keys: &Correlation,
    strings: &mut Vec<String>,
    visit: &mut impl FnMut(Vec<String>, CorrelationId, bool),
) -> bool {
    match value {
        Value::String(string) => {
            strings.push(string.clone());
            false
        }
        Value::Array(values) => {
            values.iter().fold(false, |any, value| elements(value, keys, strings, visit) | any)
        }
        Value::Object(members) => {
            let mut inside = Vec::new();
            let nested = members
                .values()
                .fold(false, |any, value| elements(value, keys, &mut inside, visit) | any);
            let id = match members.get(&*keys.id_key) {
                Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
                Some(Value::Number(id)) => Some(id.to_string()),
                _ => None,
            };
            match id {
                Some(id) if !nested => {
                    let has_text = members.contains_key(&*keys.text_key);
                    visit(inside, CorrelationId::from_bytes(id.as_bytes()), has_text);
                    true
                }
                _ => {
                    strings.append(&mut inside);
                    nested
                }
            }
        }
        _ => false,
    }
}

/// The copies and the damage in a text, and whether there was nothing at all.
fn texts_of(
    text: &str,
    shape: &TextShape,
    run: u32,
    id: Option<CorrelationId>,
) -> (Vec<Recognized>, bool) {
    let text = text.as_bytes();
    let ours = format!("fs{run:08x}");
    let lead = shape.lead_marker().unwrap_or(b"\xff");
    let mut found = Vec::new();
    let mut replayed = false;
    let mut at = 0;
    while at < text.len() {
        let here = &text[at..];
        if here.starts_with(ours.as_bytes()) {
            match Tag::decode(here) {
                Ok(tag) if shape.intact(text, at) => {
                    let Tag { sender, sequence, .. } = tag;
                    found.push(Recognized::Copy { sender, sequence, id });
                    at += shape.len() - shape.tag_offset();
                }
                _ => {
                    found.push(Recognized::Corrupt);
                    at += ours.len();
                }
            }
        } else if here.starts_with(lead) && !here[lead.len()..].starts_with(ours.as_bytes()) {
            match Tag::decode(&here[lead.len()..]) {
                Ok(_) => replayed = true,
                Err(_) => found.push(Recognized::Corrupt),
            }
            at += lead.len();
        } else {
            if shape.lead_marker().is_none() && lost_half_of(&ours, here, run) {
                found.push(Recognized::Corrupt);
            }
            at += 1;
        }
    }
    if let (true, false, Some(tail)) = (found.is_empty(), replayed, shape.tail_marker())
        && let Some(at) = (0..text.len()).find(|at| text[*at..].starts_with(tail))
    {
        match at.checked_sub(TAG_LEN).map(|tag_at| Tag::decode(&text[tag_at..])) {
            Some(Ok(_)) => replayed = true,
            _ => found.push(Recognized::Corrupt),
        }
    }
    let nothing = found.is_empty() && !replayed;
    (found, nothing)
}

/// Whether the rest of a tag of this run is here: half of its first ten bytes, and its digits.
fn lost_half_of(ours: &str, here: &[u8], run: u32) -> bool {
    let (first, second) = ours.split_at(5);
    let is_ours = |body: Option<&[u8]>| {
        let whole = [ours.as_bytes(), body.unwrap_or_default()].concat();
        matches!(Tag::decode(&whole), Ok(tag) if tag.run == run)
    };
    (here.starts_with(first.as_bytes()) && is_ours(here.get(10..)))
        || (here.starts_with(second.as_bytes()) && is_ours(here.get(5..)))
}

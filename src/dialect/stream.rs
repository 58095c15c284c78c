//! Texts of this run in a stream of bytes that frames cut anywhere.
//!
//! Belongs here: what a piece of a stream says, and from where on that is still open. Does not: keeping
//! what is open until more has come (`engine::worker::streams`), the search for texts (`payload_search`).
//!
//! What a text is is told by the bytes from its first to its last, and nothing else: a copy is a text that is
//! all there; it is corrupt where the tag of this run stands without the words around it, or the words before
//! a tag without a tag. So each piece can be judged when its bytes have come, and a stream that is cut in
//! another way says the same.

use std::ops::Range;

use memchr::memchr;

use super::payload_search::Texts;
use super::recognized::Recognized;
use super::tag::{PREFIX, RUN_PREFIX_LEN, TAG_LEN, Tag, run_prefix};
use super::text::TextShape;

/// Reads the streams of one run.
#[derive(Debug)]
pub(super) struct StreamTexts {
    texts: Texts,
    run_prefix: [u8; RUN_PREFIX_LEN],
    /// What every text of every run begins with.
    lead: Vec<u8>,
}

impl StreamTexts {
    pub(super) fn new(shape: &TextShape, run: u32) -> Self {
        let texts = Texts::in_streams(shape, run);
        Self { texts, run_prefix: run_prefix(run), lead: shape.head(&PREFIX) }
    }

    /// All runs from `first` to the one before this one were ours.
    pub(super) const fn after(&mut self, first: u32) {
        self.texts.after(first);
    }

    /// Visits what `window` says from `from` on, and returns from where on it is open: all before that is
    /// judged, and need not be seen again.
    #[inline]
    pub(super) fn judge(
        &self,
        window: &[u8],
        from: usize,
        visit: &mut impl FnMut(Recognized),
    ) -> usize {
        let mut done = from;
        while let Some(tag_at) = self.texts.next_tag(window, done) {
            let text_at = tag_at.saturating_sub(self.texts.tag_offset());
            if self.is_open(&window[text_at..]) {
                self.texts.judge_gap(window, done..text_at.max(done), visit);
                return text_at;
            }
            self.texts.judge_gap(window, done..tag_at, visit);
            done = self.texts.judge(window, tag_at, None, visit);
        }
        let open = self.open_end(window, done);
        self.texts.judge_gap(window, done..open.max(done), visit);
        open
    }

    /// Where the one text of `piece` is, if that says its copy and leaves nothing open, and so does every piece
    /// that differs from it in the digits of a right tag alone. Of a piece that ends with its tag that is not
    /// known: the last digits may begin another text.
    pub(super) fn only_text(&self, piece: &[u8]) -> Option<Range<usize>> {
        let (mut copies, mut others) = (0, 0);
        let open = self.judge(piece, 0, &mut |sighting| match sighting {
            Recognized::Copy { .. } => copies += 1,
            _ => others += 1,
        });
        if (copies, others, open) != (1, 0, piece.len()) {
            return None;
        }
        let text = self.texts.find(piece)?;
        let tag_at = text.start + self.texts.tag_offset();
        let behind = *piece.get(tag_at + TAG_LEN)?;
        // The last digits of the tag and what is behind it.
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let digits = self.lead.iter().take_while(|byte| is_digit(byte)).count();
        let may_begin_in_digits = (1..=digits).any(|known| self.lead[known] == behind);
        // The words before the digits, from any of them on, and the digits.
        let words = &piece[text.start..tag_at + RUN_PREFIX_LEN];
        let may_begin_before = (1..words.len()).any(|at| {
            let len = self.lead.len().min(words.len() - at);
            // Behind these words comes a digit.
            let goes_on = self.lead.get(len).is_none_or(is_digit);
            words[at..at + len] == self.lead[..len] && goes_on
        });
        (!may_begin_in_digits && !may_begin_before).then_some(text)
    }

    /// Where what may become a text begins, at or behind `done`; the end where nothing may.
    #[inline]
    fn open_end(&self, window: &[u8], done: usize) -> usize {
        // The first bytes of a text may be taken for the last ones of what was judged.
        let mut at = done
            .saturating_sub(self.texts.tag_offset())
            .max((window.len() + 1).saturating_sub(self.texts.len()));
        let first = self.lead[0];
        // The tag of this run is looked for even where the words before it are wrong.
        let tag = PREFIX[0];
        while let Some(rest) = window.get(at..) {
            let next = match first == tag {
                true => memchr(first, rest),
                false => memchr::memchr2(first, tag, rest),
            };
            let Some(step) = next else { break };
            let rest = &rest[step..];
            // A tag that is judged ends no other one, as words may.
            let is_tag = at + step >= done && rest.len() < RUN_PREFIX_LEN;
            if self.is_open(rest) || (is_tag && self.run_prefix.starts_with(rest)) {
                return at + step;
            }
            at += step + 1;
        }
        window.len()
    }

    /// Not all of a text is there, and what is there may begin one of any run. A tag that is whole and wrong
    /// begins none, whatever follows it.
    #[inline]
    fn is_open(&self, bytes: &[u8]) -> bool {
        if bytes.len() >= self.texts.len() {
            return false;
        }
        let (lead, rest) = bytes.split_at(bytes.len().min(self.lead.len()));
        self.lead.starts_with(lead)
            && match rest.len() < TAG_LEN - PREFIX.len() {
                true => rest.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')),
                false => Tag::decode(&bytes[self.lead.len() - PREFIX.len()..]).is_ok(),
            }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::naive;

    const RUN: u32 = 0x1b2c_3d4e;

    /// What a stream says that comes in these pieces.
    fn in_pieces(reader: &StreamTexts, stream: &[u8], cuts: &[usize]) -> Vec<Recognized> {
        let (mut found, mut carried, mut last) = (Vec::new(), Vec::new(), 0);
        for &cut in cuts.iter().chain([&stream.len()]) {
            carried.extend_from_slice(&stream[last..cut]);
            last = cut;
            let open = reader.judge(&carried, 0, &mut |sighting| found.push(sighting));
            carried.drain(..open);
        }
        found.sort();
        found
    }

    #[derive(Clone, Debug)]
    enum Piece {
        Whole(u16, u64, u32),
        Damaged(u64, prop::sample::Index, u8),
        Cut(u64, prop::sample::Index, bool),
        Other(String),
    }

    fn any_piece() -> impl Strategy<Value = Piece> {
        let run = prop_oneof![6 => Just(RUN), 1 => (1_u32..4).prop_map(|less| RUN - less), 1 => any::<u32>()];
        let at = any::<prop::sample::Index>;
        prop_oneof![
            6 => (any::<u16>(), 0_u64..1 << 40, run).prop_map(|(sender, number, run)| Piece::Whole(sender, number, run)),
            2 => (0_u64..1 << 40, at(), any::<u8>()).prop_map(|(number, at, with)| Piece::Damaged(number, at, with)),
            2 => (0_u64..1 << 40, at(), any::<bool>()).prop_map(|(number, at, front)| Piece::Cut(number, at, front)),
            3 => prop_oneof!["(\r\nMSG room.1 1 [0-9]{2}\r\n)?", "PING\r\n", "[a-fs]{0,12}", "fanstorm mess", "fs1b2c"].prop_map(Piece::Other),
        ]
    }

    fn written(shape: &TextShape, pieces: &[Piece]) -> Vec<u8> {
        let text = |sender, sequence, run| {
            let mut text = Vec::new();
            shape.render(Tag { run, sender, sequence }, &mut text);
            text
        };
        let mut stream = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Whole(sender, number, run) => stream.extend(text(*sender, *number, *run)),
                Piece::Damaged(number, at, with) => {
                    let mut text = text(1, *number, RUN);
                    let at = at.index(text.len());
                    text[at] = *with;
                    stream.extend(text);
                }
                Piece::Cut(number, at, true) => {
                    let text = text(1, *number, RUN);
                    stream.extend(&text[..at.index(text.len())]);
                }
                Piece::Cut(number, at, false) => {
                    let text = text(1, *number, RUN);
                    stream.extend(&text[at.index(text.len())..]);
                }
                Piece::Other(other) => stream.extend(other.as_bytes()),
            }
        }
        stream
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn however_a_stream_is_cut_and_glued_it_says_the_same(
            pieces in prop::collection::vec(any_piece(), 0..8),
            payload_bytes in prop_oneof![26_usize..60, Just(150)],
            earlier in 0_u32..4,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let shape = TextShape::new(payload_bytes).unwrap();
            let mut reader = StreamTexts::new(&shape, RUN);
            reader.after(RUN - earlier);
            let stream = written(&shape, &pieces);
            let mut expected = naive::in_stream(&shape, RUN, earlier, &stream);
            expected.sort();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(&in_pieces(&reader, &stream, &cuts), &expected);
            // Byte by byte: cut everywhere.
            let everywhere: Vec<_> = (0..stream.len()).collect();
            prop_assert_eq!(&in_pieces(&reader, &stream, &everywhere), &expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Frames are taken by it without being judged.
        #[test]
        fn pieces_that_differ_in_the_digits_of_a_tag_alone_say_their_copies_alone(
            before in "([a-fs]{0,4}|MSG room.1 1 [0-9]{2}\r\n|fanstorm )",
            behind in "([a-fs]{0,4}|\r\n|anstorm m|nstorm|s1b2c3d4e)",
            payload_bytes in prop_oneof![26_usize..60, Just(150)],
            tags in prop::collection::vec((any::<u16>(), 0_u64..1 << 40), 2..20),
        ) {
            let shape = TextShape::new(payload_bytes).unwrap();
            let mut reader = StreamTexts::new(&shape, RUN);
            reader.after(RUN - 3);
            let piece = |&(sender, number): &(u16, u64)| {
                let text = written(&shape, &[Piece::Whole(sender, number, RUN)]);
                [before.as_bytes(), &text, behind.as_bytes()].concat()
            };
            let known = reader.only_text(&piece(&tags[0]));
            for tag in tags.iter().filter(|_| known.is_some()) {
                let mut found = Vec::new();
                let piece = piece(tag);
                let open = reader.judge(&piece, 0, &mut |sighting| found.push(sighting));
                let copy = Recognized::Copy { sender: tag.0, sequence: tag.1, id: None };
                prop_assert_eq!((&found[..], open), (&[copy][..], piece.len()));
                prop_assert_eq!(&known, &reader.only_text(&piece));
            }
            let usual = before.starts_with("MSG") && behind == "\r\n";
            prop_assert!(known.is_some() || !usual);
        }
    }

    /// The last digit of a tag and what followed it were taken for another tag where the stream was cut there.
    #[test]
    fn a_tag_is_no_beginning_of_another_one_however_the_stream_is_cut() {
        let shape = TextShape::new(38).unwrap();
        let reader = StreamTexts::new(&shape, RUN);
        let text = |sequence| written(&shape, &[Piece::Whole(1, sequence, RUN)]);
        let first = (0..).find(|&sequence| text(sequence).ends_with(b"f")).unwrap();
        let stream = [&text(first)[..], &text(0)[shape.tag_offset() + 1..]].concat();
        for cut in 0..=stream.len() {
            let copy = Recognized::Copy { sender: 1, sequence: first, id: None };
            assert_eq!(in_pieces(&reader, &stream, &[cut]), [copy], "{cut}");
        }
    }

    /// The fuzzer found it: the one without its end was altered for some cuts, and for others nothing was said.
    #[test]
    fn a_text_with_a_wrong_tag_is_altered_with_its_end_or_without() {
        let shape = TextShape::new(150).unwrap();
        let reader = StreamTexts::new(&shape, RUN);
        let begun =
            |sequence, len| written(&shape, &[Piece::Whole(1, sequence, RUN)])[..len].to_vec();
        for (of_ours, other) in
            [(false, &b"fsdddddddd1b2cdddddd1b2c3d40"[..]), (true, b"fs1b2c3d4e00000000000009b800")]
        {
            let mut stream = shape.head(b"");
            stream.extend(other);
            for stream in [stream.clone(), [&stream[..], &begun(9, 100)].concat()] {
                for cut in 0..=stream.len() {
                    assert_eq!(
                        in_pieces(&reader, &stream, &[cut]),
                        [Recognized::Corrupt],
                        "{of_ours} {cut}"
                    );
                }
                assert_eq!(naive::in_stream(&shape, RUN, 0, &stream), [Recognized::Corrupt]);
            }
        }
    }

    #[test]
    fn a_stream_that_is_cut_once_says_the_same_at_every_place() {
        let shape = TextShape::new(150).unwrap();
        let reader = StreamTexts::new(&shape, RUN);
        let pieces = [
            Piece::Other("MSG room.1 1 150\r\n".into()),
            Piece::Whole(1, 7, RUN),
            Piece::Other("\r\nPING\r\nMSG room.1 1 150\r\n".into()),
            Piece::Whole(2, 8, RUN),
            Piece::Other("\r\n".into()),
        ];
        let stream = written(&shape, &pieces);
        let copy = |sender, sequence| Recognized::Copy { sender, sequence, id: None };
        for cut in 0..=stream.len() {
            assert_eq!(in_pieces(&reader, &stream, &[cut]), [copy(1, 7), copy(2, 8)], "{cut}");
        }
    }
}

//! A long message that repeats itself, kept without what repeats while reads cut it.
//!
//! Belongs here: finding bytes that repeat those right before them, and putting them back. Does not: frames
//! (`wire::decoder`), which words a text repeats (`dialect::text`).
//!
//! A frame that the end of a read cuts is kept until it is whole. For texts of 64 KiB each byte would so be
//! copied once more, looked at for UTF-8, and compared as part of the message: more than the kernel's copy
//! takes. What goes round in a period is compared with itself where it lies instead, and left out. Nothing is
//! lost: the period before it is kept, and the whole message can be put together from it.

use std::ops::Range;

/// Frames that are shorter are kept as they come.
pub(super) const FRAME_LEAST: usize = 4096;
/// Bytes that are compared at once: as few as are worth a call, since what is around them is kept.
const BLOCK: usize = 256;
/// What is looked through again each time that more comes.
const KEPT_MOST: usize = 2 * FRAME_LEAST;

/// Bytes left out of a message: behind its first `at` there were `len` more, which go on as the period before
/// them does. At least one more period of them is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many bytes are before them.
    pub at: u32,
    /// How many they are; 0 where nothing was left out.
    pub len: u32,
}

impl LeftOut {
    pub(super) const NOTHING: Self = Self { at: 0, len: 0 };

    /// The same, counted from `bytes` behind; `None` where it is before that.
    pub fn after(self, bytes: usize) -> Option<Self> {
        Some(Self { at: self.at.checked_sub(u32::try_from(bytes).ok()?)?, ..self })
    }

    /// Which bytes of `more`, that came behind `kept`, need not be kept, either. Notes them.
    pub(super) fn leave_out(&mut self, kept: &[u8], more: &[u8], period: usize) -> Range<usize> {
        let found = match self.len {
            0 => first(more, period),
            _ if self.goes_on(kept, period) => 0..going_on(kept, more, period),
            _ => 0..0,
        };
        let whole = found.start..found.start + found.len() / period * period;
        if !whole.is_empty() {
            if self.len == 0 {
                self.at = (kept.len() + whole.start) as u32;
            }
            self.len += whole.len() as u32;
        }
        whole
    }

    /// Whether nothing but the period came since.
    fn goes_on(self, kept: &[u8], period: usize) -> bool {
        let since = &kept[self.at as usize - period..];
        since.len() < KEPT_MOST && since[period..] == since[..since.len() - period]
    }

    /// Puts them back into `kept`, which has room for them.
    pub(super) fn restore(self, kept: &mut Vec<u8>, period: usize) {
        let (at, len, before) = (self.at as usize, self.len as usize, kept.len());
        kept.resize(before + len, 0);
        kept.copy_within(at..before, at + len);
        for to in (at..at + len).step_by(period) {
            kept.copy_within(at - period..at, to);
        }
    }
}

/// The first bytes of `bytes` that repeat those before them, without the last period of them.
fn first(bytes: &[u8], period: usize) -> Range<usize> {
    let blocks = (period..bytes.len().saturating_sub(BLOCK)).step_by(BLOCK);
    let Some(start) = { blocks }.find(|&at| repeats(bytes, at, period)) else { return 0..0 };
    // Text must stay text without them, and with them.
    if !bytes[start - period..start].is_ascii() {
        return 0..0;
    }
    start..end(bytes, start, period).saturating_sub(period).max(start)
}

/// How many of the first bytes of `more` repeat the last period of `kept`.
fn going_on(kept: &[u8], more: &[u8], period: usize) -> usize {
    if more.len() < period || more[..period] != kept[kept.len() - period..] {
        return 0;
    }
    end(more, period, period)
}

/// Up to where bytes from `start` on repeat those before them.
fn end(bytes: &[u8], start: usize, period: usize) -> usize {
    let mut end = start;
    while bytes.len() - end >= BLOCK && repeats(bytes, end, period) {
        end += BLOCK;
    }
    end
}

/// Whether the block at `at` repeats what is a period before it.
#[inline]
fn repeats(bytes: &[u8], at: usize, period: usize) -> bool {
    bytes[at..at + BLOCK] == bytes[at - period..at - period + BLOCK]
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const PERIOD: usize = 101;

    /// What is kept of `message` that comes in such pieces, and what was left out.
    fn kept(message: &[u8], pieces: &[usize]) -> (Vec<u8>, LeftOut) {
        let (mut kept, mut left_out, mut rest) = (Vec::new(), LeftOut::NOTHING, message);
        for &len in pieces.iter().cycle() {
            let (piece, after) = rest.split_at(len.min(rest.len()));
            let out = left_out.leave_out(&kept, piece, PERIOD);
            kept.extend_from_slice(&piece[..out.start]);
            kept.extend_from_slice(&piece[out.end..]);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        (kept, left_out)
    }

    /// The rule itself, byte by byte.
    fn put_back(kept: &[u8], LeftOut { at, len }: LeftOut) -> Vec<u8> {
        let mut whole = kept[..at as usize].to_vec();
        for _ in 0..len {
            whole.push(whole[whole.len() - PERIOD]);
        }
        [&whole, &kept[at as usize..]].concat()
    }

    fn part() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(any::<u8>(), 0..400),
            vec(b' '..b'~', 0..400),
            (vec(b'a'..b'e', PERIOD), 0_usize..5_000).prop_map(|(period, len)| period
                .into_iter()
                .cycle()
                .take(len)
                .collect()),
            (0_u8..0xff, 0_usize..3_000).prop_map(|(byte, len)| vec![byte; len]),
        ]
    }

    proptest! {
        #[test]
        fn what_is_kept_of_any_message_is_all_that_is_needed_to_put_it_together_again(
            parts in vec(part(), 1..5),
            pieces in vec(1_usize..4_000, 1..6),
        ) {
            let message = parts.concat();
            let (mut kept, left_out) = kept(&message, &pieces);
            prop_assert_eq!(&put_back(&kept, left_out), &message);
            left_out.restore(&mut kept, PERIOD);
            prop_assert_eq!(&kept, &message);
        }

        /// Else a needle could be in the message and in nothing that is kept, or the reverse.
        #[test]
        fn whole_periods_are_left_out_and_one_is_kept_on_each_side(
            parts in vec(part(), 1..5),
            pieces in vec(1_usize..4_000, 1..6),
            needle in (any::<prop::sample::Index>(), 1_usize..=PERIOD),
        ) {
            let message = parts.concat();
            let (kept, left_out) = kept(&message, &pieces);
            prop_assume!(left_out != LeftOut::NOTHING);
            let (at, len) = (left_out.at as usize, left_out.len as usize);
            prop_assert_eq!(len % PERIOD, 0);
            prop_assert_eq!(&kept[at - PERIOD..at], &kept[at..at + PERIOD]);
            prop_assert!(kept[at - PERIOD..at].is_ascii());
            let start = needle.0.index(message.len());
            let needle = &message[start..message.len().min(start + needle.1)];
            prop_assert!(memchr::memmem::find(&kept, needle).is_some());
            let start = start.min(kept.len() - 1);
            let needle = &kept[start..kept.len().min(start + PERIOD)];
            prop_assert!(memchr::memmem::find(&message, needle).is_some());
        }
    }

    #[test]
    fn of_a_long_text_that_reads_cut_little_is_kept() {
        let words: Vec<u8> = (0..PERIOD as u8).map(|at| b' ' + at % 90).collect();
        let text: Vec<u8> = words.into_iter().cycle().take(64 << 10).collect();
        let message = [b"{\"text\":\"", &text[..], b"\"}"].concat();
        for pieces in [&[40_000][..], &[7, 65_000], &[16_384], &[1_448]] {
            let (kept, _) = kept(&message, pieces);
            let reads = message.len().div_ceil(pieces[0].max(pieces[pieces.len() - 1]));
            assert!(
                kept.len() <= 2 * BLOCK + (reads + 2) * (BLOCK + PERIOD),
                "{}: {pieces:?}",
                kept.len()
            );
        }
    }
}

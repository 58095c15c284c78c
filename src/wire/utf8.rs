//! Whether text that comes in parts can still become UTF-8.
//!
//! Belongs here: what of a character a part left open. Does not: which bytes are text (`decoder`), text that lies
//! there whole (`item`).

/// What a message's text so far ends with: a character of which bytes are missing, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenCharacter {
    bytes: [u8; 3],
    len: u8,
}

impl OpenCharacter {
    /// The text so far ends with a whole character.
    pub(super) const NONE: Self = Self { bytes: [0; 3], len: 0 };

    /// More of the text has come. False at the first byte that no UTF-8 has there (RFC 6455, section 8.1).
    #[cold]
    pub(super) fn goes_on_with(&mut self, mut more: &[u8]) -> bool {
        while self.len > 0
            && let [next, rest @ ..] = more
        {
            let mut character = [0; 4];
            let begun = usize::from(self.len);
            character[..begun].copy_from_slice(&self.bytes[..begun]);
            character[begun] = *next;
            if !self.keeps_end_of(&character[..=begun]) {
                return false;
            }
            more = rest;
        }
        more.is_empty() || self.keeps_end_of(more)
    }

    /// False where `text` holds a byte that no UTF-8 has there; else the character that it leaves open is kept.
    fn keeps_end_of(&mut self, text: &[u8]) -> bool {
        let open = match std::str::from_utf8(text) {
            Ok(_) => &[],
            Err(error) if error.error_len().is_some() => return false,
            Err(error) => &text[error.valid_up_to()..],
        };
        self.bytes[..open.len()].copy_from_slice(open);
        self.len = open.len() as u8;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The byte at which the text is known to be none: the oracle looks at every prefix as a whole.
    fn fails_at(text: &[u8]) -> Option<usize> {
        (1..=text.len()).find(|&len| {
            let looked = std::str::from_utf8(&text[..len]);
            looked.is_err_and(|error| error.error_len().is_some())
        })
    }

    proptest! {
        #[test]
        fn however_text_is_cut_its_first_bad_byte_is_told_when_it_comes(
            text in prop_oneof![
                "\\PC{0,12}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..12),
                prop::collection::vec(prop_oneof![Just(0xf0_u8), Just(0xe0), Just(0xed), Just(0x9f), Just(0x80)], 0..8),
            ],
            damaged: prop::sample::Index,
            by: u8,
            cuts in prop::collection::vec(1_usize..5, 1..12),
        ) {
            let mut text = text;
            if by > 200 && !text.is_empty() {
                let at = damaged.index(text.len());
                text[at] = by;
            }
            let (mut open, mut at) = (OpenCharacter::NONE, 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(text.len());
                let is_good = open.goes_on_with(&text[at..end]);
                prop_assert_eq!(is_good, fails_at(&text[..end]).is_none(), "{:?} to {}", text, end);
                at = end;
                if !is_good || at == text.len() {
                    break;
                }
            }
            if at == text.len() && fails_at(&text).is_none() {
                prop_assert_eq!(open.len == 0, std::str::from_utf8(&text).is_ok());
            }
        }
    }
}

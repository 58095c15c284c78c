//! What the end of a connection cuts off.
//!
//! Belongs here: the kinds of it, in words. Does not: telling which it was (`decoder`).

use std::fmt;

/// What the end of a socket cuts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// A frame.
    Frame {
        /// So many bytes of it had come.
        bytes: usize,
    },
    /// A message between two of its fragments.
    Message,
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { bytes: 1 } => f.write_str("inside a frame, after 1 byte of it"),
            Self::Frame { bytes } => write!(f, "inside a frame, after {bytes} bytes of it"),
            Self::Message => f.write_str("inside a message, between two of its fragments"),
        }
    }
}

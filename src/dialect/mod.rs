//! What a given cluster says inside frames.

/// A cluster's language.
#[derive(Clone, Debug)]
pub struct Dialect;

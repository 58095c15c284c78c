//! Both sides of something: A, and B that is held against it.

use schemars::JsonSchema;
use serde::Serialize;

/// The same of both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pair<T> {
    /// Side A: what it is compared with.
    pub a: T,
    /// Side B.
    pub b: T,
}

impl<T> Pair<T> {
    /// Of both.
    pub const fn new(a: T, b: T) -> Self {
        Self { a, b }
    }

    /// Something else of both.
    pub fn map<'a, U>(&'a self, of: impl Fn(&'a T) -> U) -> Pair<U> {
        Pair { a: of(&self.a), b: of(&self.b) }
    }
}

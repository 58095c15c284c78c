//! A picture as the template is given it: its drawing, and the words around it.
//!
//! Belongs here: the shape that `report.html` reads, and the keys of lines. Does not: what is drawn.

use serde::Serialize;

use super::table::Table;

/// The class of a line or an area, and of its key.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Key(pub(super) &'static str);

/// Of curves in the order in which they are drawn. They differ in dashes too, for who sees no colours.
pub(super) const KEYS: [Key; 6] =
    [Key("k0"), Key("k1"), Key("k2"), Key("k3"), Key("k4"), Key("k5")];

#[derive(Debug, Serialize)]
pub(super) struct Picture {
    pub(super) title: String,
    pub(super) says: String,
    pub(super) keys: Vec<(Key, &'static str)>,
    /// Elements, whose words are escaped already.
    pub(super) svg: String,
    pub(super) table: Option<Table>,
}

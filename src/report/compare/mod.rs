//! Two sides of several runs each, held against each other: what differs, by how much, and how sure that is.
//!
//! Belongs here: the comparison as it is kept (its keys are the published schema), and how it is made of results.
//! Does not: what a report says of it (`story`), reading files and making runs (`cli`).
//!
//! The run is the sample. Three runs of one plan differ by 20 % at the median, and whatever looks inside of one
//! pair of runs calls equal ones different: so figures are compared from run to run, by ranks (`ranks`), and what
//! is said of fewer runs is said of these runs alone (`within`).

mod answer;
mod comparison;
mod delivery;
mod differences;
mod figures;
pub mod gate;
mod pair;
pub mod ranks;
#[cfg(test)]
mod tests;
mod within;

pub use self::answer::{Answer, Change, Figure};
pub use self::comparison::{Comparison, Order, Runs, Side, Trial, compare, schema};
pub use self::delivery::{Account, Delivery};
pub use self::differences::Difference;
pub use self::figures::{Kind, Unit};
pub use self::pair::Pair;

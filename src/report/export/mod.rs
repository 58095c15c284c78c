//! A result in the forms of other tools: what dashboards, spreadsheets and continuous integration read already.
//!
//! Belongs here: a file for each form, over the document alone. Does not: our own formats (`json`, `text`, `html`),
//! where the bytes go (`cli`). What another form has no place for is left out, never put where it means something
//! else.

pub mod csv;
pub mod junit;
pub mod k6;
#[cfg(test)]
mod tests;
pub mod vegeta;

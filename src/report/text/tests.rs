//! Whole reports, as a person sees them.

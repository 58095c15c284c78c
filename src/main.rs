//! fanstorm: parse, plan, run, report, exit code.
fn main() {}

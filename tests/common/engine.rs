//! What a run in a test stands on where its engine does not matter: whatever this host grants.

use fanstorm::engine::ring::uring;

/// Flags that make these words of a run (or audit) work on this host: none where io_uring is to be had,
/// where they name an engine, or where they are another command's.
pub(crate) fn flags(words: &str) -> &'static [&'static str] {
    let first = words.split_whitespace().next().unwrap_or("audit");
    let runs = first.starts_with("--") || first == "audit";
    if runs && !words.contains("--engine") && uring::probe().is_err() {
        &["--engine", "epoll"]
    } else {
        &[]
    }
}

//! One capability, one owner: who may read the clock, start a thread, print, and so on.
//!
//! Belongs here: the table of owners and the rule for `unsafe`. Does not: the direction of the
//! rooms (`modules`). Code that is compiled for tests only is free, but for `unsafe`'s reasons.

use std::collections::BTreeSet;

use crate::modules::{Module, Modules};
use crate::source::{Source, Token, tokens};

struct Owned {
    /// Completes "… is owned by".
    what: &'static str,
    /// Paths, matched by whole names anywhere in a path; macros end in `!`.
    marks: &'static [&'static str],
    /// Paths that carry a mark and are harmless.
    except: &'static [&'static str],
    owners: &'static [&'static str],
    instead: &'static str,
}

const OWNED: &[Owned] = &[
    Owned {
        what: "reading a clock",
        marks: &["std::time::Instant", "std::time::SystemTime", "clock_gettime", "tokio::time"],
        except: &[],
        owners: &["src/host/clock.rs", "src/cluster/"],
        instead: "take `now: Nanos` as an argument, or ask `host::clock`",
    },
    Owned {
        what: "io_uring",
        marks: &["io_uring"],
        except: &[],
        owners: &["src/engine/ring/"],
        instead: "speak in completions through the `Ring` trait",
    },
    Owned {
        what: "starting threads",
        marks: &["std::thread"],
        except: &["std::thread::available_parallelism"],
        owners: &[
            "src/engine/fleet/crew.rs",
            "src/cluster/",
            "src/cli/resolve.rs",
            "src/cli/live.rs",
            "src/cli/metrics/mod.rs",
        ],
        instead: "let `engine::fleet` run it, or do it on the thread at hand",
    },
    Owned {
        what: "starting processes",
        marks: &[
            "std::process::Command",
            "std::process::Child",
            "std::os::unix::process::CommandExt",
        ],
        except: &[],
        owners: &["src/cluster/", "src/cli/grant.rs", "src/cli/compare_runs.rs"],
        instead: "ask `cluster` to start and end it",
    },
    Owned {
        what: "ending the program",
        marks: &["std::process::exit", "std::process::abort", "std::process::ExitCode"],
        except: &[],
        owners: &["src/main.rs", "src/cli/", "src/cluster/"],
        instead: "return an error or an outcome; `main` turns it into the exit code",
    },
    Owned {
        what: "the terminal",
        marks: &[
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "std::io::stdout",
            "std::io::stderr",
            "std::io::stdin",
            "indicatif",
        ],
        except: &[],
        owners: &["src/main.rs", "src/cli/", "src/cluster/", "src/report/progress.rs"],
        instead: "write to a given `Write`",
    },
    Owned {
        what: "clap",
        marks: &["clap"],
        except: &[],
        owners: &["src/cli/"],
        instead: "take a parsed type; `cli` makes it from the argument",
    },
    Owned {
        what: "JSON",
        marks: &["simd_json"],
        except: &[],
        owners: &["src/report/", "src/population/", "src/cli/", "src/cluster/"],
        instead: "search the bytes (`memchr::memmem`) on the hot path, parse before or after it",
    },
    Owned {
        what: "tokio",
        marks: &["tokio", "tokio_uring"],
        except: &[],
        owners: &["src/cluster/"],
        instead: "the client's loop is `engine::worker` on a `Ring`",
    },
    Owned {
        what: "TLS",
        marks: &["rustls", "rustls_native_certs", "webpki"],
        except: &["rustls::pki_types"],
        owners: &["src/tls/", "src/engine/connection/transport/tls.rs", "src/cli/discover/"],
        instead: "ask `tls` for a client, or `engine::connection::transport` for a connection",
    },
    Owned {
        what: "a second crate for a job that has one",
        marks: &["serde_json", "libc", "socket2", "nix"],
        except: &[],
        owners: &[],
        instead: "use `simd_json` for JSON and `rustix` for system calls",
    },
];

/// The files where `unsafe` may stand: memory shared with the kernel, and vectors that not every CPU has.
const UNSAFE_FILES: [&str; 3] =
    ["src/engine/ring/uring.rs", "src/engine/ring/buffers.rs", "src/dialect/stencil/avx2.rs"];

/// Uses of a capability outside its owner's files.
pub(crate) fn trespasses(modules: &Modules, sources: &[Source]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for module in &modules.all {
        found.extend(path_trespasses(module));
    }
    for source in sources.iter().filter(|s| s.path.starts_with("src/") && s.is_rust()) {
        found.extend(macro_trespasses(source));
    }
    found.into_iter().collect()
}

fn path_trespasses(module: &Module) -> Vec<String> {
    let mut found = Vec::new();
    for reference in module.references.iter().filter(|r| !r.ours) {
        let path = reference.path.join("::");
        for owned in OWNED.iter().filter(|owned| owned.bars(&module.file)) {
            let marked = owned.marks.iter().any(|mark| has_names(&path, mark));
            if marked && !owned.except.iter().any(|fine| has_names(&path, fine)) {
                found.push(owned.text(&module.file, reference.line, &path));
            }
        }
    }
    found
}

fn macro_trespasses(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for pair in tokens(&source.shipped).windows(2).filter(|pair| pair[1].text == "!") {
        let name = format!("{}!", pair[0].text);
        for owned in OWNED.iter().filter(|owned| owned.bars(&source.path)) {
            if owned.marks.contains(&name.as_str()) {
                found.push(owned.text(&source.path, pair[0].line, &name));
            }
        }
    }
    found
}

impl Owned {
    fn bars(&self, file: &str) -> bool {
        !self.owners.iter().any(|owner| file.starts_with(owner))
    }

    fn text(&self, file: &str, line: usize, used: &str) -> String {
        let owner = match self.owners {
            [] => "nobody".to_owned(),
            owners => owners.join(", "),
        };
        format!("{file}:{line}: `{used}`: {} is owned by {owner}; {}", self.what, self.instead)
    }
}

/// True when the names of `mark` stand one after the other in `path`.
fn has_names(path: &str, mark: &str) -> bool {
    let names: Vec<&str> = path.split("::").collect();
    let wanted: Vec<&str> = mark.split("::").collect();
    names.windows(wanted.len()).any(|window| window == wanted)
}

/// `unsafe` outside its files, or without its reason.
pub(crate) fn careless_unsafe(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| s.is_rust()) {
        let all = tokens(&source.code);
        for (index, token) in all.iter().enumerate().filter(|(_, t)| t.text == "unsafe") {
            let has_home = UNSAFE_FILES.contains(&source.path.as_str());
            if !has_home && source.path.starts_with("src/") {
                found.push(format!(
                    "{}:{}: `unsafe` is allowed in {} only; use `rustix`, or move it there",
                    source.path,
                    token.line,
                    UNSAFE_FILES.join(", ")
                ));
            }
            if !has_reason(source, &all, index) {
                found.push(format!(
                    "{}:{}: `unsafe` without its reason: put `// SAFETY: why it holds` above it \
                     (`# Safety` in the docs of an unsafe fn or trait)",
                    source.path, token.line
                ));
            }
        }
    }
    found
}

/// Looks through the comments between the end of the statement before and the `unsafe`.
fn has_reason(source: &Source, all: &[Token<'_>], index: usize) -> bool {
    let kind = all.get(index + 1).map_or("", |t| t.text);
    let mark = if matches!(kind, "fn" | "trait") { "# Safety" } else { "SAFETY:" };
    // A pointer type `unsafe fn(…)` and a method of an unsafe trait's impl carry no contract.
    let named = all.get(index + 2).is_some_and(Token::is_name);
    if kind == "fn" && (!named || in_unsafe_impl(all, index)) {
        return true;
    }
    let before = all[..index].iter().rev().find(|t| matches!(t.text, ";" | "{" | "}" | ","));
    let start = before.map_or(0, |t| t.at);
    source.comments[start..all[index].at].contains(mark)
}

/// `unsafe impl GlobalAlloc for …` has methods whose contract is the trait's own.
fn in_unsafe_impl(all: &[Token<'_>], index: usize) -> bool {
    let starts =
        (0..index).filter(|&i| all[i].text == "impl" && i > 0 && all[i - 1].text == "unsafe");
    starts.into_iter().any(|i| {
        let open = (i..index).find(|&j| all[j].text == "{");
        open.is_some_and(|open| crate::source::closing(all, open) > index)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trespass(path: &str, text: &str) -> String {
        let sources = [Source::new(path, text)];
        trespasses(&Modules::read(&sources), &sources).join("\n")
    }

    #[test]
    fn each_capability_is_refused_outside_its_owner_and_allowed_inside() {
        let cases = [
            ("use std::time::Instant;", "src/host/clock.rs"),
            ("use std::time as t; fn f() { t::SystemTime::now(); }", "src/host/clock.rs"),
            ("use rustix::time::clock_gettime;", "src/host/clock.rs"),
            ("use io_uring::IoUring;", "src/engine/ring/uring.rs"),
            ("use std::thread; fn f() { thread::spawn(g); }", "src/engine/fleet/crew.rs"),
            ("fn f() { std::thread::sleep(d) }", "src/cluster/node.rs"),
            ("use std::process::{self, Command};", "src/cluster/children.rs"),
            ("fn f() { std::process::exit(1) }", "src/main.rs"),
            ("fn f() { println!(\"x\") }", "src/cli/progress.rs"),
            ("use std::io; fn f() { io::stdout(); }", "src/main.rs"),
            ("use clap::Parser;", "src/cli/args.rs"),
            ("use simd_json::to_string;", "src/report/json.rs"),
            ("use tokio_uring::net::TcpListener;", "src/cluster/node.rs"),
        ];
        for (text, owner) in cases {
            assert!(trespass("src/wire/frame.rs", text).contains("is owned by"), "{text}");
            assert_eq!(trespass(owner, text), "", "{text} in {owner}");
        }
    }

    #[test]
    fn a_second_crate_for_a_job_that_has_one_is_refused_everywhere() {
        assert!(trespass("src/cluster/node.rs", "use serde_json::Value;").contains("simd_json"));
    }

    #[test]
    fn what_only_looks_like_a_capability_is_fine() {
        for text in [
            "// println!(\"in a comment\")\n",
            "const S: &str = \"std::thread::spawn println!\";",
            "fn f() { std::thread::available_parallelism(); }",
            "use crate::engine::ring::io_uring;",
            "#[cfg(test)] mod tests { fn f() { println!(\"x\"); std::thread::spawn(g); } }",
            "use std::time::Duration;",
        ] {
            assert_eq!(trespass("src/wire/frame.rs", text), "", "{text}");
        }
    }

    fn unsafes(path: &str, text: &str) -> String {
        careless_unsafe(&[Source::new(path, text)]).join("\n")
    }

    #[test]
    fn unsafe_needs_its_home_and_its_reason() {
        let home = "src/engine/ring/uring.rs";
        let bare = "fn f() { unsafe { g() } }";
        let reasoned =
            "fn f() {\n    a();\n    // SAFETY: g is fine.\n    let x = unsafe { g() };\n}";
        let far = "// SAFETY: of another one.\nfn a() {}\nfn f() { unsafe { g() } }";
        assert!(unsafes("src/wire/mod.rs", reasoned).contains("is allowed in"));
        assert!(unsafes(home, bare).contains("without its reason"));
        assert!(unsafes(home, far).contains("without its reason"));
        assert_eq!(unsafes(home, reasoned), "");
        assert!(unsafes(home, "/// Doc.\nunsafe fn f() {}").contains("without its reason"));
        assert_eq!(unsafes(home, "/// # Safety\n/// Call it twice.\nunsafe fn f() {}"), "");
    }

    #[test]
    fn an_allocator_in_a_test_needs_a_reason_but_no_home() {
        let text = "// SAFETY: it forwards.\nunsafe impl GlobalAlloc for A {\n    unsafe fn alloc(&self) {\
                    \n        // SAFETY: same contract.\n        unsafe { System.alloc() }\n    }\n}";
        assert_eq!(unsafes("tests/no_alloc.rs", text), "");
        assert!(unsafes("tests/no_alloc.rs", &text.replace("SAFETY", "safe")).contains("reason"));
    }

    #[test]
    fn unsafe_in_any_other_file_is_refused() {
        let text = "// SAFETY: x.\nunsafe impl Send for A {}";
        for file in UNSAFE_FILES {
            assert_eq!(unsafes(file, text), "");
        }
        for file in ["src/engine/ring/epoll.rs", "src/dialect/stencil/mod.rs"] {
            assert!(unsafes(file, text).contains("is allowed in src/engine/ring/uring.rs, "));
        }
    }
}

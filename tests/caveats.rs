//! The table of all caveats is made from the rules and says what they say.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{env, fs};

use fanstorm::verdict;
use fanstorm::verdict::Trust;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verdict.md");

fn page() -> String {
    let mut page = String::from(
        "# The verdict, and what each caveat means\n\
         \n\
         Each trial has a verdict, the worst of its caveats: `ok` (there is none), `degraded` (the numbers\n\
         describe the cluster, within what the caveats say) or `void` (they describe the generator: do not\n\
         use them). A caveat in a report or a result file has its code, a sentence with its figures, and a\n\
         remedy. Codes are a contract: scripts may filter by them. A missing or duplicate copy is no caveat\n\
         but a result.\n\
         \n\
         This table is made from the rules in `src/verdict/` (`FANSTORM_BLESS=1 cargo test --test caveats`).\n\
         \n\
         | code | severity | meaning |\n\
         |---|---|---|\n",
    );
    for kind in verdict::kinds() {
        let severities = kind.severities.iter().map(|severity| match severity {
            Trust::Ok => unreachable!("no caveat is ok"),
            Trust::Degraded => "degraded",
            Trust::Void => "void",
        });
        let severities: Vec<_> = severities.collect();
        let _ =
            writeln!(page, "| `{}` | {} | {} |", kind.code, severities.join(" or "), kind.meaning);
    }
    page
}

#[test]
fn the_table_of_caveats_says_what_the_rules_say() {
    if env::var_os("FANSTORM_BLESS").is_some() {
        fs::write(PAGE, page()).unwrap();
    }
    let told = "docs/verdict.md is old: FANSTORM_BLESS=1 cargo test --test caveats";
    assert_eq!(fs::read_to_string(PAGE).unwrap(), page(), "{told}");
}

#[test]
fn every_code_is_in_kebab_case_and_belongs_to_one_kind_of_caveat() {
    let mut seen = BTreeSet::new();
    for kind in verdict::kinds() {
        let kebab = kind.code.split('-').all(|word| {
            !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
        assert!(kebab && seen.insert(kind.code), "{}", kind.code);
        assert!(kind.meaning.ends_with('.') && !kind.severities.is_empty(), "{}", kind.code);
    }
}

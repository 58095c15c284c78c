//! Words of a command line that are URLs, and texts that repeat them.
//!
//! Belongs here: finding them, so that no secret in one is shown or recorded. Does not: what of a URL may be shown
//! (`population::shown_url`).

use crate::population::shown_url::shown;

/// Flags whose values are URLs, whatever they look like.
const FLAGS: [&str; 3] = ["--node", "--push-node", "--discovery"];

/// The URLs among `words` of which something may not be shown, each with what may be.
pub(super) fn secret_urls(words: &[String]) -> Vec<(String, String)> {
    let mut follows_flag = false;
    let mut found = Vec::new();
    for word in words {
        let (flag, value) = match word.split_once('=').filter(|_| word.starts_with("--")) {
            Some((flag, value)) => (Some(flag), value),
            None => (None, word.as_str()),
        };
        let is_flagged = follows_flag || flag.is_some_and(|flag| FLAGS.contains(&flag));
        follows_flag = FLAGS.contains(&word.as_str());
        let safe = shown(value);
        if (is_flagged || has_scheme(value)) && safe != value {
            found.push((value.to_owned(), safe));
        }
    }
    // One may be the beginning of another.
    found.sort_by_key(|(url, _)| std::cmp::Reverse(url.len()));
    found
}

/// A text without the secrets of these URLs.
pub(super) fn without_secrets(text: &str, urls: &[(String, String)]) -> String {
    urls.iter().fold(text.to_owned(), |text, (url, safe)| text.replace(url, safe))
}

fn has_scheme(value: &str) -> bool {
    let scheme = value.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_secret_of_a_url_is_left_wherever_it_is_repeated(secret in "[a-z0-9]{6,20}", before in "[A-Z ]{0,9}") {
            for words in [
                vec![format!("ws://h/?T={secret}")],
                vec!["--node".to_owned(), format!("U:{secret}@h:80")],
                vec![format!("--discovery=h/?T={secret}")],
                vec![format!("--node=ws://{secret}@h/?A=1&T={secret}"), "--node".into(), format!("ws://{secret}@h/")],
            ] {
                let urls = secret_urls(&words);
                for word in &words {
                    let told = format!("{before}invalid value '{word}' for '--node <URL>'");
                    let safe = without_secrets(&told, &urls);
                    prop_assert!(!safe.contains(&secret), "{}", safe);
                }
            }
            let other = ["--opening".to_owned(), format!(r#"{{"to":"ws://h/?T={secret}"}}"#), format!("--set=a?b={secret}")];
            prop_assert_eq!(secret_urls(&other), []);
        }
    }
}

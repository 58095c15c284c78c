//! Signatures that a server computes as well: HMAC-SHA-256 (RFC 2104, FIPS 180-4) in hexadecimal.
//!
//! Belongs here: signing, and which names are those of secrets. Does not: what is signed (`dialect::pattern`).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Digits of a signature.
pub(super) const SIGNATURE_LEN: usize = 64;

/// A key, which is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn new(secret: &str) -> Self {
        Self(secret.as_bytes().to_vec())
    }

    /// The signature of `message`, in lower case.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("keys of any length are fine");
        mac.update(message);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Whether a parameter of this name is a secret by its name: no output repeats what `--set` gives it.
pub fn is_secret(parameter: &str) -> bool {
    const WORDS: [&str; 7] = ["auth", "token", "secret", "pass", "jwt", "credential", "initial"];
    let name = parameter.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_rfc_4231_and_of_pushers_documentation() {
        // RFC 4231, section 4.3.
        let jefe = Key::new("Jefe").sign(b"what do ya want for nothing?");
        assert_eq!(jefe, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let pusher = Key::new("7ad3773142a6692b25b8").sign(b"1234.1234:private-foobar");
        assert_eq!(pusher, "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4");
        assert_eq!(pusher.len(), SIGNATURE_LEN);
        assert_eq!(format!("{:?}", Key::new("Jefe")), "[hidden]");
    }

    #[test]
    fn names_of_secrets_are_told_from_those_of_rooms() {
        assert!(
            ["passcode", "secret", "access_token", "initial"].iter().all(|name| is_secret(name))
        );
        assert!(!["room", "key", "topic", "app", "login"].iter().any(|name| is_secret(name)));
    }
}

//! An endpoint's signing secrets: sealed together, and rotated with an overlap.
//!
//! What is sealed is JSON, newest first: `[{"secret": "whsec_…", "until": null | "<RFC 3339>"}]`. The newest has no
//! `until`; the others sign beside it until theirs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    seal::{SealError, SealKeys},
    signature::{Secret, SecretError},
};

/// How long the secret before still signs after a rotation.
const OVERLAP_S: i64 = 86_400;
/// The most secrets that sign at once.
const MAX_SECRETS: usize = 5;
/// More than one entry takes as JSON, so that the text is written without being moved.
const ENTRY_BYTES: usize = 192;

/// The secrets that sign for one endpoint, newest first; never none. Prints as `[REDACTED]`; wiped when dropped.
#[derive(Debug, Clone)]
pub struct SigningSecrets {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    secret: Secret,
    /// Until when it signs too; `None` for the newest.
    until: Option<DateTime<Utc>>,
}

/// An entry as it is sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    secret: Zeroizing<String>,
    until: Option<DateTime<Utc>>,
}

/// Why sealed bytes are not an endpoint's signing secrets. Never repeats them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// They cannot be opened with these keys for this endpoint.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// What was sealed is not the JSON of signing secrets, or holds none.
    #[error("what is sealed is not a list of signing secrets")]
    Shape,
    /// One of them is no secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl SigningSecrets {
    /// One secret, which signs alone.
    pub fn one(secret: Secret) -> Self {
        Self { entries: vec![Entry { secret, until: None }] }
    }

    /// Opens what [`SigningSecrets::seal`] made for the same endpoint.
    pub fn open(keys: &SealKeys, endpoint_name: &str, sealed: &[u8]) -> Result<Self, OpenError> {
        let text = keys.open(sealed, endpoint_name)?;
        let stored: Vec<Stored> = serde_json::from_slice(&text).map_err(|_| OpenError::Shape)?;
        if stored.is_empty() {
            return Err(OpenError::Shape);
        }
        let read = |one: Stored| Ok(Entry { secret: Secret::parse(&one.secret)?, until: one.until });
        Ok(Self { entries: stored.into_iter().map(read).collect::<Result<_, SecretError>>()? })
    }

    /// Seals them for the endpoint of this name. `nonce` must be random and new for every call.
    pub fn seal(&self, keys: &SealKeys, endpoint_name: &str, nonce: [u8; 24]) -> Result<Vec<u8>, SealError> {
        let stored = self.entries.iter().map(|one| Stored { secret: one.secret.to_string_secret(), until: one.until });
        let stored: Vec<Stored> = stored.collect();
        let mut text = Zeroizing::new(Vec::with_capacity(stored.len().saturating_mul(ENTRY_BYTES)));
        // Only a list too long for memory cannot be written.
        serde_json::to_writer(&mut *text, &stored).map_err(|_| SealError::TooLong)?;
        keys.seal(&text, endpoint_name, nonce)
    }

    /// Puts a new secret in front. With `keep_old` the one that signed till now goes on for 24 hours, and those from
    /// before until their end; at most five sign, each once.
    pub fn rotate(&mut self, new: Secret, now_unix: i64, keep_old: bool) {
        let mut entries = vec![Entry { secret: new, until: None }];
        let overlap = DateTime::from_timestamp(now_unix.saturating_add(OVERLAP_S), 0);
        for entry in self.entries.drain(..).filter(|_| keep_old) {
            let until = entry.until.or(overlap);
            let active = until.is_some_and(|until| until.timestamp() > now_unix);
            let listed = entries.iter().any(|one| one.secret.expose_bytes() == entry.secret.expose_bytes());
            if active && !listed {
                entries.push(Entry { until, ..entry });
            }
        }
        entries.truncate(MAX_SECRETS);
        self.entries = entries;
    }

    /// Those that sign at this time, newest first.
    pub fn active(&self, now_unix: i64) -> Vec<Secret> {
        let signing = |entry: &&Entry| entry.until.is_none_or(|until| until.timestamp() > now_unix);
        self.entries.iter().filter(signing).map(|entry| entry.secret.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NOW: i64 = 1_800_000_000;

    fn keys() -> SealKeys {
        SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap()
    }

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes(&[byte; 32]).unwrap()
    }

    /// The first byte of each, which tells the secrets of these tests apart.
    fn active(secrets: &SigningSecrets, now_unix: i64) -> Vec<u8> {
        secrets.active(now_unix).iter().map(|secret| secret.expose_bytes()[0]).collect()
    }

    fn open_text(text: &str) -> Result<SigningSecrets, OpenError> {
        SigningSecrets::open(&keys(), "pdf", &keys().seal(text.as_bytes(), "pdf", [3; 24]).unwrap())
    }

    #[test]
    fn what_is_sealed_has_the_stored_shape_and_opens_again() {
        let mut secrets = SigningSecrets::one(secret(1));
        secrets.rotate(Secret::parse(TEXT).unwrap(), NOW, true);
        let sealed = secrets.seal(&keys(), "pdf", [3; 24]).unwrap();
        let text = String::from_utf8(keys().open(&sealed, "pdf").unwrap().to_vec()).unwrap();
        let old = secret(1).to_string_secret();
        let old = old.as_str();
        let shape =
            format!(r#"[{{"secret":"{TEXT}","until":null}},{{"secret":"{old}","until":"2027-01-16T08:00:00Z"}}]"#);
        assert_eq!(text, shape);
        let opened = SigningSecrets::open(&keys(), "pdf", &sealed).unwrap();
        assert_eq!(active(&opened, NOW), active(&secrets, NOW));
    }

    #[test]
    fn an_entry_of_the_longest_secret_fits_the_room_made_for_it() {
        let until = DateTime::from_timestamp(NOW, 999_999_999);
        let stored = Stored { secret: Secret::from_bytes(&[255; 64]).unwrap().to_string_secret(), until };
        assert!(serde_json::to_vec(&[stored]).unwrap().len() < ENTRY_BYTES);
    }

    #[test]
    fn secrets_open_for_their_own_endpoint_only() {
        let sealed = SigningSecrets::one(secret(1)).seal(&keys(), "pdf", [3; 24]).unwrap();
        let error = SigningSecrets::open(&keys(), "other", &sealed).unwrap_err();
        assert_eq!(error, OpenError::Sealed(SealError::Damaged));
    }

    #[test]
    fn what_is_no_list_of_secrets_is_refused() {
        for text in ["", "{}", "[]", "[1]", r#"[{"secret":1,"until":null}]"#, r#"[{"secret":"x","until":"soon"}]"#] {
            assert_eq!(open_text(text).unwrap_err(), OpenError::Shape, "{text}");
        }
        let error = open_text(r#"[{"secret":"whsec_AAAA","until":null}]"#).unwrap_err();
        assert_eq!(error, OpenError::Secret(SecretError::Length));
    }

    #[test]
    fn a_rotation_keeps_the_secret_before_for_a_day() {
        let mut secrets = SigningSecrets::one(secret(1));
        secrets.rotate(secret(2), NOW, true);
        assert_eq!(active(&secrets, NOW + 86_399), [2, 1]);
        assert_eq!(active(&secrets, NOW + 86_400), [2]);
    }

    #[test]
    fn a_second_rotation_does_not_lengthen_the_first_overlap() {
        let mut secrets = SigningSecrets::one(secret(1));
        secrets.rotate(secret(2), NOW, true);
        secrets.rotate(secret(3), NOW + 1000, true);
        assert_eq!(active(&secrets, NOW + 86_399), [3, 2, 1]);
        assert_eq!(active(&secrets, NOW + 86_400), [3, 2]);
    }

    #[test]
    fn a_rotation_forgets_what_signs_no_more() {
        let over = r#"{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","until":"1970-01-01T00:00:01Z"}"#;
        let newest = secret(1).to_string_secret();
        let newest = newest.as_str();
        let mut secrets = open_text(&format!(r#"[{{"secret":"{newest}","until":null}},{over}]"#)).unwrap();
        secrets.rotate(secret(2), NOW, true);
        assert_eq!(active(&secrets, 0), [2, 1]);
    }

    #[test]
    fn a_rotation_can_drop_the_secret_before_at_once() {
        let mut secrets = SigningSecrets::one(secret(1));
        secrets.rotate(secret(2), NOW, false);
        assert_eq!(active(&secrets, NOW), [2]);
    }

    #[test]
    fn rotations_in_a_row_keep_five_and_the_same_secret_once() {
        let mut secrets = SigningSecrets::one(secret(1));
        secrets.rotate(secret(1), NOW, true);
        assert_eq!(active(&secrets, NOW), [1]);
        secrets.rotate(secret(2), NOW, true);
        secrets.rotate(secret(1), NOW, true);
        assert_eq!(active(&secrets, NOW), [1, 2]);
        for byte in 3..=9 {
            secrets.rotate(secret(byte), NOW, true);
        }
        assert_eq!(active(&secrets, NOW), [9, 8, 7, 6, 5]);
    }

    #[test]
    fn signing_secrets_cannot_be_printed() {
        let shown = format!("{:?}", SigningSecrets::one(Secret::parse(TEXT).unwrap()));
        assert_eq!(shown, "SigningSecrets { entries: [Entry { secret: Secret([REDACTED]), until: None }] }");
    }
}

//! An endpoint's signing secrets: made, sealed together, and rotated with an overlap.

use chrono::{DateTime, SecondsFormat, Utc};
use posthaste_protocol::{problem::Code, seal::SealKeys, signature::Secret};
use posthaste_service::{clock, entropy};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::ApiError;

/// How long the secret before still signs after a rotation.
const OVERLAP_S: i64 = 86_400;
/// The most secrets that sign at once.
const MAX_SECRETS: usize = 5;

/// One entry of what is sealed: `[{"secret": "whsec_…", "until": null | "<RFC 3339>"}]`, newest first.
#[derive(Serialize, Deserialize)]
struct Entry {
    secret: Zeroizing<String>,
    until: Option<DateTime<Utc>>,
}

/// A new random secret of 32 bytes.
pub fn mint() -> Result<Secret, ApiError> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy::fill(bytes.as_mut_slice());
    Secret::from_bytes(bytes.as_slice()).map_err(|_| ApiError::internal())
}

/// The keys that seal; 503 without them.
pub fn keys(keys: Option<&SealKeys>) -> Result<&SealKeys, ApiError> {
    keys.ok_or_else(|| {
        ApiError::new(Code::SecretKeysMissing, "set POSTHASTE_SECRET_KEYS so that endpoint secrets can be sealed")
    })
}

/// Seals one secret as the only one of an endpoint.
pub fn seal(keys: &SealKeys, endpoint: &str, secret: &Secret) -> Result<Vec<u8>, ApiError> {
    seal_entries(keys, endpoint, &[Entry { secret: secret.to_string_secret(), until: None }])
}

/// Seals a new secret in front of those that are sealed; the one that signed till now goes on for 24 hours.
pub fn rotate(keys: &SealKeys, endpoint: &str, sealed: &[u8], secret: &Secret) -> Result<Vec<u8>, ApiError> {
    let opened = keys.open(sealed, endpoint).map_err(|error| {
        tracing::error!(%error, endpoint.name = endpoint, "an endpoint's secrets cannot be opened");
        ApiError::new(Code::Conflict, "the present secrets cannot be opened with the configured keys; PUT a new secret")
    })?;
    let present: Vec<Entry> = serde_json::from_slice(&opened).map_err(|_| ApiError::internal())?;
    let now = clock::unix_now();
    let mut entries = vec![Entry { secret: secret.to_string_secret(), until: None }];
    for entry in present {
        let until = entry.until.or_else(|| DateTime::from_timestamp(now + OVERLAP_S, 0));
        let active = until.is_some_and(|until| until.timestamp() > now);
        if active && *entry.secret != *entries[0].secret {
            entries.push(Entry { until, ..entry });
        }
    }
    entries.truncate(MAX_SECRETS);
    seal_entries(keys, endpoint, &entries)
}

fn seal_entries(keys: &SealKeys, endpoint: &str, entries: &[Entry]) -> Result<Vec<u8>, ApiError> {
    let text = Zeroizing::new(serde_json::to_vec(entries).map_err(|_| ApiError::internal())?);
    let mut nonce = [0; 24];
    entropy::fill(&mut nonce);
    keys.seal(&text, endpoint, nonce).map_err(|error| {
        tracing::error!(%error, "a secret cannot be sealed");
        ApiError::internal()
    })
}

/// A time as every answer writes it.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> SealKeys {
        SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap()
    }

    fn opened(keys: &SealKeys, sealed: &[u8]) -> Vec<Entry> {
        serde_json::from_slice(&keys.open(sealed, "pdf").unwrap()).unwrap()
    }

    #[test]
    fn a_rotation_keeps_the_secret_before_for_a_day() {
        let keys = ring();
        let (old, new) = (mint().unwrap(), mint().unwrap());
        let sealed = seal(&keys, "pdf", &old).unwrap();
        let rotated = rotate(&keys, "pdf", &sealed, &new).unwrap();
        let entries = opened(&keys, &rotated);
        assert_eq!(entries.len(), 2);
        assert_eq!((&entries[0].secret, entries[0].until), (&new.to_string_secret(), None));
        assert_eq!(entries[1].secret, old.to_string_secret());
        let left = entries[1].until.unwrap().timestamp() - clock::unix_now();
        assert!((86_390..=86_400).contains(&left), "{left}");
    }

    #[test]
    fn rotations_in_a_row_keep_a_few_and_the_same_secret_once() {
        let keys = ring();
        let first = mint().unwrap();
        let mut sealed = seal(&keys, "pdf", &first).unwrap();
        sealed = rotate(&keys, "pdf", &sealed, &first).unwrap();
        assert_eq!(opened(&keys, &sealed).len(), 1);
        for _ in 0..10 {
            sealed = rotate(&keys, "pdf", &sealed, &mint().unwrap()).unwrap();
        }
        assert_eq!(opened(&keys, &sealed).len(), MAX_SECRETS);
    }

    #[test]
    fn what_cannot_be_opened_is_a_conflict() {
        let keys = ring();
        let sealed = seal(&keys, "pdf", &mint().unwrap()).unwrap();
        assert_eq!(rotate(&keys, "other", &sealed, &mint().unwrap()).unwrap_err().problem().status, 409);
    }
}

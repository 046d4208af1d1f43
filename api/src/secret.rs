//! An endpoint's signing secrets: made, sealed and rotated for the answers of this room.

use chrono::{DateTime, SecondsFormat, Utc};
use posthaste_protocol::{problem::Code, seal::SealKeys, signature::Secret, signing::SigningSecrets};
use posthaste_service::{clock, entropy};
use zeroize::Zeroizing;

use crate::error::ApiError;

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
    seal_all(keys, endpoint, &SigningSecrets::one(secret.clone()))
}

/// Seals a new secret in front of those that are sealed; the one that signed till now goes on for 24 hours.
pub fn rotate(keys: &SealKeys, endpoint: &str, sealed: &[u8], secret: &Secret) -> Result<Vec<u8>, ApiError> {
    let mut secrets = SigningSecrets::open(keys, endpoint, sealed).map_err(|error| {
        tracing::error!(%error, endpoint.name = endpoint, "an endpoint's secrets cannot be opened");
        ApiError::new(Code::Conflict, "the present secrets cannot be opened with the configured keys; PUT a new secret")
    })?;
    secrets.rotate(secret.clone(), clock::unix_now(), true);
    seal_all(keys, endpoint, &secrets)
}

fn seal_all(keys: &SealKeys, endpoint: &str, secrets: &SigningSecrets) -> Result<Vec<u8>, ApiError> {
    let mut nonce = [0; 24];
    entropy::fill(&mut nonce);
    secrets.seal(keys, endpoint, nonce).map_err(|error| {
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

    #[test]
    fn a_rotation_signs_with_the_new_secret_and_the_one_before() {
        let keys = ring();
        let (old, new) = (mint().unwrap(), mint().unwrap());
        let rotated = rotate(&keys, "pdf", &seal(&keys, "pdf", &old).unwrap(), &new).unwrap();
        let active = SigningSecrets::open(&keys, "pdf", &rotated).unwrap().active(clock::unix_now());
        let active: Vec<_> = active.iter().map(Secret::to_string_secret).collect();
        assert_eq!(active, [new.to_string_secret(), old.to_string_secret()]);
    }

    #[test]
    fn what_cannot_be_opened_is_a_conflict() {
        let keys = ring();
        let sealed = seal(&keys, "pdf", &mint().unwrap()).unwrap();
        assert_eq!(rotate(&keys, "other", &sealed, &mint().unwrap()).unwrap_err().problem().status, 409);
    }
}

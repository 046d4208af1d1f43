//! The idempotency key of a dispatch request: the same for every attempt of a job, new after each resume.
//!
//! 22 characters: unpadded base64url of the first 16 bytes of a BLAKE3 `derive_key` hash over, all big-endian:
//!
//! | part | bytes |
//! |---|---|
//! | installation, a UUID | 16 |
//! | job id | 8 |
//! | the job's creation, microseconds since 1970 | 8 |
//! | resume number, 0 before the first resume | 4 |
//! | attempt number (endpoint option `attempt`), or 0 | 4 |
//!
//! The creation time and the installation keep two databases, or one that was restored and reuses ids, from
//! answering each other's requests. It serves as `webhook-id` too, and base64url holds no dot.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};

const CONTEXT: &str = "posthaste 2026-11-21 dispatch idempotency key v1";

/// The length of a key, in characters.
pub const KEY_CHARS: usize = 22;

/// Everything that a key depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyParts {
    /// The bytes of the installation's UUID.
    pub installation: [u8; 16],
    /// The job.
    pub job_id: i64,
    /// When it was enqueued, in microseconds since 1970.
    pub created_at_micros: i64,
    /// How often it was resumed.
    pub resume: u32,
    /// The attempt, from 1, where the endpoint asks for a new key after each known failure; else none.
    pub attempt: Option<u32>,
}

impl KeyParts {
    /// The key: [`KEY_CHARS`] characters of `A–Z a–z 0–9 - _`.
    pub fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.installation);
        hasher.update(&self.job_id.to_be_bytes());
        hasher.update(&self.created_at_micros.to_be_bytes());
        hasher.update(&self.resume.to_be_bytes());
        hasher.update(&self.attempt.unwrap_or(0).to_be_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: KeyParts = KeyParts {
        installation: [7; 16],
        job_id: 42,
        created_at_micros: 1_795_248_000_000_000,
        resume: 0,
        attempt: None,
    };

    #[test]
    fn a_key_has_twenty_two_characters_and_no_dot() {
        for job_id in 0..1000 {
            let key = KeyParts { job_id, ..PARTS }.key();
            assert_eq!(key.len(), KEY_CHARS);
            assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{key}");
        }
    }

    #[test]
    fn every_part_matters() {
        let keys = [
            PARTS.key(),
            KeyParts { installation: [8; 16], ..PARTS }.key(),
            KeyParts { job_id: 43, ..PARTS }.key(),
            KeyParts { created_at_micros: 1, ..PARTS }.key(),
            KeyParts { resume: 1, ..PARTS }.key(),
            KeyParts { attempt: Some(1), ..PARTS }.key(),
        ];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(PARTS.key(), PARTS.key());
    }
}

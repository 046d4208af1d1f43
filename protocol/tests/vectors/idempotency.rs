//! Idempotency keys of dispatches.

use posthaste_protocol::idempotency::KeyParts;
use serde::Deserialize;
use serde_json::json;

use super::check;

#[test]
fn idempotency_keys_are_as_published() {
    #[derive(Deserialize)]
    struct Given {
        installation_hex: String,
        job_id: i64,
        created_at_micros: i64,
        resume: u32,
        attempt: Option<u32>,
    }

    check(include_str!("../../../tests/vectors/idempotency.json"), |given: &Given| {
        let mut installation = [0; 16];
        hex::decode_to_slice(&given.installation_hex, &mut installation).expect("sixteen bytes");
        let Given { job_id, created_at_micros, resume, attempt, .. } = *given;
        let parts = KeyParts { installation, job_id, created_at_micros, resume, attempt };
        Ok(json!({"key": parts.key()}))
    });
}

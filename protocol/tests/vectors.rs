//! The shared vectors: what other languages must reproduce byte for byte.

use posthaste_protocol::idempotency::KeyParts;
use posthaste_protocol::signature::{Secret, sign};
use serde::Deserialize;

#[derive(Deserialize)]
struct SignatureVector {
    name: String,
    secrets: Vec<String>,
    id: String,
    timestamp: i64,
    body: String,
    signature: String,
}

#[test]
fn signatures_are_as_published() {
    let vectors: Vec<SignatureVector> = serde_json::from_str(include_str!("vectors/signature.json")).unwrap();
    for vector in vectors {
        let secrets: Vec<_> = vector.secrets.iter().map(|text| Secret::parse(text).unwrap()).collect();
        let signature = sign(&secrets, &vector.id, vector.timestamp, vector.body.as_bytes());
        assert_eq!(signature, vector.signature, "{}", vector.name);
    }
}

#[derive(Deserialize)]
struct KeyVector {
    name: String,
    installation_hex: String,
    job_id: i64,
    created_at_micros: i64,
    resume: u32,
    attempt: Option<u32>,
    key: String,
}

#[test]
fn idempotency_keys_are_as_published() {
    let vectors: Vec<KeyVector> = serde_json::from_str(include_str!("vectors/idempotency.json")).unwrap();
    for vector in vectors {
        let mut installation = [0; 16];
        hex::decode_to_slice(&vector.installation_hex, &mut installation).unwrap();
        let parts = KeyParts {
            installation,
            job_id: vector.job_id,
            created_at_micros: vector.created_at_micros,
            resume: vector.resume,
            attempt: vector.attempt,
        };
        assert_eq!(parts.key(), vector.key, "{}", vector.name);
    }
}

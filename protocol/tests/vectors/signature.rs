//! Standard Webhooks signatures of dispatches.

use posthaste_protocol::signature::{Secret, sign, verify};
use serde::Deserialize;
use serde_json::json;

use super::{check, variant};

fn secrets(texts: &[String]) -> Vec<Secret> {
    texts.iter().map(|text| Secret::parse(text).expect("a secret")).collect()
}

#[test]
fn dispatches_are_signed_as_published() {
    #[derive(Deserialize)]
    struct Given {
        secrets: Vec<String>,
        id: String,
        timestamp: i64,
        body: String,
    }

    check(include_str!("../../../tests/vectors/signature_sign.json"), |given: &Given| {
        let signature = sign(&secrets(&given.secrets), &given.id, given.timestamp, given.body.as_bytes());
        Ok(json!({"signature": signature}))
    });
}

#[test]
fn signatures_are_verified_as_published() {
    #[derive(Deserialize)]
    struct Given {
        secrets: Vec<String>,
        id: String,
        timestamp: String,
        signature: String,
        body: String,
        now_unix: i64,
        tolerance_s: u32,
    }

    check(include_str!("../../../tests/vectors/signature_verify.json"), |given: &Given| {
        let Given { id, timestamp, signature, now_unix, tolerance_s, .. } = given;
        let secrets = secrets(&given.secrets);
        verify(&secrets, id, timestamp, signature, given.body.as_bytes(), *now_unix, *tolerance_s).map_err(variant)?;
        Ok(json!({"verified": true}))
    });
}

use posthaste_protocol::signature::VerifyError;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::vectors::cases;

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

fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
    given.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

#[test]
fn signature_verify() {
    for case in cases::<Given>(include_str!("../../../tests/vectors/signature_verify.json")) {
        let Given { id, timestamp, signature, body, now_unix, tolerance_s, .. } = &case.given;
        // An app has at least one secret; what no secret verifies is published too.
        let secrets = Secrets::parse(&case.given.secrets).unwrap_or(Secrets(Vec::new()));
        let sent = headers(&[("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]);
        let told = match secrets.verify_at(&sent, body.as_bytes(), *now_unix, *tolerance_s) {
            Ok(()) => Ok(json!({"verified": true})),
            Err(InvalidSignature::Wrong(VerifyError::Timestamp)) => Err(json!("timestamp")),
            Err(InvalidSignature::Wrong(VerifyError::TooOld)) => Err(json!("too_old")),
            Err(InvalidSignature::Wrong(VerifyError::TooNew)) => Err(json!("too_new")),
            Err(InvalidSignature::Wrong(VerifyError::NoMatch)) => Err(json!("no_match")),
            Err(InvalidSignature::Missing(name)) => panic!("{}: {name} was sent", case.name),
        };
        assert_eq!(told, case.expect.ok_or_else(|| case.error.unwrap_or_default()), "{}", case.name);
    }
}

#[test]
fn signature_sign() {
    #[derive(Deserialize)]
    struct Given {
        secrets: Vec<String>,
        id: String,
        timestamp: i64,
        body: String,
    }
    for case in cases::<Given>(include_str!("../../../tests/vectors/signature_sign.json")) {
        let Given { secrets, id, timestamp, body } = &case.given;
        let signature = Secrets::parse(secrets).unwrap().sign(id, *timestamp, body.as_bytes());
        assert_eq!(Some(json!({"signature": signature})), case.expect, "{}", case.name);
    }
}

#[test]
fn several_secrets_may_be_in_one_text_and_none_is_printed() {
    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let both = Secrets::parse([format!("{ONE}, {ONE}\n")]).unwrap();
    assert_eq!(both.0.len(), 2);
    assert!(!format!("{both:?}").contains("MfKQ"));
    assert_eq!(Secrets::parse(["", " , "]).unwrap_err(), SecretsError::Missing);
    let malformed = Secrets::parse([format!("{ONE} whsec_short")]).unwrap_err().to_string();
    assert!(malformed.starts_with("signing secret 2 cannot be read") && !malformed.contains("short"), "{malformed}");
}

#[test]
fn a_header_that_is_missing_is_named() {
    let secrets = Secrets::parse(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
    let sent = headers(&[("webhook-id", "1"), ("webhook-timestamp", "1")]);
    assert_eq!(secrets.verify(&sent, b""), Err(InvalidSignature::Missing("webhook-signature")));
}

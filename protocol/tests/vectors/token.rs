//! Callback tokens and their keys.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use posthaste_protocol::action::{Action, Actions};
use posthaste_protocol::id::JobId;
use posthaste_protocol::key_ring::KeyRing;
use posthaste_protocol::token::{self, Claims, Token, TokenKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{check, variant};

/// Claims as the vectors write them.
#[derive(Deserialize)]
pub struct ClaimsVector {
    kind: String,
    actions: Vec<Action>,
    namespace: i32,
    job_id: JobId,
    run_lease: i64,
    wait: i32,
    lease_id: i64,
    expires_at_unix: i64,
    nonce_hex: String,
}

impl ClaimsVector {
    pub fn claims(&self) -> Claims {
        let mut nonce = [0; 16];
        hex::decode_to_slice(&self.nonce_hex, &mut nonce).expect("sixteen bytes");
        Claims {
            kind: kind(&self.kind),
            actions: Actions::of(&self.actions),
            namespace: self.namespace,
            job_id: self.job_id,
            run_lease: self.run_lease,
            wait: self.wait,
            lease_id: self.lease_id,
            expires_at_unix: self.expires_at_unix,
            nonce,
        }
    }

    pub fn mint(&self, keys: &str) -> Token {
        token::mint(&KeyRing::parse(keys).expect("a ring"), &self.claims())
    }
}

fn kind(word: &str) -> TokenKind {
    match word {
        "callback" => TokenKind::Callback,
        "hook" => TokenKind::Hook,
        _ => panic!("{word} is no kind"),
    }
}

fn as_json(claims: &Claims) -> Value {
    json!({
        "kind": if claims.kind == TokenKind::Hook { "hook" } else { "callback" },
        "actions": claims.actions,
        "namespace": claims.namespace,
        "job_id": claims.job_id,
        "run_lease": claims.run_lease,
        "wait": claims.wait,
        "lease_id": claims.lease_id,
        "expires_at_unix": claims.expires_at_unix,
        "nonce_hex": hex::encode(claims.nonce),
    })
}

#[test]
fn tokens_are_minted_as_published() {
    #[derive(Deserialize)]
    struct Given {
        keys: String,
        claims: ClaimsVector,
    }

    check(include_str!("../../../tests/vectors/token_mint.json"), |given: &Given| {
        let token = given.claims.mint(&given.keys);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token.expose()[4..]).expect("base64url");
        let context = format!("posthaste 2026-11-21 {} token v1", given.claims.kind);
        let first = given.keys.split([',', ':']).nth(1).expect("a key");
        let key = blake3::derive_key(&context, &hex::decode(first).expect("a key in hexadecimal"));
        Ok(json!({"token": token.expose(), "key_hex": hex::encode(key), "payload_hex": hex::encode(&bytes[..62])}))
    });
}

#[test]
fn tokens_are_verified_as_published() {
    #[derive(Deserialize)]
    struct Given {
        keys: String,
        token: String,
        kind: String,
        now_unix: i64,
    }

    check(include_str!("../../../tests/vectors/token_verify.json"), |given: &Given| {
        let ring = KeyRing::parse(&given.keys).expect("a ring");
        match token::verify(&ring, given.token.as_bytes(), kind(&given.kind), given.now_unix) {
            Ok(claims) => Ok(as_json(&claims)),
            Err(error) => Err(error.fault().as_str().into()),
        }
    });
}

#[test]
fn rings_of_keys_are_read_as_published() {
    #[derive(Deserialize)]
    struct Given {
        setting: String,
    }

    check(include_str!("../../../tests/vectors/key_ring.json"), |given: &Given| {
        let ring = KeyRing::parse(&given.setting).map_err(variant)?;
        Ok(json!({"states": ring.states().collect::<Vec<_>>()}))
    });
}

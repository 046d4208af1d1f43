//! Callbacks: bodies, digests and answers.

use posthaste_protocol::action::Action;
use posthaste_protocol::callback::{self, Callback, CallbackAnswer, CallbackRequest};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{check, faults};

fn raw(value: Option<&RawValue>) -> Value {
    value.map_or(Value::Null, |value| value.get().into())
}

fn as_json(callback: &Callback) -> Value {
    match callback {
        Callback::Complete { result } => json!({"result": raw(result.as_deref())}),
        Callback::Fail { error, retryable, retry_after_ms } => {
            json!({"error": error, "retryable": retryable, "retry_after_ms": retry_after_ms})
        }
        Callback::Retry { after_ms } | Callback::Snooze { after_ms } => json!({"after_ms": after_ms}),
        Callback::Cancel { reason } => json!({"reason": reason}),
        Callback::Heartbeat { extend_ms } => json!({"extend_ms": extend_ms}),
        Callback::Progress(progress) => {
            let metadata = raw(progress.metadata.as_deref());
            json!({"percent": progress.percent, "message": progress.message, "metadata": metadata})
        }
        Callback::Checkpoint { seq, steps } => json!({"seq": seq, "steps": steps.get()}),
        Callback::Resume { payload } => json!({"payload": raw(payload.as_deref())}),
    }
}

#[test]
fn callbacks_are_read_as_published() {
    #[derive(Deserialize)]
    struct Given {
        action: Action,
        body: String,
    }

    check(include_str!("../../../tests/vectors/callback.json"), |given: &Given| {
        let request = CallbackRequest::parse(given.action, &given.body).map_err(faults)?;
        Ok(json!({"callback": as_json(&request.callback), "digest_hex": hex::encode(request.digest)}))
    });
}

#[test]
fn canonical_bodies_have_the_published_digests() {
    #[derive(Deserialize)]
    struct Given {
        action: Action,
        canonical: String,
    }

    check(include_str!("../../../tests/vectors/callback_digest.json"), |given: &Given| {
        let mut hasher = blake3::Hasher::new_derive_key("posthaste 2026-11-21 callback digest v1");
        hasher.update(format!("{}\0{}", given.action, given.canonical).as_bytes());
        let digest = CallbackRequest::parse(given.action, &given.canonical).map_err(faults)?.digest;
        assert_eq!(hasher.finalize().as_bytes()[..16], digest, "{} is not canonical", given.canonical);
        Ok(json!({"digest_hex": hex::encode(digest)}))
    });
}

#[test]
fn hooks_have_the_published_digests() {
    #[derive(Deserialize)]
    struct Given {
        body_hex: String,
    }

    check(include_str!("../../../tests/vectors/hook_digest.json"), |given: &Given| {
        let body = hex::decode(&given.body_hex).expect("hexadecimal");
        Ok(json!({"digest_hex": hex::encode(callback::of_hook(&body))}))
    });
}

#[test]
fn answers_are_written_and_read_as_published() {
    #[derive(Deserialize)]
    struct Given {
        body: Value,
    }

    check(include_str!("../../../tests/vectors/callback_answer.json"), |given: &Given| {
        let answer: CallbackAnswer =
            serde_json::from_value(given.body.clone()).map_err(|_| Value::from("no answer"))?;
        assert_eq!(serde_json::to_value(&answer).expect("JSON"), given.body);
        Ok(json!({"status": answer.outcome.status()}))
    });
}

use posthaste_protocol::{
    action::Action,
    callback::{Callback as Read, CallbackRequest},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::body::{Cancel, Checkpoint, Complete, Heartbeat, Later, Resume};
use super::*;
use crate::vectors::cases;

#[derive(Deserialize)]
struct Given {
    action: Action,
}

/// What the client sends to say this; `None` for what it has no way to say.
fn sent(action: Action, expect: &Value) -> Option<String> {
    let raw = |name: &str| expect[name].as_str().map(|text| serde_json::from_str::<Box<RawValue>>(text).unwrap());
    let ms = |name: &str| expect[name].as_i64();
    let text = |name: &str| expect[name].as_str();
    let duration = |name: &str| expect[name].as_u64().map(Duration::from_millis);
    Some(match action {
        Action::Complete => json(&Complete { result: &raw("result") }),
        Action::Resume => json(&Resume { payload: &raw("payload") }),
        Action::Fail => {
            let mut failed = Failed::new(text("error")?);
            if expect["retryable"] == false {
                failed = failed.for_good();
            }
            json(&duration("retry_after_ms").map_or(failed.clone(), |after| failed.retry_after(after)))
        }
        Action::Retry | Action::Snooze => json(&Later { after_ms: ms("after_ms") }),
        Action::Cancel => json(&Cancel { reason: text("reason") }),
        Action::Heartbeat => json(&Heartbeat { extend_ms: ms("extend_ms") }),
        Action::Progress => {
            let mut progress = Progress { percent: expect["percent"].as_f64(), ..Progress::default() };
            progress.message = text("message").map(str::to_owned);
            if let Some(metadata) = text("metadata") {
                progress.metadata = serde_json::from_str(metadata).unwrap();
            }
            json(&progress)
        }
        Action::Checkpoint => {
            let seq = expect["seq"].as_u64().and_then(|seq| seq.try_into().ok()).unwrap();
            json(&Checkpoint { seq, steps: &raw("steps").unwrap() })
        }
    })
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap()
}

fn as_json(callback: &Read) -> Value {
    let raw = |value: &Option<Box<RawValue>>| value.as_ref().map_or(Value::Null, |value| value.get().into());
    match callback {
        Read::Complete { result } => json!({"result": raw(result)}),
        Read::Fail { error, retryable, retry_after_ms } => {
            json!({"error": error, "retryable": retryable, "retry_after_ms": retry_after_ms})
        }
        Read::Retry { after_ms } | Read::Snooze { after_ms } => json!({"after_ms": after_ms}),
        Read::Cancel { reason } => json!({"reason": reason}),
        Read::Heartbeat { extend_ms } => json!({"extend_ms": extend_ms}),
        Read::Progress(progress) => {
            json!({"percent": progress.percent, "message": progress.message, "metadata": raw(&progress.metadata)})
        }
        Read::Checkpoint { seq, steps } => json!({"seq": seq, "steps": steps.get()}),
        Read::Resume { payload } => json!({"payload": raw(payload)}),
    }
}

/// A `metadata` is built here member by member, so its spelling is ours: compared as a value.
fn comparable(mut callback: Value) -> Value {
    if let Some(metadata) = callback.get_mut("metadata")
        && let Some(text) = metadata.as_str()
    {
        *metadata = serde_json::from_str(text).unwrap();
    }
    callback
}

#[test]
fn callback() {
    let mut said = std::collections::BTreeSet::new();
    for case in cases::<Given>(include_str!("../../../tests/vectors/callback.json")) {
        let (action, Some(expect)) = (case.given.action, case.expect) else { continue };
        let Some(body) = sent(action, &expect["callback"]) else { continue };
        let read = CallbackRequest::parse(action, &body).unwrap_or_else(|faults| panic!("{}: {faults:?}", case.name));
        assert_eq!(comparable(as_json(&read.callback)), comparable(expect["callback"].clone()), "{}", case.name);
        said.insert(action);
    }
    assert_eq!(said.len(), Action::ALL.len(), "{said:?}");
}

//! Bodies: what is accepted can be stored, is bounded, and is read the same way again.

use std::collections::BTreeSet;

use posthaste_engine::filter::{MAX_PAYLOAD_BYTES, MAX_PAYLOAD_VALUES, read_payload};
use posthaste_protocol::{
    action::Action,
    callback::{Callback, CallbackRequest, MAX_MESSAGE_BYTES, MAX_PROGRESS_METADATA_BYTES, MAX_VALUE_BYTES},
    guard,
    inbound::slack_challenge,
    problem::FieldError,
    steps::{MAX_STEPS, MAX_STEPS_BYTES},
    suspend::{MAX_WAITS, Suspension, WaitFor},
};
use serde_json::{Value, value::RawValue};

use crate::{
    storable::{assert_storable, spaced},
    surface::Surface,
};

pub const SURFACE: Surface = Surface {
    name: "json",
    words: &[
        "{",
        "}",
        "[",
        "]",
        "[[[[[[[[",
        "{\"a\":",
        ",",
        ":",
        "\"",
        "\\",
        "\\\"",
        "\\u",
        "\\u0000",
        "\\\\u0000",
        "\\ud800",
        "\\udc00",
        "\\ud83d\\ude00",
        "\\uD83D",
        "\\/",
        "\\x",
        "null",
        "true",
        "false",
        "0",
        "-",
        "-0",
        "1e9999",
        "1e10000",
        "1E+99999",
        ".5",
        "1.",
        "01",
        "+1",
        "NaN",
        "Infinity",
        "9223372036854775808",
        "18446744073709551616",
        "2592000001",
        "4294967296",
        "1e0",
        "100.0",
        "\u{0}",
        "\u{1f}",
        "\u{feff}",
        "\u{2028}",
        "\u{c}",
        "é",
        "🦀",
        " ",
        "\n",
        "//",
        "/**/",
        "'",
        "\"result\":",
        "\"error\":",
        "\"retryable\":",
        "\"after_ms\":",
        "\"extend_ms\":",
        "\"percent\":",
        "\"message\":",
        "\"metadata\":",
        "\"seq\":",
        "\"steps\":",
        "\"payload\":",
        "\"wait\":",
        "\"waits\":",
        "\"need\":",
        "\"name\":",
        "\"for\":",
        "\"timer\"",
        "\"jobs\"",
        "\"callback\"",
        "\"until\":",
        "\"timeout_ms\":",
        "\"cel\":",
        "\"signature\":",
        "\"\\u0072esult\":",
        "\"$serde_json::private::RawValue\":",
        "\"$serde_json::private::Number\":",
    ],
    max_bytes: 3000,
    any_bytes: true,
    survives,
};
/// Thirty days, the longest that anything may take, in milliseconds.
const MAX_MS: u64 = 30 * 86_400_000;
/// The most characters of one fault: a path of some names of 100 characters, and a sentence.
const MAX_FAULT_CHARS: usize = 1000;

fn survives(input: &[u8]) -> bool {
    let is_payload = is_payload(input);
    if let Some(challenge) = slack_challenge(input) {
        assert!((1..=512).contains(&challenge.len()) && challenge.bytes().all(|b| b.is_ascii_graphic()));
    }
    let Ok(text) = std::str::from_utf8(input) else {
        assert!(!is_payload, "no text");
        return false;
    };
    let digests: Vec<_> = Action::ALL.iter().filter_map(|action| digest(*action, text)).collect();
    assert_eq!(BTreeSet::from_iter(&digests).len(), digests.len(), "two actions with one digest");
    let is_suspension = is_suspension(text);
    is_payload || !digests.is_empty() || is_suspension
}

fn is_payload(input: &[u8]) -> bool {
    let value = match read_payload(input) {
        Ok(value) => value,
        Err(error) => {
            assert!(error.to_string().len() < MAX_FAULT_CHARS);
            return false;
        }
    };
    let text = std::str::from_utf8(input).expect("text");
    assert_storable(text);
    assert!(input.len() <= MAX_PAYLOAD_BYTES && values(&value) <= MAX_PAYLOAD_VALUES, "too large");
    let spelt = value.to_string();
    // A number may be spelt longer than it came: only what then is too large may be refused.
    if spelt.len() <= MAX_PAYLOAD_BYTES {
        assert!(same(&value, &read_payload(spelt.as_bytes()).expect("what was read is written")), "another value");
    }
    true
}

fn values(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(values).sum::<usize>(),
        _ => 1,
    }
}

/// Whether the values are the same, but for the last digit of a number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.into_iter().all(|(one, other)| one.0 == other.0 && same(one.1, other.1))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= a.abs() * 1e-12,
            _ => false,
        },
        _ => one == other,
    }
}

/// The digest of the text as a callback of this action, if it is one. Panics where it is one that must not be.
fn digest(action: Action, text: &str) -> Option<[u8; 16]> {
    let request = match CallbackRequest::parse(action, text) {
        Ok(request) => request,
        Err(faults) => {
            check_faults(&faults);
            return None;
        }
    };
    check(&request.callback);
    let again = CallbackRequest::parse(action, &spaced(text)).expect("white space does not matter");
    assert_eq!(request.digest, again.digest, "{action}: white space changes the digest");
    Some(request.digest)
}

/// What a callback may hold.
fn check(callback: &Callback) {
    let value = |value: &Option<Box<RawValue>>, max: usize| {
        if let Some(value) = value {
            assert!(value.get().len() <= max, "too large");
            assert_storable(value.get());
        }
    };
    let text = |text: &Option<String>, max: usize| {
        assert!(text.as_ref().is_none_or(|text| text.len() <= max && !text.contains('\0')));
    };
    let ms = |ms: Option<u64>, min: u64| assert!(ms.is_none_or(|ms| (min..=MAX_MS).contains(&ms)));
    match callback {
        Callback::Complete { result: payload } | Callback::Resume { payload } => value(payload, MAX_VALUE_BYTES),
        Callback::Fail { error, retry_after_ms, .. } => {
            text(error, usize::MAX);
            ms(*retry_after_ms, 0);
        }
        Callback::Retry { after_ms } | Callback::Snooze { after_ms } => ms(*after_ms, 0),
        Callback::Cancel { reason } => text(reason, usize::MAX),
        Callback::Heartbeat { extend_ms } => ms(*extend_ms, 1),
        Callback::Progress(progress) => {
            assert!(progress.percent.is_none_or(|percent| (0.0..=100.0).contains(&percent)));
            text(&progress.message, MAX_MESSAGE_BYTES);
            value(&progress.metadata, MAX_PROGRESS_METADATA_BYTES);
        }
        Callback::Checkpoint { seq, steps } => {
            assert!(*seq < 1 << 31);
            check_steps(steps);
        }
    }
}

fn check_steps(steps: &RawValue) {
    assert!(steps.get().len() <= MAX_STEPS_BYTES);
    assert_storable(steps.get());
    // A number may be too large for a value, and not for Postgres.
    if let Ok(value) = serde_json::from_str::<Value>(steps.get()) {
        let steps = value.as_object().expect("an object");
        assert!(steps.len() <= MAX_STEPS && steps.keys().all(|name| (1..=200).contains(&name.len())));
    }
}

fn is_suspension(text: &str) -> bool {
    let suspension = match Suspension::parse(text) {
        Ok(suspension) => suspension,
        Err(faults) => {
            check_faults(&faults);
            return false;
        }
    };
    let Suspension { waits, need, steps, seq } = &suspension;
    let names: BTreeSet<_> = waits.iter().map(|wait| &wait.name).collect();
    assert!((1..=MAX_WAITS).contains(&waits.len()) && names.len() == waits.len() && (1..=waits.len()).contains(need));
    for wait in waits {
        assert!(wait.timeout_ms.is_none_or(|ms| (1..=MAX_MS).contains(&ms)));
        if let WaitFor::Jobs { jobs, need } = &wait.event {
            assert!((1..=1000).contains(&jobs.len()) && (1..=jobs.len()).contains(need));
        }
    }
    if let Some(steps) = steps {
        check_steps(steps);
    }
    assert!(seq.is_none_or(|seq| seq < 1 << 31));
    let spelt = serde_json::to_string(waits).expect("JSON");
    assert_storable(&spelt);
    let again = Suspension::parse(&format!(r#"{{"waits":{spelt},"need":{need}}}"#)).expect("what was read is written");
    assert_eq!(spelt, serde_json::to_string(&again.waits).expect("JSON"), "other waits");
    true
}

/// Faults are few, and say little of what they were found in.
fn check_faults(faults: &[FieldError]) {
    assert!((1..=100).contains(&faults.len()), "{} faults", faults.len());
    for fault in faults {
        let chars = fault.field.chars().count() + fault.message.chars().count();
        assert!(chars <= MAX_FAULT_CHARS, "a fault of {chars} characters");
        assert!(guard::check(&Value::from(fault.to_string()).to_string()).is_ok() || fault.field.contains('\0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus;

    #[test]
    fn the_committed_bodies_are_judged_as_their_folder_says() {
        for (folder, is_good) in [("accepted", true), ("refused", false)] {
            for (path, input) in corpus::read_folder("json", folder) {
                assert_eq!(survives(&input), is_good, "{path}");
            }
        }
    }
}

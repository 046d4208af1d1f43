//! The shared vectors: what other languages must reproduce. See `tests/vectors/README.md`.

mod answers;
mod callback;
mod dispatch;
mod idempotency;
mod inbound;
mod signature;
mod token;

use posthaste_protocol::problem::FieldError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors<G> {
    about: String,
    cases: Vec<Case<G>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<G> {
    name: String,
    given: G,
    expect: Option<Value>,
    error: Option<Value>,
}

/// Runs every case of a file: `run` says what comes of what is given, or which error.
fn check<G: DeserializeOwned>(file: &str, run: impl Fn(&G) -> Result<Value, Value>) {
    let vectors: Vectors<G> = serde_json::from_str(file).expect("a file of vectors");
    assert!(!vectors.about.is_empty() && !vectors.cases.is_empty());
    for case in vectors.cases {
        let wanted = match (case.expect, case.error) {
            (Some(expect), None) => Ok(expect),
            (None, Some(error)) => Err(error),
            _ => panic!("{}: either expect or error", case.name),
        };
        assert_eq!(run(&case.given), wanted, "{}", case.name);
    }
}

/// Field and code of each fault.
fn faults(errors: Vec<FieldError>) -> Value {
    errors.into_iter().map(|error| Value::from(vec![error.field, error.code])).collect()
}

/// The first word of an error's `Debug`, in snake case, and what it holds: `Entry(2)` as `entry 2`.
fn variant(error: impl std::fmt::Debug) -> Value {
    let mut text = String::new();
    for c in format!("{error:?}").chars() {
        match c {
            '(' => text.push(' '),
            ')' => {}
            _ if c.is_uppercase() && !text.is_empty() => text.extend(['_', c.to_ascii_lowercase()]),
            _ => text.push(c.to_ascii_lowercase()),
        }
    }
    text.into()
}

//! What the tests of filters share: an input, and a short way to the value of an expression.

mod compile;
mod expressions;
mod fuzz;
mod hostile;
mod oracle;
mod spec;
mod verdict;

use std::collections::BTreeMap;

use posthaste_protocol::id::JobId;
use serde_json::{Value as Json, json};

use super::*;

/// Calls `with` with an input whose payload is this.
fn with_input<T>(payload: &Json, with: impl FnOnce(&Input) -> T) -> T {
    let headers = BTreeMap::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-github-event".to_owned(), "push".to_owned()),
    ]);
    let metadata = json!({"customer": "c-1", "level": 3});
    let tags = ["eu".to_owned(), "paid".to_owned()];
    with(&Input {
        payload,
        headers: &headers,
        job: InputJob { id: JobId(42), kind: "invoice", queue: "default", tags: &tags, metadata: &metadata },
        attempt: InputAttempt { number: 2, run_lease: 7 },
    })
}

fn verdict_of(spec: &FilterSpec, payload: &Json) -> Verdict {
    let filter = Filter::compile(spec).unwrap_or_else(|faults| panic!("{spec:?}: {faults:?}"));
    with_input(payload, |input| evaluate(&filter, input))
}

fn transforming(expression: &str) -> FilterSpec {
    FilterSpec { transform: Some(expression.to_owned()), ..FilterSpec::default() }
}

/// The value of an expression as JSON text, or why it has none: code and message.
fn value_of(expression: &str, payload: &Json) -> Result<String, (String, String)> {
    match verdict_of(&transforming(expression), payload) {
        Verdict::Complete { transformed: Some(text) } => Ok(text),
        Verdict::Quarantine { reason } => Err((reason.code.into_owned(), reason.message)),
        other => panic!("{expression}: {other:?}"),
    }
}

/// What is wrong with an expression, if it does not compile.
fn fault_of(expression: &str) -> Option<String> {
    let faults = Filter::compile(&transforming(expression)).err()?;
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].field, "transform");
    Some(faults[0].message.clone())
}

//! What the tests of filters share: an input, and a short way to the value of an expression.

mod compile;
mod corpus;
mod expression;
mod expressions;
mod fuzz;
mod hostile;
mod oracle;
mod trial;
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
    let run = InputRun {
        job_id: JobId(42),
        kind: "invoice",
        queue: "default",
        tags: &tags,
        metadata: &metadata,
        attempt: 2,
        run_lease: 7,
    };
    with(&Input { payload, headers: &headers, run: Some(run) })
}

fn verdict_of(spec: &CelSpec, payload: &Json) -> Result<Verdict, EvalError> {
    let filter = Filter::compile(spec).unwrap_or_else(|faults| panic!("{spec:?}: {faults:?}"));
    with_input(payload, |input| filter.judge(input))
}

fn transforming(expression: &str) -> CelSpec {
    CelSpec { transform: Some(expression.to_owned()), ..CelSpec::default() }
}

/// The value of an expression as JSON text, or why it has none: code and message.
fn value_of(expression: &str, payload: &Json) -> Result<String, (String, String)> {
    let compiled = Expression::compile(expression).unwrap_or_else(|fault| panic!("{expression}: {fault:?}"));
    let value = with_input(payload, |input| compiled.evaluate(input));
    value.map_err(|error| (error.code.to_owned(), error.message))
}

/// What is wrong with an expression, if it does not compile.
fn fault_of(expression: &str) -> Option<String> {
    let fault = Expression::compile(expression).err()?;
    assert_eq!(fault.field, "");
    Some(fault.message)
}

//! The shared vectors: see `tests/vectors/README.md`. Beside each file's name stand the SDK's own decisions that it tests.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

#[derive(Deserialize)]
struct Vectors<G> {
    cases: Vec<Case<G>>,
}

/// One case of a file.
#[derive(Deserialize)]
pub(crate) struct Case<G> {
    pub name: String,
    pub given: G,
    pub expect: Option<Value>,
    pub error: Option<Value>,
}

/// The cases of a file.
pub(crate) fn cases<G: DeserializeOwned>(file: &str) -> Vec<Case<G>> {
    let vectors: Vectors<G> = serde_json::from_str(file).expect("a file of vectors");
    assert!(!vectors.cases.is_empty());
    vectors.cases
}

//! Why expressions gave no verdict.

use super::meter::Stop;

/// Expressions do not fit what came, or reach a bound over it: nobody knows what it means. To be kept and looked at,
/// never to be taken for a match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression}: {message}")]
pub struct EvalError {
    /// `cel_failed` where an expression failed, `cel_limit` where it reached a bound.
    pub code: &'static str,
    /// Which: `filter`, `on_fail`, `on_complete`, `transform`, or `expression` where there is one alone.
    pub expression: &'static str,
    /// Why, for people. Holds no value of the input.
    pub message: String,
}

impl EvalError {
    pub(super) fn new(expression: &'static str, stop: Stop) -> Self {
        let (code, message) = match stop {
            Stop::Failed(message) => ("cel_failed", message),
            Stop::Exhausted(message) => ("cel_limit", message),
        };
        Self { code, expression, message }
    }
}

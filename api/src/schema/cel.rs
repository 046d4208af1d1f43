//! Expressions as the document shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// CEL expressions over `payload`, `headers`, `job` and `attempt`, evaluated in this order: what a webhook means.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CelSpec {
    /// Whether the webhook is meant at all. Default: it is.
    #[schema(min_length = 1, max_length = 2048, example = "payload.type == 'invoice.paid'")]
    filter: Option<String>,
    /// Whether it means that the work failed. Default: it does not.
    #[schema(min_length = 1, max_length = 2048)]
    on_fail: Option<String>,
    /// Whether it means that the work is done. Default: see `default_action`.
    #[schema(min_length = 1, max_length = 2048)]
    on_complete: Option<String>,
    /// What becomes of the payload before it is the result. Default: nothing.
    #[schema(min_length = 1, max_length = 2048)]
    transform: Option<String>,
    /// `complete`, `fail` or `ignore`, where no expression decided. Default: `ignore` with an `on_complete`, else
    /// `complete`.
    default_action: Option<String>,
    /// Go on as if an expression that cannot be evaluated had not been written, instead of quarantining the webhook.
    /// Default false.
    fail_open: Option<bool>,
}

/// Expressions and what to evaluate them over. One of `cel` and `expression` is required.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CelTrial {
    /// Expressions that together give a verdict.
    cel: Option<CelSpec>,
    /// One expression that gives a value.
    #[schema(min_length = 1, max_length = 2048)]
    expression: Option<String>,
    /// `payload`: any JSON of at most 1 MiB and 20,000 values, at most 64 deep, without `\u0000`.
    payload: Value,
    /// `headers`, names in any case. Default none.
    headers: Option<BTreeMap<String, String>>,
    /// `job`. What is left out is made up.
    job: Option<CelJob>,
    /// `attempt`. What is left out is made up.
    attempt: Option<CelAttempt>,
}

/// `job` in expressions, where it has `attempt` too.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CelJob {
    #[schema(example = "42", pattern = "^[1-9][0-9]*$")]
    id: Option<String>,
    kind: Option<String>,
    queue: Option<String>,
    #[schema(max_items = 20)]
    tags: Option<Vec<String>>,
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    metadata: Option<BTreeMap<String, Value>>,
}

/// `attempt` in expressions.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CelAttempt {
    #[schema(minimum = 1)]
    number: Option<u32>,
    #[schema(minimum = 1)]
    run_lease: Option<i64>,
}

/// What expressions came to.
#[derive(Serialize, ToSchema)]
pub struct CelAnswer {
    /// Of `cel`: `complete`, `fail`, `ignore`, or `quarantine` where it could not be evaluated.
    verdict: Option<String>,
    /// Of `complete`: the result.
    result: Option<Value>,
    /// Of `expression`: its value.
    value: Option<Value>,
    /// Of `fail`, and of what could not be evaluated.
    error: Option<CelError>,
}

/// Why.
#[derive(Serialize, ToSchema)]
pub struct CelError {
    /// `callback_failed`; `cel_failed` where an expression does not fit the payload, `cel_limit` where it took too much.
    code: String,
    /// Which expression could not be evaluated.
    expression: Option<String>,
    message: String,
}

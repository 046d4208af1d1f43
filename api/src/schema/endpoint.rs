//! Endpoints as the document shows them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::cel::CelSpec;

/// An endpoint as written; what is left out gets its default.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// Where to POST: http or https, without credentials or fragment.
    #[schema(format = "uri", max_length = 2048, example = "https://pdf.example.com/run")]
    url: String,
    /// The kinds it takes; `*` takes every kind nobody else takes. Default none: jobs must name the endpoint.
    kinds: Option<Vec<String>>,
    /// `envelope` (default), `raw`, `cloudevents` or `lambda`: the URL is then that of `Invoke`,
    /// `https://lambda.<region>.amazonaws.com/2015-03-31/functions/<name>/invocations`.
    format: Option<String>,
    /// Of the format `lambda`: `request_response` (default), or `event`: Lambda queues it, and the function calls back.
    invocation_type: Option<String>,
    /// How long the function has to answer. Default 30000.
    #[schema(minimum = 1, maximum = 3_600_000)]
    timeout_ms: Option<u64>,
    /// How long it has to call back. Default 3600000.
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    callback_timeout_ms: Option<u64>,
    /// The hard end of a run. Default 604800000.
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    max_run_ms: Option<u64>,
    /// How long a cancelled run has to end by itself. Default 10000.
    #[schema(minimum = 0, maximum = 600_000)]
    cancel_grace_ms: Option<u64>,
    /// `job` (default) or `attempt`.
    idempotency: Option<String>,
    /// `wait` (default of `envelope` and `lambda`) or `complete`.
    accept_202: Option<String>,
    /// How many requests at once. Default 64.
    #[schema(minimum = 1, maximum = 10_000)]
    concurrency: Option<u32>,
    /// Whether a 2xx without `posthaste-protocol: 1` means that something else answered. Default false.
    sdk: Option<bool>,
    /// `retry`, `wait` or `fail`; default: `wait` where the last answers were 202, else `retry`.
    on_unknown: Option<String>,
    /// When to try again.
    retry: Option<Retry>,
    /// Headers to send: a text, `{"env": "NAME"}` or `{"file": "PATH"}`.
    headers: Option<BTreeMap<String, Value>>,
    /// `{"type": "none"}` (default); `{"type": "bearer", "token": {"env": "NAME"}}`; `aws_sigv4` with `region`, `service`,
    /// `role_arn`, `external_id`; `google_id_token` with `audience`, `key`, `impersonate`, `header`; `oauth2` with
    /// `token_url`, `client_id`, `client_secret`, `scope`, `audience`.
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    auth: Option<BTreeMap<String, Value>>,
    /// A client certificate, and a private authority.
    tls: Option<Tls>,
    /// What these statuses mean, instead of what the contract says: `{"404": "retry"}`.
    status_map: Option<BTreeMap<String, String>>,
    /// When to stop asking for a while.
    breaker: Option<Breaker>,
    /// What a webhook means, where neither the wait nor the job says it.
    cel: Option<CelSpec>,
    /// The signing secret: `whsec_` and standard base64 of 24 to 64 bytes. Never shown again.
    #[schema(write_only)]
    secret: Option<String>,
}

/// The TLS of an endpoint; each is `{"env": "NAME"}` or `{"file": "PATH"}`, and holds PEM.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The client certificate with its chain; with `key`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    certificate: Option<BTreeMap<String, String>>,
    /// Its private key.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    key: Option<BTreeMap<String, String>>,
    /// The certificates that the server's must come from. Default: what the dispatcher's machine trusts.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    ca: Option<BTreeMap<String, String>>,
}

/// A retry policy; may be partial.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// `exponential` (default), `linear`, `constant` or `list`.
    policy: Option<String>,
    /// What the policy multiplies: the first exponential wait is twice this. Default 1000.
    #[schema(minimum = 1, maximum = 86_400_000)]
    base_ms: Option<u64>,
    /// The longest delay. Default 86400000.
    #[schema(minimum = 1, maximum = 86_400_000)]
    max_ms: Option<u64>,
    /// How much is added at random, as a share of the delay. Default 0.25.
    #[schema(minimum = 0, maximum = 1)]
    jitter: Option<f64>,
    /// The delays of `list`.
    #[schema(max_items = 100)]
    delays_ms: Option<Vec<u64>>,
}

/// A breaker; may be partial.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// Seconds looked back. Default 30.
    #[schema(minimum = 1, maximum = 3600)]
    window_s: Option<u64>,
    /// Answers before it may open. Default 10.
    #[schema(minimum = 1, maximum = 10_000)]
    min: Option<u64>,
    /// Share of bad answers that opens it. Default 0.5.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    ratio: Option<f64>,
    /// Milliseconds until it probes. Default 5000.
    #[schema(minimum = 100, maximum = 3_600_000)]
    probe_after_ms: Option<u64>,
}

/// An endpoint as read: everything as written, complete with defaults, and its state.
#[derive(Serialize, ToSchema)]
pub struct Endpoint {
    name: String,
    /// Counts the changes, from 1.
    version: i64,
    #[schema(required)]
    paused_at: Option<DateTime<Utc>>,
    #[schema(required)]
    paused_reason: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// The signing secret: only in the answer that created or rotated it.
    #[schema(read_only)]
    secret: Option<String>,
    #[serde(flatten)]
    spec: EndpointRead,
}

/// The part of an endpoint that was written, as read: always complete.
#[derive(Serialize, ToSchema)]
pub struct EndpointRead {
    url: String,
    kinds: Vec<String>,
    format: String,
    timeout_ms: u64,
    callback_timeout_ms: u64,
    max_run_ms: u64,
    cancel_grace_ms: u64,
    idempotency: String,
    accept_202: String,
    concurrency: u32,
    sdk: bool,
    #[schema(required)]
    on_unknown: Option<String>,
    retry: Retry,
    headers: BTreeMap<String, Value>,
    auth: BTreeMap<String, Value>,
    status_map: BTreeMap<String, String>,
    breaker: Breaker,
    /// Null until a later version.
    #[schema(required)]
    rate: Option<Value>,
    #[schema(required)]
    cel: Option<CelSpec>,
}

/// All endpoints.
#[derive(Serialize, ToSchema)]
pub struct EndpointList {
    endpoints: Vec<Endpoint>,
}

/// Options of a pause.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseOptions {
    /// Shown by `explain`.
    #[schema(max_length = 4096)]
    reason: Option<String>,
}

/// Options of a rotation.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateOptions {
    /// The new secret; made if absent.
    #[schema(write_only)]
    secret: Option<String>,
}

//! Jobs and problems as the document shows them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::cel::CelSpec;

/// A job to enqueue. `null` is the same as absent, but for `args`.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJob {
    /// What to do: the name by which endpoints take jobs. Letters, digits and . _ : -
    #[schema(min_length = 1, max_length = 200, example = "generate_pdf")]
    kind: String,
    /// The function's input: any JSON value of at most 1 MiB, at most 64 deep, without `\u0000`. Default `{}`.
    #[schema(value_type = Value)]
    args: Option<Value>,
    /// Default `default`.
    #[schema(min_length = 1, max_length = 200)]
    queue: Option<String>,
    /// The endpoint, where the kind's own is not wanted.
    #[schema(min_length = 1, max_length = 200)]
    endpoint: Option<String>,
    /// 1 (first) to 4 (last). Default 2.
    #[schema(minimum = 1, maximum = 4)]
    priority: Option<i32>,
    /// Not before this time. Not together with `delay_ms`.
    run_at: Option<DateTime<Utc>>,
    /// Not before this many milliseconds from now.
    #[schema(minimum = 0, maximum = 315_360_000_000_i64)]
    delay_ms: Option<i64>,
    /// How many attempts may fail before the job is dead. Default 25.
    #[schema(minimum = 1, maximum = 1000)]
    max_attempts: Option<i32>,
    /// How long the function has. Default: the endpoint's.
    #[schema(minimum = 1, maximum = 3_600_000)]
    timeout_ms: Option<i64>,
    /// When the job is no longer worth starting.
    expires_at: Option<DateTime<Utc>>,
    /// Labels to find the job by, 1 to 200 characters each.
    #[schema(max_items = 20)]
    tags: Option<Vec<String>>,
    /// The producer's own notes, at most 64 KiB.
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    metadata: Option<BTreeMap<String, Value>>,
    /// Headers to send with each dispatch.
    headers: Option<BTreeMap<String, String>>,
    /// What it says of its own callbacks, at most 8 KiB.
    callback: Option<JobCallback>,
}

/// What a job says of its own callbacks.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobCallback {
    /// What a webhook to this job means, where no wait says it. Default: the endpoint's.
    cel: Option<CelSpec>,
    /// How long its 202s wait for a callback where they do not say it, milliseconds. Default: the endpoint's `callback_timeout_ms`.
    #[schema(minimum = 1, maximum = 2_592_000_000_u64)]
    timeout_ms: Option<u64>,
}

/// Where a job stands.
#[derive(Serialize, ToSchema)]
#[schema(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document only")]
pub enum State {
    Blocked,
    Scheduled,
    Available,
    Running,
    Waiting,
    Completed,
    Cancelled,
    Dead,
}

/// A job in two words.
#[derive(Serialize, ToSchema)]
pub struct JobRef {
    /// The job's id, a 64-bit number as text.
    #[schema(example = "42", pattern = "^[1-9][0-9]*$")]
    id: String,
    state: State,
}

/// A running job that was asked to stop.
#[derive(Serialize, ToSchema)]
pub struct CancelAsked {
    #[schema(example = "42")]
    id: String,
    state: State,
    cancel_requested: bool,
}

/// What became of a batch, in the order sent.
#[derive(Serialize, ToSchema)]
pub struct BatchAnswer {
    jobs: Vec<BatchItem>,
}

/// What became of one job of a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the document only")]
pub enum BatchItem {
    /// Enqueued.
    Job(JobRef),
    /// Left out.
    Refused {
        /// Why.
        error: Problem,
    },
}

/// Why a job or a run failed.
#[derive(Serialize, ToSchema)]
pub struct JobError {
    /// Stable: `http_500`, `unreachable`, or the function's own.
    code: String,
    /// For a human; capped and cleaned.
    message: String,
    at: DateTime<Utc>,
}

/// A job as read.
#[derive(Serialize, ToSchema)]
pub struct Job {
    #[schema(example = "42")]
    id: String,
    kind: String,
    queue: String,
    #[schema(required)]
    endpoint: Option<String>,
    state: State,
    /// 1 (first) to 4 (last).
    priority: i32,
    /// 0 before the first dispatch; throttles and snoozes do not count.
    attempt: i32,
    max_attempts: i32,
    /// The fencing number of the newest run; 0 before the first.
    run_lease: i64,
    #[schema(value_type = Value)]
    args: Value,
    /// The function's answer, once completed.
    #[schema(value_type = Value)]
    result: Value,
    /// The last failure.
    #[schema(required)]
    error: Option<JobError>,
    #[schema(required)]
    progress: Option<BTreeMap<String, Value>>,
    tags: Vec<String>,
    metadata: BTreeMap<String, Value>,
    run_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    /// The newest 50 ended runs, newest first; empty in lists.
    attempts: Vec<Attempt>,
}

/// An ended run.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub struct Attempt {
    run_lease: i64,
    attempt: i32,
    /// `completed`, `retried`, `throttled`, `snoozed`, `suspended`, `cancelled`, `dead`, `released`, `rescued`, `timed_out`.
    outcome: String,
    /// `responded`, `not_sent` or `unknown`; `null` where nothing was sent.
    #[schema(required)]
    class: Option<String>,
    #[schema(required)]
    http_status: Option<u16>,
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
    finished_at: DateTime<Utc>,
    /// Milliseconds by phase.
    timings_ms: BTreeMap<String, f64>,
    #[schema(required)]
    error: Option<JobError>,
}

/// A page of jobs.
#[derive(Serialize, ToSchema)]
pub struct JobPage {
    jobs: Vec<Job>,
    /// For the next page; `null` at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Options of a cancel.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOptions {
    /// Shown as the job's error.
    #[schema(max_length = 4096)]
    reason: Option<String>,
    /// End a running job at once, without asking its run.
    force: Option<bool>,
}

/// Why a job is not running.
#[derive(Serialize, ToSchema)]
pub struct Explanation {
    #[schema(example = "42")]
    id: String,
    state: State,
    /// `ended`, `running`, `scheduled`, `endpoint_missing`, `no_endpoint_for_kind`, `endpoint_paused`, `no_dispatcher`,
    /// `endpoint_unusable`, `breaker_open`, `endpoint_busy`, `behind_others` or `next`.
    reason: String,
    /// The same, as a sentence.
    detail: String,
    /// The endpoint that takes the job, if one does.
    #[schema(required)]
    endpoint: Option<String>,
    run_at: DateTime<Utc>,
    /// Whether somebody asked to cancel the running job.
    cancel_requested: bool,
    /// Runs of its lane that come first, counted to 10,000; `null` unless it is available.
    #[schema(required)]
    ahead: Option<i64>,
    /// Dispatchers heard within 15 s.
    dispatchers: i64,
    /// Whether a dispatcher finds the endpoint misconfigured.
    misconfigured: bool,
}

/// An error: RFC 9457.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `/problems/<code>`.
    r#type: String,
    title: String,
    status: u16,
    /// Stable: clients branch on it.
    code: String,
    /// What happened this time, for a human.
    detail: String,
    /// Every field that was refused.
    errors: Vec<FieldError>,
    /// The job that a 409 is about, as it now is.
    job: Option<JobRef>,
}

/// One refused field.
#[derive(Serialize, ToSchema)]
pub struct FieldError {
    /// Where: `tags[2]`, `headers.x-foo`; empty for the whole document.
    field: String,
    /// Stable.
    code: String,
    /// For a human.
    message: String,
}

//! Dispatches as the dispatcher sends them.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use posthaste_protocol::id::JobId;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{answer::PROTOCOL, clock, dispatch::Format, job::Job, milliseconds, new_job::NewJob, secrets::Secrets};

const DEFAULT_QUEUE: &str = "default";
const MAX_ATTEMPTS: i32 = 25;
const ENQUEUED_AT: &str = "2026-01-01T00:00:00Z";
const CALLBACK_URL: &str = "http://callbacks.invalid/v1/callbacks";
const CALLBACK_TOKEN: &str = "ph1.testing";

/// A dispatch: the first attempt of job 1, unless it is told otherwise.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pub(super) job: NewJob,
    pub(super) id: JobId,
    pub(super) attempt: i32,
    pub(super) run_lease: i64,
    pub(super) resumes: u32,
    pub(super) steps: Map<String, Value>,
    pub(super) progress: Option<Value>,
    pub(super) resume: Option<Value>,
    pub(super) cancel_requested: bool,
}

impl Dispatch {
    /// Of a job with these args.
    pub fn of(args: &impl Job) -> Self {
        Self::of_job(args.job())
    }

    /// Of this job.
    pub fn of_job(job: NewJob) -> Self {
        let (steps, id) = (Map::new(), JobId(1));
        let (progress, resume) = (None, None);
        Self { job, id, attempt: 1, run_lease: 1, resumes: 0, steps, progress, resume, cancel_requested: false }
    }

    /// Of the job with this id.
    #[must_use]
    pub fn id(mut self, id: JobId) -> Self {
        self.id = id;
        self
    }

    /// This attempt, from 1.
    #[must_use]
    pub fn attempt(mut self, attempt: i32) -> Self {
        self.attempt = attempt;
        self
    }

    /// With this fencing number.
    #[must_use]
    pub fn run_lease(mut self, run_lease: i64) -> Self {
        self.run_lease = run_lease;
        self
    }

    /// With a step that an earlier run kept.
    ///
    /// # Panics
    ///
    /// Where the value is no JSON: a mistake in the test.
    #[must_use]
    pub fn step(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.steps.insert(name.into(), serde_json::to_value(value).expect("the value of a step is JSON"));
        self
    }

    /// With what an earlier run reported: `{percent, message, metadata, at}`.
    #[must_use]
    pub fn progress(mut self, progress: Value) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Woken by this wait, with this payload.
    ///
    /// # Panics
    ///
    /// Where the payload is no JSON: a mistake in the test.
    #[must_use]
    pub fn resumed(self, name: &str, payload: impl Serialize) -> Self {
        let payload = serde_json::to_value(payload).expect("a payload is JSON");
        self.woken(name, &payload, false)
    }

    /// Woken because the time of this wait is over.
    #[must_use]
    pub fn timed_out(self, name: &str) -> Self {
        self.woken(name, &Value::Null, true)
    }

    pub(super) fn woken(mut self, name: &str, payload: &Value, timed_out: bool) -> Self {
        self.resume = Some(json!({"name": name, "payload": payload, "timed_out": timed_out}));
        self.resumes += 1;
        self
    }

    /// Whose reports are told that the job is asked to be cancelled.
    #[must_use]
    pub fn cancel_requested(mut self) -> Self {
        self.cancel_requested = true;
        self
    }

    /// The request, an envelope, signed now with these secrets: to be POSTed to a handler that runs elsewhere.
    pub fn signed(&self, secrets: &Secrets) -> Request<Bytes> {
        self.request(Some(secrets), Format::Envelope)
    }

    pub(super) fn request(&self, secrets: Option<&Secrets>, format: Format) -> Request<Bytes> {
        let options = &self.job.options;
        let body = Bytes::from(match format {
            Format::Envelope => self.envelope().to_string(),
            Format::Raw | Format::CloudEvents => self.args().to_string(),
        });
        let key = format!("test-{}-{}", self.id, self.resumes);
        let mut request = Request::post("/")
            .header("content-type", "application/json")
            .header("posthaste-protocol", PROTOCOL)
            .header("posthaste-job-id", self.id.to_string())
            .header("posthaste-kind", &self.job.kind)
            .header("posthaste-queue", options.queue.as_deref().unwrap_or(DEFAULT_QUEUE))
            .header("posthaste-attempt", self.attempt)
            .header("posthaste-max-attempts", options.max_attempts.unwrap_or(MAX_ATTEMPTS))
            .header("posthaste-run-lease", self.run_lease)
            .header("posthaste-callback-url", CALLBACK_URL)
            .header("posthaste-callback-token", CALLBACK_TOKEN)
            .header("posthaste-timeout-ms", options.timeout_ms.unwrap_or(30_000))
            .header("idempotency-key", &key);
        if format == Format::CloudEvents {
            request = request.header("ce-time", ENQUEUED_AT);
        }
        for (name, value) in &options.headers {
            request = request.header(name, value);
        }
        if let Some(secrets) = secrets {
            let now = clock::unix_now();
            request = request
                .header("webhook-id", &key)
                .header("webhook-timestamp", now)
                .header("webhook-signature", secrets.sign(&key, now, &body));
        }
        request.body(body).expect("the job's headers are headers")
    }

    fn args(&self) -> Value {
        match &self.job.args {
            Ok(args) => serde_json::from_str(args.get()).expect("args were JSON when they were made"),
            Err(error) => panic!("the args of the job are no JSON: {error}"),
        }
    }

    fn envelope(&self) -> Value {
        let options = &self.job.options;
        json!({
            "protocol": 1,
            "job": {
                "id": self.id,
                "kind": self.job.kind,
                "queue": options.queue.as_deref().unwrap_or(DEFAULT_QUEUE),
                "attempt": self.attempt,
                "max_attempts": options.max_attempts.unwrap_or(MAX_ATTEMPTS),
                "run_lease": self.run_lease,
                "enqueued_at": ENQUEUED_AT,
                "tags": options.tags,
                "metadata": options.metadata.clone().unwrap_or_else(|| json!({})),
            },
            "args": self.args(),
            "callback": {
                "url": CALLBACK_URL,
                "token": CALLBACK_TOKEN,
                "hook_url": "http://callbacks.invalid/v1/hooks/ph1.testing",
                "deadline_in_ms": milliseconds::of(Duration::from_hours(1)),
                "token_expires_in_ms": milliseconds::of(Duration::from_hours(24 * 7)),
                "actions": [],
            },
            "progress": self.progress,
            "steps": self.steps,
            "resume": self.resume,
            "parents": {},
        })
    }
}

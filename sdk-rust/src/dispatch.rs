//! A dispatch as it comes: the envelope, or headers and bare args.

use std::time::Instant;

use chrono::{DateTime, Utc};
use http::{HeaderMap, request};
use posthaste_protocol::id::JobId;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::run::{CallbackGrant, JobFacts, Resume, Run, RunFacts};

/// What a body is missing to be a dispatch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoDispatch {
    #[error("the body is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("neither an envelope nor the header {0}")]
    Header(&'static str),
}

/// The envelope, as `format: "envelope"` sends it. Fields of a newer server are skipped.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "protocol")]
    _protocol: u32,
    job: EnvelopeJob,
    #[serde(borrow)]
    args: &'a RawValue,
    callback: Option<CallbackGrant>,
    progress: Option<Value>,
    #[serde(default)]
    steps: Map<String, Value>,
    resume: Option<Resume>,
}

#[derive(Deserialize)]
struct EnvelopeJob {
    id: JobId,
    kind: String,
    queue: String,
    attempt: i32,
    max_attempts: i32,
    run_lease: i64,
    enqueued_at: DateTime<Utc>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// The run and its args. The body decides: what is no envelope is the args, of a `raw` or `cloudevents` endpoint.
pub(crate) fn read(mut head: request::Parts, body: &[u8]) -> Result<(Run, Box<RawValue>), NoDispatch> {
    let received = Instant::now();
    // Capabilities, which must not be printed with the rest.
    for name in ["posthaste-callback-token", "authorization"] {
        if let Some(value) = head.headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    let (facts, args) = match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => of_envelope(envelope),
        Err(_) => (of_headers(&head.headers)?, serde_json::from_slice(body)?),
    };
    Ok((Run::new(facts, head, received), args))
}

fn of_envelope(envelope: Envelope) -> (RunFacts, Box<RawValue>) {
    let Envelope { job, args, callback, progress, steps, resume, .. } = envelope;
    let EnvelopeJob { id, kind, queue, attempt, max_attempts, run_lease, enqueued_at, tags, metadata } = job;
    let enqueued_at = Some(enqueued_at);
    let job = JobFacts { id, kind, queue, attempt, max_attempts, run_lease, enqueued_at, tags, metadata };
    (RunFacts { job, callback, progress, steps, resume }, args.to_owned())
}

fn of_headers(headers: &HeaderMap) -> Result<RunFacts, NoDispatch> {
    let text = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
    let job = JobFacts {
        id: parsed(headers, "posthaste-job-id")?,
        kind: parsed(headers, "posthaste-kind")?,
        queue: parsed(headers, "posthaste-queue")?,
        attempt: parsed(headers, "posthaste-attempt")?,
        max_attempts: parsed(headers, "posthaste-max-attempts")?,
        run_lease: parsed(headers, "posthaste-run-lease")?,
        enqueued_at: text("ce-time").and_then(|at| at.parse().ok()),
        tags: Vec::new(),
        metadata: Map::new(),
    };
    let callback = match (text("posthaste-callback-url"), text("posthaste-callback-token")) {
        (Some(url), Some(token)) => Some(CallbackGrant::new(url, token)),
        _ => None,
    };
    Ok(RunFacts { job, callback, progress: None, steps: Map::new(), resume: None })
}

fn parsed<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, NoDispatch> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).ok_or(NoDispatch::Header(name))
}

#[cfg(test)]
mod tests;

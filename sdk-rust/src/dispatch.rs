//! A dispatch as it comes: the envelope, or headers and bare args.

mod format;

use std::time::Instant;

use chrono::{DateTime, Utc};
use http::{HeaderMap, request};
use posthaste_protocol::id::JobId;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

pub use format::Format;

use crate::{
    answer::PROTOCOL,
    run::{CallbackGrant, JobFacts, Resume, Run, RunFacts},
};

/// Why a request is no dispatch of the app's format.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoDispatch {
    #[error("the body is no JSON: {0}")]
    Json(serde_json::Error),
    #[error("no envelope: {0}; where the endpoint has another `format`, say it with App::format")]
    NoEnvelope(serde_json::Error),
    #[error("this is an envelope: leave App::format out")]
    AnEnvelope,
    #[error("protocol {0} is not known here: use a newer posthaste")]
    Protocol(String),
    #[error("the header {0} is missing, or is not that of a dispatch")]
    Header(&'static str),
    #[error("the envelope and the header {0} are of different jobs: is the endpoint's `format` that of App::format?")]
    Differs(&'static str),
}

/// What is read of an envelope first: what else is in it depends on this.
#[derive(Deserialize)]
struct Version {
    protocol: u64,
}

/// The envelope, as `format: "envelope"` sends it. Fields of a newer server are skipped.
#[derive(Deserialize)]
struct Envelope<'a> {
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

/// The run and its args. The format is not guessed: args can be made to look like an envelope.
pub(crate) fn read(mut head: request::Parts, body: &[u8], format: Format) -> Result<(Run, Box<RawValue>), NoDispatch> {
    let received = Instant::now();
    // Capabilities, which must not be printed with the rest.
    for name in ["posthaste-callback-token", "authorization"] {
        if let Some(value) = head.headers.get_mut(name) {
            value.set_sensitive(true);
        }
    }
    let (facts, args) = match format {
        Format::Envelope => of_envelope(&head.headers, body)?,
        Format::Raw | Format::CloudEvents => of_headers(&head.headers, body)?,
    };
    Ok((Run::new(facts, head, received), args))
}

fn of_envelope(headers: &HeaderMap, body: &[u8]) -> Result<(RunFacts, Box<RawValue>), NoDispatch> {
    let version: Version = serde_json::from_slice(body).map_err(NoDispatch::NoEnvelope)?;
    known(&version.protocol.to_string())?;
    let envelope = serde_json::from_slice(body).map_err(NoDispatch::NoEnvelope)?;
    let Envelope { job, args, callback, progress, steps, resume } = envelope;
    // Args of an endpoint that is `raw` by mistake may be an envelope too: what the dispatcher says beside it, they
    // do not choose.
    for (name, said) in [("posthaste-job-id", &job.id.to_string()), ("posthaste-kind", &job.kind)] {
        if headers.get(name).is_some_and(|value| value != said) {
            return Err(NoDispatch::Differs(name));
        }
    }
    let EnvelopeJob { id, kind, queue, attempt, max_attempts, run_lease, enqueued_at, tags, metadata } = job;
    let enqueued_at = Some(enqueued_at);
    let job = JobFacts { id, kind, queue, attempt, max_attempts, run_lease, enqueued_at, tags, metadata };
    Ok((RunFacts { job, callback, progress, steps, resume }, args.to_owned()))
}

fn known(protocol: &str) -> Result<(), NoDispatch> {
    if protocol == PROTOCOL { Ok(()) } else { Err(NoDispatch::Protocol(protocol.to_owned())) }
}

fn of_headers(headers: &HeaderMap, body: &[u8]) -> Result<(RunFacts, Box<RawValue>), NoDispatch> {
    known(&parsed::<String>(headers, "posthaste-protocol")?)?;
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
    // An endpoint that sends envelopes: its jobs would end for args that are none.
    if serde_json::from_slice::<Envelope>(body)
        .is_ok_and(|Envelope { job: told, .. }| (told.id, &told.kind) == (job.id, &job.kind))
    {
        return Err(NoDispatch::AnEnvelope);
    }
    let args = serde_json::from_slice(body).map_err(NoDispatch::Json)?;
    let callback = match (text("posthaste-callback-url"), text("posthaste-callback-token")) {
        (Some(url), Some(token)) => Some(CallbackGrant::new(url, token)),
        _ => None,
    };
    Ok((RunFacts { job, callback, progress: None, steps: Map::new(), resume: None }, args))
}

fn parsed<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, NoDispatch> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).ok_or(NoDispatch::Header(name))
}

#[cfg(test)]
mod tests;

//! The request of one run: body, headers, signature, trace.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use posthaste_engine::{claim::ClaimedRun, lane::Lane};
use posthaste_protocol::{
    dispatch::{self, CallbackGrant, DispatchJob, Resume, RunContext, UnsendableHeader},
    id::JobId,
    idempotency::KeyParts,
    trace::TraceContext,
};
use posthaste_service::{clock, entropy, telemetry};
use tracing::Span;

use crate::target::Target;

/// What is POSTed for one run.
pub struct DispatchRequest {
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Builds and signs the request of `run`. `callback` says how it may call back; `span` is the attempt's.
pub fn build(
    run: &ClaimedRun,
    lane: &Lane,
    target: &Target,
    installation: [u8; 16],
    callback: Option<CallbackGrant<'_>>,
    span: &Span,
) -> Result<DispatchRequest, UnsendableHeader> {
    let key = KeyParts {
        installation,
        job_id: run.job_id,
        created_at_micros: run.created_at.timestamp_micros(),
        resume: run.resumes,
        // A run that may have happened keeps its key; only a failure that the function told opens a new one.
        attempt: (target.keys_by_attempt() && run.known_failures > 0)
            .then(|| u32::try_from(run.known_failures).unwrap_or(u32::MAX).saturating_add(1)),
    }
    .key();
    let job = DispatchJob {
        id: JobId(run.job_id),
        kind: &lane.kind,
        queue: &lane.queue,
        attempt: i32::from(run.attempt()),
        max_attempts: i32::from(run.max_attempts),
        run_lease: run.run_lease,
        enqueued_at: run.created_at,
        tags: &run.tags,
        metadata: run.metadata.as_deref().unwrap_or("{}"),
        args: &run.args,
        timeout_ms: u64::try_from(target.timeout(run.timeout_ms).as_millis()).unwrap_or(u64::MAX),
        idempotency_key: &key,
    };
    let context = RunContext {
        callback,
        progress: run.progress.as_deref(),
        steps: run.steps.as_deref(),
        resume: run.resume.as_ref().map(|woken| Resume {
            name: &woken.name,
            payload: woken.payload.as_deref(),
            timed_out: woken.timed_out,
        }),
    };
    // Every format makes the room that it needs.
    let mut body = Vec::new();
    dispatch::body_with(target.spec.format, &job, &context, &mut body);
    let mut headers = HeaderMap::with_capacity(24);
    dispatch::headers(target.spec.format, &job, &mut headers)?;
    for (name, value) in &target.headers {
        headers.insert(name, value.clone());
    }
    if let Some(own) = &run.headers {
        job_headers(own, &mut headers);
    }
    if let Some(callback) = &context.callback {
        dispatch::callback_headers(callback, &mut headers)?;
    }
    dispatch::signature_headers(&target.secrets, &key, clock::unix_now(), &body, &mut headers)?;
    if let Some(context) = trace(run, span) {
        dispatch::trace_header(&context, &mut headers)?;
    }
    Ok(DispatchRequest { headers, body: body.into() })
}

/// The job's own headers; the database has checked names and values, so one that is not valid is left out.
fn job_headers(own: &str, headers: &mut HeaderMap) {
    let Ok(own) = serde_json::from_str::<std::collections::BTreeMap<String, String>>(own) else { return };
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}

/// The attempt's span: the exported one where spans are exported, else a child of the enqueue's with a new id.
fn trace(run: &ClaimedRun, span: &Span) -> Option<TraceContext> {
    if let Some((trace_id, span_id, flags)) = telemetry::span_traceparent(span) {
        return TraceContext::new(trace_id, span_id, flags).ok();
    }
    match run.trace.as_deref().and_then(|trace| trace.parse::<TraceContext>().ok()) {
        Some(parent) => parent.child(entropy::span_id()).ok(),
        None => TraceContext::new(entropy::nonce16(), entropy::span_id(), 0).ok(),
    }
}

//! The request of one run: body, headers, signature, trace; in an event, where Lambda is asked; and who sends it.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_TYPE, USER_AGENT},
};
use posthaste_engine::{claim::ClaimedRun, lane::Lane};
use posthaste_protocol::{
    dispatch::{self, CallbackGrant, DispatchJob, Format, LambdaEvent, Resume, RunContext, UnsendableHeader},
    endpoint::InvocationType,
    id::JobId,
    idempotency::KeyParts,
    trace::TraceContext,
};
use posthaste_service::{clock, entropy, telemetry};
use tracing::Span;

use crate::{auth::Unauthorized, target::Target};

/// What is POSTed for one run.
pub struct DispatchRequest {
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why nothing is sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// A header cannot be sent.
    #[error(transparent)]
    Header(#[from] UnsendableHeader),
    /// The platform would not take it.
    #[error("the event has {bytes} bytes, and Lambda takes {max}: pass a reference to what is large instead")]
    TooLarge {
        /// How large the event is.
        bytes: usize,
        /// How large it may be.
        max: usize,
    },
    /// It cannot say who sends it.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
}

/// Builds and signs the request of `run`. `callback` says how it may call back; `span` is the attempt's.
pub fn build(
    run: &ClaimedRun,
    lane: &Lane,
    target: &Target,
    installation: [u8; 16],
    callback: Option<CallbackGrant<'_>>,
    span: &Span,
) -> Result<DispatchRequest, Unsent> {
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
    dispatch::body_with(target.endpoint.spec.format, &job, &context, &mut body);
    let mut headers = HeaderMap::with_capacity(24);
    dispatch::headers(target.endpoint.spec.format, &job, &mut headers)?;
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
    if target.endpoint.spec.format == Format::Lambda {
        (headers, body) = invoke(target, &job, &headers, &body)?;
    }
    target.auth.apply(&target.uri, &mut headers, &body)?;
    Ok(DispatchRequest { headers, body: body.into() })
}

/// What `Invoke` is asked: the request becomes an event, and its headers the function's.
fn invoke(
    target: &Target,
    job: &DispatchJob,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(HeaderMap, Vec<u8>), Unsent> {
    let (kind, max) = match target.endpoint.spec.invocation_type {
        InvocationType::RequestResponse => ("RequestResponse", dispatch::INVOKE_MAX_BYTES),
        InvocationType::Event => ("Event", dispatch::EVENT_MAX_BYTES),
    };
    let event = LambdaEvent {
        host: target.uri.host().unwrap_or_default(),
        request_id: &format!("{}.{}", job.id, job.run_lease),
        now_unix: clock::unix_now(),
        headers,
        // Everything in an envelope is text.
        body: &String::from_utf8_lossy(body),
    };
    let mut out = Vec::new();
    event.write(&mut out);
    if out.len() > max {
        return Err(Unsent::TooLarge { bytes: out.len(), max });
    }
    let mut own = HeaderMap::with_capacity(8);
    own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    own.insert(USER_AGENT, HeaderValue::from_static(dispatch::AGENT));
    own.insert(const { HeaderName::from_static("x-amz-invocation-type") }, HeaderValue::from_static(kind));
    Ok((own, out))
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

//! The dispatch request: what is POSTed to a function for one run of a job.
//!
//! This is the hot path. Bodies are written straight into the buffer that is sent: args and metadata are copied as
//! they were stored, nothing is parsed.

mod context;
mod envelope;
mod lambda;

use chrono::{DateTime, Utc};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use context::{CallbackGrant, Resume, RunContext};
pub use lambda::{EVENT_MAX_BYTES, INVOKE_MAX_BYTES, LambdaEvent};

use crate::id::JobId;
use crate::signature::{self, Secret};
use crate::trace::TraceContext;
use crate::word::words;

/// The version of the wire contract, sent and expected in `posthaste-protocol`.
pub const PROTOCOL: &str = "1";
/// Our `user-agent`.
pub const AGENT: &str = concat!("Posthaste/", env!("CARGO_PKG_VERSION"));

words! {
    /// The body format of an endpoint.
    pub enum Format {
        /// A JSON envelope around the args.
        Envelope = "envelope",
        /// The args alone; everything else is in headers.
        Raw = "raw",
        /// CloudEvents 1.0 binary mode: the args alone, attributes in `ce-*` headers.
        Cloudevents = "cloudevents",
        /// The envelope, in an event of Lambda: see [`LambdaEvent`].
        Lambda = "lambda",
    }
}

/// A claimed run, as a function sees it.
#[derive(Debug, Clone, Copy)]
pub struct DispatchJob<'a> {
    /// The job.
    pub id: JobId,
    /// Its kind.
    pub kind: &'a str,
    /// Its queue.
    pub queue: &'a str,
    /// This attempt, from 1.
    pub attempt: i32,
    /// How many may fail.
    pub max_attempts: i32,
    /// The run's fencing number.
    pub run_lease: i64,
    /// When the job was enqueued.
    pub enqueued_at: DateTime<Utc>,
    /// Its labels.
    pub tags: &'a [String],
    /// A JSON object, sent as it stands.
    pub metadata: &'a str,
    /// A JSON value, sent as it stands.
    pub args: &'a str,
    /// How long the function has, in milliseconds.
    pub timeout_ms: u64,
    /// See [`crate::idempotency`].
    pub idempotency_key: &'a str,
}

/// A kind, queue or key that cannot be sent as a header; the text names the header. The database lets none through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of header {0} cannot be sent")]
pub struct UnsendableHeader(HeaderName);

/// Appends the body of a first run that cannot call back to `out`.
pub fn body(format: Format, job: &DispatchJob, out: &mut Vec<u8>) {
    body_with(format, job, &RunContext::default(), out);
}

/// Appends the request's body to `out`. Formats without an envelope have no place for the context: how to call back
/// is in [`callback_headers`] too, the rest is not sent.
pub fn body_with(format: Format, job: &DispatchJob, context: &RunContext, out: &mut Vec<u8>) {
    match format {
        Format::Raw | Format::Cloudevents => out.extend_from_slice(job.args.as_bytes()),
        Format::Envelope | Format::Lambda => {
            let written = envelope::write(job, context, out);
            debug_assert!(written.is_ok(), "a Vec takes every write");
        }
    }
}

/// Sets the request's own headers: everything but the endpoint's and the job's headers, [`callback_headers`],
/// [`signature_headers`] and [`trace_header`].
///
/// Call it first, then set the endpoint's headers (which may replace `user-agent`), then the job's. `Err` leaves
/// some headers set.
pub fn headers(format: Format, job: &DispatchJob, out: &mut HeaderMap) -> Result<(), UnsendableHeader> {
    out.reserve(16);
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    set_value(out, const { HeaderName::from_static("posthaste-protocol") }, HeaderValue::from_static(PROTOCOL));
    set_value(out, const { HeaderName::from_static("posthaste-job-id") }, job.id.0.into());
    set_text(out, const { HeaderName::from_static("posthaste-kind") }, job.kind)?;
    set_text(out, const { HeaderName::from_static("posthaste-queue") }, job.queue)?;
    set_value(out, const { HeaderName::from_static("posthaste-attempt") }, job.attempt.into());
    set_value(out, const { HeaderName::from_static("posthaste-max-attempts") }, job.max_attempts.into());
    set_value(out, const { HeaderName::from_static("posthaste-run-lease") }, job.run_lease.into());
    set_value(out, const { HeaderName::from_static("posthaste-timeout-ms") }, job.timeout_ms.into());
    set_text(out, const { HeaderName::from_static("idempotency-key") }, job.idempotency_key)?;
    if format == Format::Cloudevents {
        cloudevents_headers(job, out)?;
    }
    Ok(())
}

/// The CloudEvents attributes. `ce-id` is new for every run, because receivers may drop an id they have seen, and
/// would drop the retry of a failure.
fn cloudevents_headers(job: &DispatchJob, out: &mut HeaderMap) -> Result<(), UnsendableHeader> {
    set_value(out, const { HeaderName::from_static("ce-specversion") }, HeaderValue::from_static("1.0"));
    set_text(out, const { HeaderName::from_static("ce-id") }, &format!("{}.{}", job.id, job.run_lease))?;
    set_text(out, const { HeaderName::from_static("ce-source") }, &format!("/posthaste/queues/{}", job.queue))?;
    set_text(out, const { HeaderName::from_static("ce-type") }, job.kind)?;
    set_text(out, const { HeaderName::from_static("ce-time") }, &Rfc3339(job.enqueued_at).to_string())
}

/// Sets `posthaste-callback-url` and `posthaste-callback-token`; the token is marked as sensitive.
pub fn callback_headers(grant: &CallbackGrant, out: &mut HeaderMap) -> Result<(), UnsendableHeader> {
    set_value(out, const { HeaderName::from_static("posthaste-callback-url") }, grant.gateway.header().clone());
    let name = const { HeaderName::from_static("posthaste-callback-token") };
    let Ok(mut token) = HeaderValue::from_str(grant.token.expose()) else { return Err(UnsendableHeader(name)) };
    token.set_sensitive(true);
    set_value(out, name, token);
    Ok(())
}

/// Sets `webhook-id` (the idempotency key), `webhook-timestamp` and `webhook-signature` over `body`.
pub fn signature_headers(
    secrets: &[Secret],
    idempotency_key: &str,
    timestamp_unix: i64,
    body: &[u8],
    out: &mut HeaderMap,
) -> Result<(), UnsendableHeader> {
    set_text(out, const { HeaderName::from_static("webhook-id") }, idempotency_key)?;
    set_value(out, const { HeaderName::from_static("webhook-timestamp") }, timestamp_unix.into());
    set_text(
        out,
        const { HeaderName::from_static("webhook-signature") },
        &signature::sign(secrets, idempotency_key, timestamp_unix, body),
    )
}

/// Sets `traceparent` to the attempt's span.
pub fn trace_header(context: &TraceContext, out: &mut HeaderMap) -> Result<(), UnsendableHeader> {
    set_text(out, const { HeaderName::from_static("traceparent") }, &context.to_string())
}

// Names are made when this is compiled: making one at run time reads it byte by byte.
fn set_value(out: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    out.insert(name, value);
}

fn set_text(out: &mut HeaderMap, name: HeaderName, text: &str) -> Result<(), UnsendableHeader> {
    match HeaderValue::from_str(text) {
        Ok(value) => set_value(out, name, value),
        Err(_) => return Err(UnsendableHeader(name)),
    }
    Ok(())
}

/// Writes a time as RFC 3339 with `Z` and as many fractional digits as it needs, without a string in between: the
/// `Debug` form of a naive time is documented to be that.
struct Rfc3339(DateTime<Utc>);

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}Z", self.0.naive_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Action, Actions};
    use crate::gateway_url::GatewayUrl;
    use crate::key_ring::KeyRing;
    use crate::token::{self, Claims, Token, TokenKind};

    fn job(tags: &[String]) -> DispatchJob<'_> {
        DispatchJob {
            id: JobId(42),
            kind: "generate_pdf",
            queue: "default",
            attempt: 1,
            max_attempts: 25,
            run_lease: 3,
            enqueued_at: "2026-11-21T08:00:00Z".parse().unwrap(),
            tags,
            metadata: r#"{"m" : 1}"#,
            args: r#"{"to":  "a"}"#,
            timeout_ms: 30_000,
            idempotency_key: "AAAAAAAAAAAAAAAAAAAAAA",
        }
    }

    fn claims() -> Claims {
        Claims {
            kind: TokenKind::Callback,
            actions: Actions::of(&[Action::Complete, Action::Heartbeat]),
            namespace: 1,
            job_id: JobId(42),
            run_lease: 3,
            wait: 0,
            lease_id: 9,
            expires_at_unix: 1000,
            nonce: [5; 16],
        }
    }

    fn grant<'a>(gateway: &'a GatewayUrl, token: &'a Token, hook_token: Option<&'a Token>) -> CallbackGrant<'a> {
        let actions = claims().actions;
        CallbackGrant {
            gateway,
            token,
            hook_token,
            actions,
            deadline_in_ms: 3_600_000,
            token_expires_in_ms: 605_400_000,
        }
    }

    fn text(format: Format, job: &DispatchJob) -> String {
        let mut out = Vec::new();
        body(format, job, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_envelope_has_the_documented_shape_and_keeps_bytes() {
        let tags = ["a\"b".to_owned()];
        assert_eq!(
            text(Format::Envelope, &job(&tags)),
            r#"{"protocol":1,"job":{"id":"42","kind":"generate_pdf","queue":"default","attempt":1,"max_attempts":25,"run_lease":3,"enqueued_at":"2026-11-21T08:00:00Z","tags":["a\"b"],"metadata":{"m" : 1}},"args":{"to":  "a"},"callback":null,"progress":null,"steps":{},"resume":null,"parents":{}}"#
        );
    }

    #[test]
    fn an_envelope_tells_how_to_call_back_and_what_was_before() {
        let ring = KeyRing::parse(&format!("1:{}", "a".repeat(64))).unwrap();
        let claims = claims();
        let (token, hook_token) =
            (token::mint(&ring, &claims), token::mint(&ring, &Claims { kind: TokenKind::Hook, ..claims }));
        let gateway = GatewayUrl::parse("https://cb.example.com").unwrap();
        let grant = grant(&gateway, &token, Some(&hook_token));
        let context = RunContext {
            callback: Some(grant),
            progress: Some(r#"{"percent" : 5}"#),
            steps: Some(r#"{"a" : 1}"#),
            resume: Some(Resume { name: "pay\"ment", payload: Some(r#"{"ok" : 1}"#), timed_out: false }),
        };
        let mut out = Vec::new();
        body_with(Format::Envelope, &job(&[]), &context, &mut out);
        let sent = String::from_utf8(out).unwrap();
        let (_, tail) = sent.split_once(r#","callback":"#).unwrap();
        let (token, hook_token) = (token.expose(), hook_token.expose());
        assert_eq!(
            tail,
            format!(
                r#"{{"url":"https://cb.example.com/v1/callbacks","token":"{token}","deadline_in_ms":3600000,"token_expires_in_ms":605400000,"hook_url":"https://cb.example.com/v1/hooks/{hook_token}","actions":["complete","heartbeat"]}},"progress":{{"percent" : 5}},"steps":{{"a" : 1}},"resume":{{"name":"pay\"ment","payload":{{"ok" : 1}},"timed_out":false}},"parents":{{}}}}"#
            )
        );
        let parsed: serde_json::Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(parsed["resume"]["name"], "pay\"ment");
    }

    #[test]
    fn a_wait_that_ran_out_resumes_with_null() {
        let resume = Resume { name: "payment", payload: None, timed_out: true };
        let mut out = Vec::new();
        body_with(Format::Envelope, &job(&[]), &RunContext { resume: Some(resume), ..RunContext::default() }, &mut out);
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (&parsed["resume"], &parsed["callback"]),
            (&serde_json::json!({"name": "payment", "payload": null, "timed_out": true}), &serde_json::Value::Null)
        );
    }

    #[test]
    fn a_token_is_a_header_that_is_not_printed() {
        let ring = KeyRing::parse(&format!("1:{}", "a".repeat(64))).unwrap();
        let token = token::mint(&ring, &claims());
        let gateway = GatewayUrl::parse("https://cb.example.com").unwrap();
        let mut out = HeaderMap::new();
        callback_headers(&grant(&gateway, &token, None), &mut out).unwrap();
        assert_eq!(out["posthaste-callback-url"], "https://cb.example.com/v1/callbacks");
        assert_eq!(out["posthaste-callback-token"], token.expose());
        assert!(!format!("{out:?}").contains("ph1."), "{out:?}");
    }

    #[test]
    fn raw_and_cloudevents_send_the_args_alone() {
        assert_eq!(text(Format::Raw, &job(&[])), r#"{"to":  "a"}"#);
        assert_eq!(text(Format::Cloudevents, &job(&[])), r#"{"to":  "a"}"#);
    }

    #[test]
    fn times_keep_their_microseconds() {
        let at = |text: &str| Rfc3339(text.parse().unwrap()).to_string();
        for time in ["2026-11-21T08:00:00Z", "2026-11-21T08:00:00.123Z", "2026-11-21T08:00:00.000001Z"] {
            assert_eq!(at(time), time);
        }
    }

    #[test]
    fn headers_say_what_the_contract_says() {
        let mut out = HeaderMap::new();
        headers(Format::Envelope, &job(&[]), &mut out).unwrap();
        let mut lines: Vec<_> =
            out.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "content-type: application/json",
                "idempotency-key: AAAAAAAAAAAAAAAAAAAAAA",
                "posthaste-attempt: 1",
                "posthaste-job-id: 42",
                "posthaste-kind: generate_pdf",
                "posthaste-max-attempts: 25",
                "posthaste-protocol: 1",
                "posthaste-queue: default",
                "posthaste-run-lease: 3",
                "posthaste-timeout-ms: 30000",
                &format!("user-agent: {AGENT}"),
            ]
        );
    }

    #[test]
    fn cloudevents_are_in_binary_mode() {
        let mut out = HeaderMap::new();
        headers(Format::Cloudevents, &job(&[]), &mut out).unwrap();
        for (name, value) in [
            ("ce-specversion", "1.0"),
            ("ce-id", "42.3"),
            ("ce-source", "/posthaste/queues/default"),
            ("ce-type", "generate_pdf"),
            ("ce-time", "2026-11-21T08:00:00Z"),
        ] {
            assert_eq!(out[name], value);
        }
    }

    #[test]
    fn a_kind_that_is_no_header_is_an_error() {
        let mut out = HeaderMap::new();
        let bad = DispatchJob { kind: "a\r\nb: c", ..job(&[]) };
        assert_eq!(
            headers(Format::Raw, &bad, &mut out),
            Err(UnsendableHeader(HeaderName::from_static("posthaste-kind")))
        );
    }

    #[test]
    fn a_signed_and_traced_request_verifies() {
        let secret = Secret::from_bytes(&[5; 32]).unwrap();
        let mut out = HeaderMap::new();
        signature_headers(std::slice::from_ref(&secret), "key", 1000, b"body", &mut out).unwrap();
        let value = |name: &str| out[name].to_str().unwrap();
        let verified = signature::verify(
            &[secret],
            value("webhook-id"),
            value("webhook-timestamp"),
            value("webhook-signature"),
            b"body",
            1001,
            5,
        );
        assert_eq!(verified, Ok(()));
        let context = TraceContext::new([1; 16], [2; 8], 1).unwrap();
        trace_header(&context, &mut out).unwrap();
        assert_eq!(out["traceparent"], context.to_string());
    }
}

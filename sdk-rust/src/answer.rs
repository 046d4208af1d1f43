//! Outcomes as HTTP answers. Every answer says `posthaste-protocol: 1`.

#[cfg(feature = "testing")]
pub(crate) mod read;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    error,
    handler::Failure,
    milliseconds,
    outcome::{
        Accepted, Cancel, Completed, Fail, Outcome, Retire, Retry, Snooze, Suspend, Throttle, WrittenSuspension,
    },
    problem::{self, Problem},
    run::Run,
};

/// The version of the wire contract that every answer names.
pub const PROTOCOL: &str = "1";

const OUTCOME: HeaderName = HeaderName::from_static("posthaste-outcome");
const CALLBACK_TIMEOUT: HeaderName = HeaderName::from_static("posthaste-callback-timeout-ms");
const HEARTBEAT_TIMEOUT: HeaderName = HeaderName::from_static("posthaste-heartbeat-timeout-ms");

/// The answer of a handler that has an outcome.
pub(crate) fn of_outcome(outcome: Outcome) -> Response<Bytes> {
    match outcome {
        Outcome::Completed(Completed { json }) if json == "null" => empty(StatusCode::NO_CONTENT),
        Outcome::Completed(Completed { json }) => json_answer(StatusCode::OK, json.into()),
        Outcome::Accepted(Accepted { callback_timeout, heartbeat_timeout }) => {
            let answer = with_ms(empty(StatusCode::ACCEPTED), CALLBACK_TIMEOUT, callback_timeout);
            with_ms(answer, HEARTBEAT_TIMEOUT, heartbeat_timeout)
        }
        Outcome::Suspend(suspend) => suspended(suspend),
        Outcome::Snooze(Snooze { after }) => retry_after(word(empty(StatusCode::OK), "snooze"), after),
        Outcome::Retry(Retry { message, code, after }) => {
            retry_after(word(problem(500, Some(usable(&code).unwrap_or("retry")), &message), "retry"), after)
        }
        Outcome::Fail(Fail { message, code }) => word(problem(422, code.as_deref().and_then(usable), &message), "fail"),
        Outcome::Cancel(Cancel { reason }) => {
            let body = serde_json::json!({"reason": reason});
            word(json_answer(StatusCode::OK, body.to_string().into()), "cancel")
        }
        // What is said of the endpoint is said by the status alone: a word would speak of the job.
        Outcome::Throttle(Throttle { message, after }) => retry_after(problem(429, None, &message), after),
        Outcome::Retire(Retire { message }) => problem(410, None, &message),
    }
}

/// The answer of a handler that has none: tried again, but for args that will not be better next time.
pub(crate) fn of_failure(failure: &Failure, run: &Run) -> Response<Bytes> {
    let (id, kind) = (run.id(), run.kind());
    match failure {
        Failure::Args(error) => {
            tracing::warn!(job.id = %id, job.kind = kind, %error, "the args are not those of the handler");
            problem(422, Some("invalid_args"), &error.to_string())
        }
        Failure::Error(error) => {
            let text = error::chain(&**error);
            tracing::warn!(job.id = %id, job.kind = kind, error = text, "the handler failed");
            problem(500, Some("unhandled_exception"), &text)
        }
        Failure::Panic(message) => {
            tracing::error!(job.id = %id, job.kind = kind, message, "the handler panicked");
            problem(500, Some("panic"), &format!("the handler panicked: {message}"))
        }
    }
}

/// The answer to what no handler was asked.
pub(crate) fn refused(status: u16, code: &str, detail: &str) -> Response<Bytes> {
    problem(status, Some(code), detail)
}

/// The answer to what is no POST.
pub(crate) fn wrong_method() -> Response<Bytes> {
    let mut answer = refused(405, "method_not_allowed", "jobs are POSTed");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    answer
}

/// The code, if the server would take it: left out, it changes nothing of what becomes of the job.
fn usable(code: &str) -> Option<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let usable = (1..=64).contains(&code.len()) && code.bytes().all(fits);
    if !usable {
        tracing::warn!(code, "this code is left out: it must be 1 to 64 letters, digits and _ . -");
    }
    usable.then_some(code)
}

fn suspended(suspend: Suspend) -> Response<Bytes> {
    match serde_json::to_vec(&WrittenSuspension::from(suspend)) {
        Ok(body) => word(json_answer(StatusCode::ACCEPTED, body), "suspend"),
        Err(error) => problem(500, Some("invalid_suspension"), &error.to_string()),
    }
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer.headers_mut().insert("posthaste-protocol", HeaderValue::from_static(PROTOCOL));
    answer
}

fn json_answer(status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
    let mut answer = empty(status);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *answer.body_mut() = body.into();
    answer
}

fn problem(status: u16, code: Option<&str>, detail: &str) -> Response<Bytes> {
    let body = Problem::new(status, code, detail).body();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json_answer(status, body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
    answer
}

fn word(mut answer: Response<Bytes>, outcome: &'static str) -> Response<Bytes> {
    answer.headers_mut().insert(OUTCOME, HeaderValue::from_static(outcome));
    answer
}

/// Seconds, with the fraction that the duration has: the server reads decimals.
fn retry_after(mut answer: Response<Bytes>, after: Option<Duration>) -> Response<Bytes> {
    if let Some(after) = after
        && let Ok(seconds) = HeaderValue::try_from(after.as_secs_f64().to_string())
    {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    answer
}

fn with_ms(mut answer: Response<Bytes>, name: HeaderName, timeout: Option<Duration>) -> Response<Bytes> {
    if let Some(timeout) = timeout {
        answer.headers_mut().insert(name, milliseconds::of(timeout).into());
    }
    answer
}

#[cfg(test)]
mod tests;

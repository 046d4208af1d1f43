//! What a function's answer means: the answer table of the contract, as one pure function.

mod failure;
mod lambda;
mod meaning;
mod platform;
mod result;
mod send;
mod suspend;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use http::HeaderMap;
use posthaste_engine::lifecycle::{Outcome, RunError};
use posthaste_protocol::{
    accepted::{Accepted, InvalidTimeout},
    excerpt,
    suspend::Suspension,
};

pub use lambda::{LAMBDA_CAP, unwrap};
pub use meaning::Meaning;
pub use send::{OnUnknown, from_send_error, unknown};

use self::failure::Failure;
use crate::retry_after;

/// The largest result that is stored.
pub const RESULT_CAP: usize = 1024 * 1024;
/// When a function that snoozes without `retry-after` is asked again.
pub const DEFAULT_SNOOZE: Duration = Duration::from_mins(1);

/// The parts of an answer that mean something.
#[derive(Debug, Clone, Copy)]
pub struct AnswerView<'a> {
    /// 100–999.
    pub status: u16,
    /// As sent.
    pub headers: &'a HeaderMap,
    /// As far as it was read.
    pub body: &'a [u8],
    /// There was more body than was read.
    pub over_cap: bool,
}

impl AnswerView<'_> {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    fn speaks_protocol(&self) -> bool {
        self.header("posthaste-protocol") == Some("1")
    }

    /// Whether the body is compressed although `identity` was asked for: then it is not looked at.
    fn is_encoded(&self) -> bool {
        let encodings = self.headers.get_all(http::header::CONTENT_ENCODING);
        encodings.iter().any(|encoding| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
    }
}

/// What the endpoint's definition says about its answers.
#[derive(Debug, Clone, Copy)]
pub struct AnswerContext<'a> {
    /// Overrides of the table, by status.
    pub status_map: &'a BTreeMap<u16, Meaning>,
    /// Every 2xx must carry `posthaste-protocol: 1`.
    pub sdk: bool,
    /// A bare 202 means that a callback follows.
    pub accept_202_wait: bool,
    /// Functions can call back. Else a 202 that promises it ends its job.
    pub callbacks: bool,
    /// The longest that a run may take, since its claim.
    pub max_run_ms: u64,
    /// The time now, seconds since 1970.
    pub now_unix: i64,
    /// Largest result, [`RESULT_CAP`] unless a test says otherwise.
    pub result_cap: usize,
}

/// What an answer, or its absence, comes to.
#[derive(Debug, Clone)]
pub enum Reading {
    /// The run has ended.
    Ended(Outcome),
    /// The function will call back; how long that may take, or the time-out header that cannot be read.
    Accepted(Result<Accepted, InvalidTimeout>),
    /// The function is to be POSTed again when something has happened.
    Suspended(Box<Suspension>),
    /// Nobody knows whether the function ran, and its callback may still come.
    Unknown(RunError),
}

/// What an answer says about the endpoint, for its breaker and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It works.
    Success,
    /// It answered 5xx, or as if.
    Failure5xx,
    /// It is not the function, or the function is not deployed right.
    Misconfigured,
    /// It has more work than it can do.
    Throttled,
    /// It asks never to be called again.
    Retired,
    /// Nothing reached it.
    NotSent,
    /// It may have run; no answer came.
    Unknown,
    /// It spoke about the job, not about itself.
    Neutral,
}

/// Reads an answer by the table of the contract. Which wins: `posthaste-outcome`, Lambda's function error,
/// the `sdk` promise, the endpoint's status map, the platform's throttling, the status.
pub fn classify(answer: &AnswerView<'_>, context: &AnswerContext<'_>) -> (Reading, Verdict) {
    match said(answer) {
        Said::Nothing => {}
        Said::Meaning(meaning) => return ended(apply(meaning, true, answer, context)),
        Said::Suspend if context.callbacks => return suspend::read(answer, context),
        Said::Suspend => return ended(callbacks_unavailable()),
        Said::Unknown(word) => return ended(unknown_outcome(answer, &word)),
    }
    if answer.is_success() && answer.headers.contains_key("x-amz-function-error") {
        let error = Failure::read(answer).into_error("function_error".into(), answer);
        let retry_after = retry_after::from_headers(answer.headers);
        return ended((Outcome::Failed { error, retry_after }, Verdict::Failure5xx));
    }
    if answer.is_success() && context.sdk && !answer.speaks_protocol() {
        let error = RunError::new("not_sdk", "a 2xx without posthaste-protocol: 1 from an endpoint of the SDK");
        let retry_after = retry_after::from_headers(answer.headers);
        return ended((Outcome::Misconfigured { error, retry_after }, Verdict::Misconfigured));
    }
    if let Some(mapped) = context.status_map.get(&answer.status) {
        return ended(apply(*mapped, false, answer, context));
    }
    if answer.status == 202 && means_wait(answer, context) {
        return accepted(answer, context);
    }
    let meaning = platform::meaning(answer).unwrap_or_else(|| Meaning::of_status(answer.status));
    ended(apply(meaning, false, answer, context))
}

fn ended((outcome, verdict): (Outcome, Verdict)) -> (Reading, Verdict) {
    (Reading::Ended(outcome), verdict)
}

fn accepted(answer: &AnswerView<'_>, context: &AnswerContext<'_>) -> (Reading, Verdict) {
    if context.callbacks {
        return (Reading::Accepted(Accepted::read(answer.headers)), Verdict::Success);
    }
    ended(callbacks_unavailable())
}

/// What `posthaste-outcome` says.
enum Said {
    Nothing,
    Meaning(Meaning),
    Suspend,
    Unknown(String),
}

fn said(answer: &AnswerView<'_>) -> Said {
    let mut values = answer.headers.get_all("posthaste-outcome").iter();
    let Some(value) = values.next() else { return Said::Nothing };
    let word = value.as_bytes().trim_ascii();
    let contradicted = values.any(|other| !other.as_bytes().trim_ascii().eq_ignore_ascii_case(word));
    if contradicted {
        return Said::Unknown("several that differ".to_owned());
    }
    match word.to_ascii_lowercase().as_slice() {
        b"complete" => Said::Meaning(Meaning::Complete),
        b"retry" => Said::Meaning(Meaning::Retry),
        b"fail" => Said::Meaning(Meaning::Fail),
        b"cancel" => Said::Meaning(Meaning::Cancel),
        b"snooze" => Said::Meaning(Meaning::Snooze),
        b"suspend" => Said::Suspend,
        _ => Said::Unknown(excerpt::clean(word, 64)),
    }
}

/// Turns a meaning into an outcome. `spoken`: the function said it itself, by `posthaste-outcome`.
fn apply(meaning: Meaning, spoken: bool, answer: &AnswerView<'_>, context: &AnswerContext<'_>) -> (Outcome, Verdict) {
    if meaning == Meaning::Complete {
        return complete(answer, context);
    }
    let failure = Failure::read(answer);
    // The function's own word about retrying, in a problem, overrides what its status would mean.
    let meaning = match (meaning, failure.retryable) {
        (Meaning::Retry | Meaning::Throttle | Meaning::Misconfigured, Some(false)) if !spoken => Meaning::Fail,
        (Meaning::Fail, Some(true)) if !spoken => Meaning::Retry,
        (meaning, _) => meaning,
    };
    let retry_after = retry_after::from_headers(answer.headers).or(failure.retry_after);
    let own_words = spoken || failure.retryable.is_some();
    let about_job = match answer.status {
        500..600 if !own_words => Verdict::Failure5xx,
        _ => Verdict::Neutral,
    };
    match meaning {
        Meaning::Snooze => (Outcome::Snoozed { after: retry_after.unwrap_or(DEFAULT_SNOOZE) }, Verdict::Neutral),
        Meaning::Cancel => (Outcome::Cancelled { reason: failure.message }, Verdict::Neutral),
        Meaning::Retry => {
            (Outcome::Failed { error: failure.into_status_error(spoken, answer), retry_after }, about_job)
        }
        Meaning::Fail => (Outcome::GaveUp { error: failure.into_status_error(spoken, answer) }, about_job),
        Meaning::Retire => (Outcome::GaveUp { error: failure.into_status_error(false, answer) }, Verdict::Retired),
        Meaning::Throttle => {
            let error = failure.into_status_error(false, answer);
            (Outcome::Throttled { error, retry_after, charged: false }, Verdict::Throttled)
        }
        Meaning::Complete => complete(answer, context),
        Meaning::Misconfigured => {
            let error = failure.into_status_error(false, answer);
            (Outcome::Misconfigured { error, retry_after }, Verdict::Misconfigured)
        }
    }
}

fn complete(answer: &AnswerView<'_>, context: &AnswerContext<'_>) -> (Outcome, Verdict) {
    if matches!(answer.status, 204 | 205) || (answer.body.is_empty() && !answer.over_cap) {
        return (Outcome::Completed { result: None }, Verdict::Success);
    }
    if answer.is_encoded() {
        let error = RunError::new("unsupported_encoding", "the answer is compressed although identity was asked for");
        return (Outcome::Failed { error, retry_after: retry_after::from_headers(answer.headers) }, Verdict::Neutral);
    }
    if answer.over_cap || answer.body.len() > context.result_cap {
        let message = format!("the result is larger than {} bytes", context.result_cap);
        return (Outcome::GaveUp { error: RunError::new("result_too_large", message) }, Verdict::Neutral);
    }
    match result::read(answer.headers, answer.body) {
        Ok(result) => (Outcome::Completed { result }, Verdict::Success),
        Err(error) => (Outcome::GaveUp { error }, Verdict::Neutral),
    }
}

fn unknown_outcome(answer: &AnswerView<'_>, word: &str) -> (Outcome, Verdict) {
    let error = RunError::new("unknown_outcome", format!("unknown posthaste-outcome: {word}"));
    (Outcome::Failed { error, retry_after: retry_after::from_headers(answer.headers) }, Verdict::Neutral)
}

/// Without a gateway, whoever promises a callback could never keep it.
fn callbacks_unavailable() -> (Outcome, Verdict) {
    let error =
        RunError::new("callbacks_unavailable", "the function wants to call back, and nothing here takes callbacks");
    (Outcome::GaveUp { error }, Verdict::Neutral)
}

fn means_wait(answer: &AnswerView<'_>, context: &AnswerContext<'_>) -> bool {
    context.accept_202_wait || answer.speaks_protocol() || Accepted::is_announced(answer.headers)
}

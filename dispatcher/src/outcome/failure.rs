//! What a failing function says about its failure: message, code, and whether retrying helps.

use std::{borrow::Cow, time::Duration};

use http::{StatusCode, header::CONTENT_TYPE};
use posthaste_engine::lifecycle::RunError;
use posthaste_protocol::{excerpt, tree};
use serde_json::Value;

use super::{AnswerView, result};
use crate::retry_after;

/// Bodies larger than this are not parsed: no error needs so many words.
const PARSE_CAP: usize = 64 * 1024;

/// What the body of an answer that is no success says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Failure {
    /// Cleaned.
    pub(super) message: Option<String>,
    /// The function's own code.
    pub(super) code: Option<String>,
    /// `retryable` of a problem.
    pub(super) retryable: Option<bool>,
    /// `retry_after` of a problem.
    pub(super) retry_after: Option<Duration>,
    is_problem: bool,
}

impl Failure {
    pub(super) fn read(answer: &AnswerView<'_>) -> Self {
        if answer.body.is_empty() || answer.is_encoded() {
            return Self::default();
        }
        let content_type = answer.headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let looks_like_json = result::is_json(content_type) || answer.body.trim_ascii_start().starts_with(b"{");
        if looks_like_json
            && answer.body.len() <= PARSE_CAP
            && let Ok(text) = std::str::from_utf8(answer.body)
            && let Ok(Value::Object(body)) = tree::read(text)
        {
            return Self::from_object(&body, is_problem(content_type), answer.body);
        }
        Self { message: cleaned(answer.body), ..Self::default() }
    }

    fn from_object(body: &serde_json::Map<String, Value>, is_problem: bool, raw: &[u8]) -> Self {
        // Some wrap it: {"error": {"code": …, "message": …}}.
        let inner = body.get("error").and_then(Value::as_object).unwrap_or(body);
        let text = |name: &str| inner.get(name).or_else(|| body.get(name)).and_then(Value::as_str);
        let words = ["detail", "message", "error", "errorMessage", "reason", "title"];
        let message =
            words.into_iter().find_map(text).and_then(|text| cleaned(text.as_bytes())).or_else(|| cleaned(raw));
        let own = |name: &str| body.get(name).filter(|_| is_problem);
        Self {
            message,
            code: text("code").and_then(own_code),
            retryable: own("retryable").and_then(Value::as_bool),
            retry_after: own("retry_after").and_then(seconds),
            is_problem,
        }
    }

    /// The error of this answer, under `http_<status>` or, where the function chose its words, its own code.
    pub(super) fn into_status_error(mut self, spoken: bool, answer: &AnswerView<'_>) -> RunError {
        let own = self.code.take().filter(|_| spoken || self.is_problem);
        let code = own.unwrap_or_else(|| format!("http_{}", answer.status));
        self.into_error(code.into(), answer)
    }

    pub(super) fn into_error(self, code: Cow<'static, str>, answer: &AnswerView<'_>) -> RunError {
        let message = self.message.unwrap_or_else(|| {
            let status = StatusCode::from_u16(answer.status).ok();
            let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("no reason given");
            let redirect = if (300..400).contains(&answer.status) { "; redirects are never followed" } else { "" };
            format!("answered {} {reason}{redirect}", answer.status)
        });
        RunError { code, message }
    }
}

fn is_problem(content_type: &[u8]) -> bool {
    let kind = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/problem+json")
}

fn cleaned(text: &[u8]) -> Option<String> {
    Some(excerpt::clean(text, excerpt::ERROR_BYTES)).filter(|text| !text.is_empty())
}

fn seconds(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(number) => retry_after::from_seconds(&number.to_string()),
        Value::String(text) => retry_after::from_seconds(text),
        _ => None,
    }
}

/// A function's code as a dead letter's reason: lower case, at most 64 of `a–z 0–9 _ . -`, or none at all.
fn own_code(code: &str) -> Option<String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let fits = (1..=64).contains(&code.len()) && code.bytes().all(legal);
    fits.then(|| code.to_ascii_lowercase())
}

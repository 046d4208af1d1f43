//! Refusals: every answer that is not one of the contract's outcomes. RFC 9457, with nothing of our inside.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use posthaste_protocol::{
    excerpt::{ERROR_BYTES, clean},
    inbound::SignatureFault,
    job::{JobRef, State},
    problem::{self, Code, FieldError, Problem},
};
use serde::Serialize;

use crate::answer::seal;

/// A callback that is answered with a problem.
#[derive(Debug, Clone)]
pub struct Refusal {
    // Boxed: a problem is large, and results carry this everywhere.
    problem: Box<Problem>,
    /// The number that the stored steps have, for a checkpoint that came too late.
    seq: Option<u32>,
    /// What nobody but the operator is told.
    why: Option<Box<str>>,
}

/// A problem as it is written here.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u32>,
}

impl Refusal {
    /// The answer of this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::from(Problem::new(code, detail))
    }

    /// 401, the same for every reason.
    pub fn invalid_token() -> Self {
        Self::new(Code::InvalidToken, "there is no callback token, or it is not accepted")
    }

    /// 401, the same for every reason, which only the log says.
    pub fn invalid_signature(fault: SignatureFault) -> Self {
        Self::new(Code::InvalidSignature, "the request is not signed as it must be").because(fault.as_str())
    }

    /// 503: what verifies the signature cannot be used here; only the log says why.
    pub fn unverifiable(why: &str) -> Self {
        Self::new(Code::Unverifiable, "the signature cannot be verified now; try again").because(why)
    }

    /// 429: this peer, or this job, is over its limit.
    pub fn rate_limited(detail: &str) -> Self {
        Self::new(Code::RateLimited, detail)
    }

    /// 503: too much at once.
    pub fn overloaded() -> Self {
        Self::new(Code::Overloaded, "too many callbacks are waiting to be committed; try again")
    }

    /// 503: Postgres is away.
    pub fn database_unavailable() -> Self {
        Self::new(Code::DatabaseUnavailable, "the database cannot be reached; try again")
    }

    /// These fields are wrong: 422, or 413 if one is too large, or 400 if it is no JSON.
    pub fn faults(faults: Vec<FieldError>) -> Self {
        match faults.iter().find(|fault| fault.code == "too_large") {
            Some(fault) => {
                let detail = format!("the largest field is {}: it {}", fault.field, fault.message);
                Self::from(Problem::new(Code::PayloadTooLarge, detail).with_errors(faults))
            }
            None => Self::from(Problem::invalid(faults)),
        }
    }

    /// 409: somebody else has the run, or had it.
    pub fn conflict(code: Code, detail: impl Into<String>, job: JobRef) -> Self {
        Self::from(Problem::new(code, detail).with_job(job))
    }

    /// 409: other steps were stored since, under this number.
    pub fn late_checkpoint(seq: u32, job: JobRef) -> Self {
        let detail = format!("other steps were stored meanwhile: name seq {seq}");
        Self { seq: Some(seq), ..Self::conflict(Code::Conflict, detail, job) }
    }

    fn because(self, why: &str) -> Self {
        Self { why: Some(clean(why.as_bytes(), ERROR_BYTES).into()), ..self }
    }

    /// Whether the same request may be taken in a moment.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self.problem.code,
            Code::RateLimited | Code::Overloaded | Code::DatabaseUnavailable | Code::Unverifiable
        )
    }

    /// The reason as the delivery log has it: the code, and what its sender is not told.
    pub fn reason(&self) -> String {
        let code = self.code();
        self.why.as_ref().map_or_else(|| code.to_string(), |why| format!("{code}: {why}"))
    }

    /// The run that it was for goes on, and waits for nothing that takes it.
    pub fn is_untaken(&self) -> bool {
        self.code() == Code::Conflict && self.problem.job.is_some_and(|job| job.state == State::Waiting)
    }

    /// The run that it was for is over.
    pub fn is_of_over_run(&self) -> bool {
        matches!(self.code(), Code::AlreadyFinalized | Code::LeaseSuperseded)
    }

    /// It names a job that has not ended.
    pub fn job_lives(&self) -> bool {
        self.problem.job.is_some_and(|job| !job.state.is_terminal())
    }

    /// The stable code.
    pub const fn code(&self) -> Code {
        self.problem.code
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), seq: None, why: None }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        *refusal.problem
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let body = serde_json::to_vec(&Written { problem: &self.problem, seq: self.seq }).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        match self.code() {
            Code::InvalidToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Code::MethodNotAllowed => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        if self.is_passing() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        seal(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_succeed_later_says_when() {
        for (refusal, retries) in [
            (Refusal::overloaded(), true),
            (Refusal::database_unavailable(), true),
            (Refusal::rate_limited("slow down"), true),
            (Refusal::unverifiable("no secret"), true),
            (Refusal::invalid_token(), false),
            (Refusal::new(Code::PastRetention, ""), false),
        ] {
            let response = refusal.into_response();
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), retries, "{}", response.status());
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
        }
    }
}

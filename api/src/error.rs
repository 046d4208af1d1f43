//! Errors as answers: problem+json, with `retry-after` where trying again helps, and nothing of our inside.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use posthaste_engine::EngineError;
use posthaste_protocol::problem::{self, Code, FieldError, Problem};

/// An error answer.
#[derive(Debug)]
pub struct ApiError {
    // Boxed: a problem is large, and results carry this everywhere.
    problem: Box<Problem>,
    retry_after_s: Option<u32>,
}

impl ApiError {
    /// The answer of this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self::from(Problem::new(code, detail))
    }

    /// One field is wrong: 422.
    pub fn field(field: &str, code: &str, message: impl Into<String>) -> Self {
        Self::faults(vec![FieldError::new(field, code, message)])
    }

    /// These fields are wrong: 422, or 413 if one is too large, or 400 if it is no JSON.
    pub fn faults(faults: Vec<FieldError>) -> Self {
        Self::from(faults_problem(faults))
    }

    /// What an engine verb said. `missing` is the code for what was not found.
    pub fn engine(error: EngineError, missing: Code) -> Self {
        match error {
            EngineError::Unavailable(reason) => {
                tracing::warn!(%reason, "Postgres is unavailable");
                Self::database_unavailable()
            }
            EngineError::Faults(faults) => Self::faults(faults),
            EngineError::NotFound(what) => Self::new(missing, format!("{what} was not found")),
            EngineError::Conflict(message) => Self::new(Code::Conflict, message),
            // Locks, deadlocks and time-outs: the same request may succeed in a moment.
            error if error.is_divisible() && !is_value_error(&error) => {
                tracing::warn!(%error, "a statement met a lock or a time-out");
                Self::overloaded("the database is busy")
            }
            error => {
                tracing::error!(%error, "a statement failed");
                Self::internal()
            }
        }
    }

    /// 503: Postgres is away.
    pub fn database_unavailable() -> Self {
        let problem = Problem::new(Code::DatabaseUnavailable, "the database cannot be reached; try again");
        Self { retry_after_s: Some(1), ..Self::from(problem) }
    }

    /// 503: too much at once.
    pub fn overloaded(detail: &str) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(Code::Overloaded, detail) }
    }

    /// 500, saying nothing; the cause is in the log.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "the request could not be served; the log of the service says why")
    }

    /// The same answer, telling clients when to come again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The problem itself.
    pub fn problem(self) -> Problem {
        *self.problem
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), retry_after_s: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.problem.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The problem that these faults make: 413 if one of the fields is too large.
pub fn faults_problem(mut faults: Vec<FieldError>) -> Problem {
    faults.iter_mut().for_each(say_field_once);
    match faults.iter().find(|fault| fault.code == "too_large") {
        Some(fault) => {
            let detail = format!("the largest field is {}: {}", fault.field, fault.message);
            Problem::new(Code::PayloadTooLarge, detail).with_errors(faults)
        }
        None => Problem::invalid(faults),
    }
}

/// Takes the field out of its message: those of SQL begin with it, for people who see nothing else.
fn say_field_once(fault: &mut FieldError) {
    let without = fault.message.strip_prefix(&fault.field).and_then(|rest| rest.strip_prefix(' '));
    if let Some(without) = without {
        fault.message = without.to_owned();
    }
}

/// Whether Postgres refused a value, which it will refuse again.
fn is_value_error(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { code, .. } if code.starts_with("22") || code.starts_with("23"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> EngineError {
        EngineError::Refused { code: code.to_owned(), message: "relation secret_table".to_owned() }
    }

    #[test]
    fn what_the_database_said_stays_inside() {
        for (error, status) in [
            (EngineError::Unavailable("host db.internal".to_owned()), 503),
            (refused("55P03"), 503),
            (refused("42P01"), 500),
            (refused("22P02"), 500),
        ] {
            let problem = ApiError::engine(error, Code::JobNotFound).problem();
            assert_eq!(problem.status, status);
            assert!(!problem.detail.contains("internal ") && !problem.detail.contains("secret"), "{}", problem.detail);
        }
    }

    #[test]
    fn a_field_that_is_too_large_makes_a_413_that_names_it() {
        let faults = vec![FieldError::new("args", "too_large", "args must have at most 1048576 bytes")];
        let problem = faults_problem(faults);
        assert_eq!((problem.status, problem.errors.len()), (413, 1));
        assert_eq!(problem.detail, "the largest field is args: must have at most 1048576 bytes");
    }

    #[test]
    fn an_answer_that_asks_to_come_again_says_when() {
        let response = ApiError::database_unavailable().into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}

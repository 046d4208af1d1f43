//! Problems: every error answer of the API, RFC 9457 `application/problem+json` with a stable code.

use serde::{Deserialize, Serialize};

use crate::job::JobRef;
use crate::word::words;

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

words! {
    /// The closed list of problem codes. Clients branch on these; titles and details may change.
    pub enum Code {
        /// 400: the body is not JSON (or not UTF-8).
        MalformedJson = "malformed_json",
        /// 401: no API key, or one that nobody minted, or a revoked one.
        Unauthorized = "unauthorized",
        /// 401: no callback token, or one that is not accepted. The same for every reason.
        InvalidToken = "invalid_token",
        /// 401: what came to a hook or a source is not signed as it must be. The same for every reason.
        InvalidSignature = "invalid_signature",
        /// 403: the API key lacks the scope.
        Forbidden = "forbidden",
        /// 403: the callback token does not allow this action.
        ActionNotAllowed = "action_not_allowed",
        /// 404: no such route.
        NotFound = "not_found",
        /// 404: no such job, or its retention is over.
        JobNotFound = "job_not_found",
        /// 404: no such endpoint.
        EndpointNotFound = "endpoint_not_found",
        /// 404: no such inbound source.
        SourceNotFound = "source_not_found",
        /// 405: the route exists, the method does not.
        MethodNotAllowed = "method_not_allowed",
        /// 404: no such delivery, or nothing of it was kept.
        DeliveryNotFound = "delivery_not_found",
        /// 408: the body did not arrive in time.
        RequestTimeout = "request_timeout",
        /// 409: the request contradicts the present state.
        Conflict = "conflict",
        /// 409: the same `idempotency-key` came before with another body.
        IdempotencyMismatch = "idempotency_mismatch",
        /// 409: the job has ended; `job` says how.
        AlreadyFinished = "already_finished",
        /// 409: a newer run holds the job; `job` says how it stands.
        LeaseSuperseded = "lease_superseded",
        /// 409: the run has ended another way; `job` says how it stands.
        AlreadyFinalized = "already_finalized",
        /// 410: the retention of the job is over.
        PastRetention = "past_retention",
        /// 413: a body or one of its fields is too large; the detail names the largest field.
        PayloadTooLarge = "payload_too_large",
        /// 415: the body is not of a media type that this call takes.
        UnsupportedMediaType = "unsupported_media_type",
        /// 422: well-formed, but some fields are wrong; `errors` names each.
        Invalid = "invalid",
        /// 429: the caller's own limit; `retry-after` says when.
        RateLimited = "rate_limited",
        /// 500: our fault; the detail says nothing of the inside.
        Internal = "internal",
        /// 503: too much work at once; `retry-after` says when.
        Overloaded = "overloaded",
        /// 503: Postgres is away; `retry-after` says when.
        DatabaseUnavailable = "database_unavailable",
        /// 503: the gateway cannot read what verifies the sender's signature; `retry-after` says when.
        Unverifiable = "unverifiable",
        /// 503: `POSTHASTE_SECRET_KEYS` is not set, so no secret can be sealed or opened.
        SecretKeysMissing = "secret_keys_missing",
    }
}

impl Code {
    /// The HTTP status that goes with the code.
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedJson => 400,
            Self::Unauthorized | Self::InvalidToken | Self::InvalidSignature => 401,
            Self::Forbidden | Self::ActionNotAllowed => 403,
            Self::NotFound
            | Self::JobNotFound
            | Self::EndpointNotFound
            | Self::SourceNotFound
            | Self::DeliveryNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict
            | Self::IdempotencyMismatch
            | Self::AlreadyFinished
            | Self::LeaseSuperseded
            | Self::AlreadyFinalized => 409,
            Self::PastRetention => 410,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Overloaded | Self::DatabaseUnavailable | Self::Unverifiable | Self::SecretKeysMissing => 503,
        }
    }

    /// The title that goes with the code: the same for every occurrence.
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not valid JSON",
            Self::Unauthorized => "A valid API key is required",
            Self::InvalidToken => "A valid callback token is required",
            Self::InvalidSignature => "A valid signature is required",
            Self::Forbidden => "The API key does not allow this",
            Self::ActionNotAllowed => "The callback token does not allow this action",
            Self::NotFound => "There is nothing here",
            Self::JobNotFound => "There is no such job",
            Self::EndpointNotFound => "There is no such endpoint",
            Self::SourceNotFound => "There is no such source",
            Self::DeliveryNotFound => "There is no such delivery to judge again",
            Self::MethodNotAllowed => "This method is not allowed here",
            Self::RequestTimeout => "The request took too long",
            Self::Conflict => "The request conflicts with the present state",
            Self::IdempotencyMismatch => "The idempotency key was used with another request",
            Self::AlreadyFinished => "The job has already finished",
            Self::LeaseSuperseded => "A newer run holds the job",
            Self::AlreadyFinalized => "The run has already ended",
            Self::PastRetention => "The job is past its retention",
            Self::PayloadTooLarge => "The request is too large",
            Self::UnsupportedMediaType => "The media type is not supported",
            Self::Invalid => "Some fields are not valid",
            Self::RateLimited => "Too many requests",
            Self::Internal => "Something went wrong on our side",
            Self::Overloaded => "The service is overloaded",
            Self::DatabaseUnavailable => "The database is unavailable",
            Self::Unverifiable => "The signature cannot be verified now",
            Self::SecretKeysMissing => "No secret keys are configured",
        }
    }
}

/// One error answer. `type` is `/problems/<code>`, relative to the API; its pages are in `docs/reference/problems.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI reference that names the kind of problem: `/problems/<code>`.
    pub r#type: String,
    /// The code's title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: Code,
    /// What happened this time, for a human; never anything of our inside.
    pub detail: String,
    /// Every field that was refused; empty but for [`Code::Invalid`] and its kin.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// The job that a 409 is about, as it now is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobRef>,
}

impl Problem {
    /// A problem with the status and title of its code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("/problems/{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            job: None,
        }
    }

    /// The problem that these field errors make: 422 `invalid`, or 400 `malformed_json` where the text could not be
    /// read at all (then it is the only error, see [`FieldError::MALFORMED_JSON`]).
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let first = errors.first();
        let code = match first {
            Some(error) if error.code == FieldError::MALFORMED_JSON => Code::MalformedJson,
            _ => Code::Invalid,
        };
        let detail = match (first, errors.len()) {
            (None, _) => code.title().to_owned(),
            (Some(error), 1) => error.to_string(),
            (Some(error), n) => format!("{error} (and {} more)", n - 1),
        };
        Self::new(code, detail).with_errors(errors)
    }

    /// The same problem, naming these fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The same problem, saying how the job stands.
    #[must_use]
    pub fn with_job(mut self, job: JobRef) -> Self {
        self.job = Some(job);
        self
    }
}

/// One refused field.
///
/// Codes made in this room: `required`, `wrong_type`, `wrong_format`, `out_of_range`, `too_long`, `too_many`,
/// `too_large`, `too_deep`, `unknown_field`, `duplicate_field`, `duplicate`, `not_supported_yet`, `nul_character`,
/// `lone_surrogate`, `number_too_long`, `invalid_name`, `invalid_url`, `invalid_header`, `forbidden_header`,
/// `invalid_reference`, `forbidden_reference`, `literal_secret`, `invalid_secret`, `unknown_word`, `conflict`,
/// `malformed_json`. The SQL functions add their own for ranges and sizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where: `tags[2]`, `headers.x-foo`, `retry.base_ms`; empty for the whole document.
    pub field: String,
    /// What is wrong, stable.
    pub code: String,
    /// What is wrong and what is expected, for a human; never echoes the value.
    pub message: String,
}

impl FieldError {
    /// The code of a text that is not JSON at all.
    pub const MALFORMED_JSON: &'static str = "malformed_json";

    /// One refused field.
    pub fn new(field: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), code: code.into(), message: message.into() }
    }

    /// The same fault, where its document is the field `parent` of another.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.field = match self.field.as_str() {
            "" => parent.to_owned(),
            field if field.starts_with('[') => format!("{parent}{field}"),
            field => format!("{parent}.{field}"),
        };
        self
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JobId;
    use crate::job::State;

    #[test]
    fn a_problem_has_the_documented_shape() {
        let problem = Problem::invalid(vec![FieldError::new("kind", "required", "is required")]);
        let json = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            json,
            r#"{"type":"/problems/invalid","title":"Some fields are not valid","status":422,"code":"invalid","detail":"kind: is required","errors":[{"field":"kind","code":"required","message":"is required"}]}"#
        );
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
    }

    #[test]
    fn a_fault_of_a_part_names_its_place_in_the_whole() {
        let of = |field: &str| FieldError::new(field, "required", "is required").within("cel").field;
        assert_eq!([of("filter"), of(""), of("[2]")], ["cel.filter", "cel", "cel[2]"]);
    }

    #[test]
    fn a_text_that_is_not_json_is_400() {
        let error = FieldError::new("", FieldError::MALFORMED_JSON, "EOF");
        assert_eq!(Problem::invalid(vec![error]).status, 400);
    }

    #[test]
    fn a_conflict_says_how_the_job_stands() {
        let job = JobRef { id: JobId(42), state: State::Dead };
        let problem = Problem::new(Code::AlreadyFinished, "job 42 is dead").with_job(job);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["job"], serde_json::json!({"id": "42", "state": "dead"}));
    }

    #[test]
    fn problems_of_callbacks_have_the_statuses_of_the_contract() {
        let statuses = [
            (Code::MalformedJson, 400),
            (Code::InvalidToken, 401),
            (Code::InvalidSignature, 401),
            (Code::ActionNotAllowed, 403),
            (Code::RequestTimeout, 408),
            (Code::LeaseSuperseded, 409),
            (Code::AlreadyFinalized, 409),
            (Code::PastRetention, 410),
            (Code::PayloadTooLarge, 413),
            (Code::UnsupportedMediaType, 415),
            (Code::Invalid, 422),
            (Code::Unverifiable, 503),
        ];
        for (code, status) in statuses {
            assert_eq!(code.status(), status, "{code}");
        }
    }

    #[test]
    fn every_code_has_an_error_status() {
        for code in Code::ALL {
            assert!((400..=599).contains(&code.status()));
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
    }
}

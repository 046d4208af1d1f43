//! `POST /v1/jobs`: one job.

use std::time::Duration;

use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, StatusCode};
use posthaste_engine::{
    enqueue,
    request_key::{self, Once},
};
use posthaste_protocol::{
    api_key::Scope,
    id::JobId,
    job::JobRef,
    new_job::NewJob,
    problem::{Code, FieldError},
};

use super::jobs::refused;
use crate::{
    all_faults,
    answer::{Answered, json},
    auth::Caller,
    body::{MAX_JOB_BYTES, media, text},
    commit::Written,
    error::ApiError,
    job_text::{array_text, job_text},
    schema,
    state::Api,
    trace,
};

/// How long a refused job waits for the faults that only the database knows.
const LOOK_FURTHER: Duration = Duration::from_millis(250);

/// The longest idempotency key.
const MAX_KEY_BYTES: usize = 255;

/// Enqueue a job
///
/// The answer comes after the commit. With an `idempotency-key`, the same request again within 24 hours answers 200
/// with the same job as it then is.
#[utoipa::path(
    post, path = "/v1/jobs", operation_id = "enqueue_job", tag = "jobs",
    params(
        ("idempotency-key" = Option<String>, Header, description = "1 to 255 printable ASCII characters, kept 24 hours"),
        ("traceparent" = Option<String>, Header, description = "W3C trace context; the job's attempts become its children"),
    ),
    request_body(content = schema::NewJob, content_type = "application/json"),
    responses(
        (status = 201, description = "Enqueued and committed", body = schema::JobRef, content_type = "application/json"),
        (status = 200, description = "The idempotency key came before with the same request: its job", body = schema::JobRef, content_type = "application/json"),
        (status = 409, description = "`idempotency_mismatch`: the key came before with another request", body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid`: each wrong field is named", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn enqueue_job(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    caller.need(Scope::Enqueue)?;
    media(&headers, false)?;
    let key = idempotency_key(&headers)?;
    let held = api.bodies.read(body, MAX_JOB_BYTES).await?;
    let body = text(&held.bytes)?;
    let job = match NewJob::parse(body).and_then(|job| enqueue::check(&job).map(|()| job)) {
        Ok(job) => job_text(&job, trace::for_job(&headers).as_deref()),
        Err(faults) => return Err(refusal(&api, body, faults).await),
    };
    if let Some(key) = key {
        let fingerprint = *blake3::hash(&held.bytes).as_bytes();
        return once(&api, array_text([job.as_str()].into_iter()), key, fingerprint).await;
    }
    let Written { id, state } = api.commits.enqueue(job).await?;
    let state = state.parse().map_err(|_| ApiError::internal())?;
    Ok(json(StatusCode::CREATED, &JobRef { id: JobId(id), state }))
}

/// Why a job is refused: everything that is wrong with it, as far as the database can be asked.
async fn refusal(api: &Api, body: &str, faults: Vec<FieldError>) -> ApiError {
    let more = async {
        let written = api.commits.enqueue(all_faults::readable(body)?).await;
        written.err().map(|problem| problem.errors)
    };
    // What is known need not wait for a database that is away.
    let more = tokio::time::timeout(LOOK_FURTHER, more).await.ok().flatten();
    ApiError::faults(all_faults::join(faults, more.unwrap_or_default()))
}

/// Enqueues under a key, in a commit of its own.
async fn once(api: &Api, job: String, key: String, fingerprint: [u8; 32]) -> Answered {
    let verb = api.act(move |connection| {
        Box::pin(async move { request_key::enqueue_once(connection, &job, &key, &fingerprint).await })
    });
    match verb.await.map_err(refused)? {
        Once::New(job) => Ok(json(StatusCode::CREATED, &job)),
        Once::Replayed(job) => Ok(json(StatusCode::OK, &job)),
        Once::Faults(faults) => Err(ApiError::faults(faults)),
        Once::Mismatch => {
            Err(ApiError::new(Code::IdempotencyMismatch, "this idempotency key came before with another body"))
        }
        Once::Forgotten(id) => {
            Err(ApiError::new(Code::JobNotFound, format!("the job of this key, {id}, is past its retention")))
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    let printable = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    match value.to_str() {
        Ok(key) if printable && !key.is_empty() && key.len() <= MAX_KEY_BYTES => Ok(Some(key.to_owned())),
        _ => Err(ApiError::field("idempotency-key", "wrong_format", "must be 1 to 255 printable ASCII characters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_printable_and_bounded() {
        let key = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", http::HeaderValue::from_bytes(value).unwrap());
            idempotency_key(&headers).map_err(|error| error.problem().status)
        };
        assert_eq!(key(b"a b-1"), Ok(Some("a b-1".to_owned())));
        assert_eq!(key(&[b'x'; 255]).map(|key| key.is_some()), Ok(true));
        for bad in [&b""[..], &[b'x'; 256], b"caf\xc3\xa9", b"a\tb"] {
            assert_eq!(key(bad), Err(422));
        }
    }
}

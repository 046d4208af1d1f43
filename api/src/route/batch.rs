//! `POST /v1/jobs/batch`: many jobs in one statement.

use axum::{Extension, body::Body, extract::State};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use posthaste_engine::enqueue;
use posthaste_protocol::{
    api_key::Scope,
    batch::parse_batch,
    new_job::NewJob,
    problem::{FieldError, Problem},
};
use serde_json::value::RawValue;

use crate::{
    all_faults,
    answer::{Answered, json_text},
    auth::Caller,
    body::{MAX_READ_BYTES, Media, media},
    commit::{Answer, Written, commit},
    error::{ApiError, faults_problem},
    job_text::job_text,
    schema,
    state::Api,
    trace,
};

/// From this size on, parsing is done off the tasks that serve other requests.
const PARSE_ELSEWHERE_BYTES: usize = 128 * 1024;

/// Enqueue up to 10,000 jobs
///
/// Answers in the order sent. The sound jobs are committed together, the others are left out with their problem.
#[utoipa::path(
    post, path = "/v1/jobs/batch", operation_id = "enqueue_batch", tag = "jobs",
    request_body(
        description = "A JSON array of jobs, or one job a line as application/x-ndjson",
        content((Vec<schema::NewJob> = "application/json"), (String = "application/x-ndjson")),
    ),
    responses(
        (status = 200, description = "What became of each job", body = schema::BatchAnswer, content_type = "application/json"),
        (status = 422, description = "`invalid`: no array, or too many jobs", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn enqueue_batch(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    caller.need(Scope::Enqueue)?;
    let ndjson = media(&headers, true)? == Media::Ndjson;
    if headers.contains_key("idempotency-key") {
        let message = "is for single jobs; batches do not support it yet";
        return Err(ApiError::field("idempotency-key", "not_supported_yet", message));
    }
    let held = api.bodies.read(body, MAX_READ_BYTES).await?;
    let items = parse(held.bytes.clone(), ndjson, trace::for_job(&headers)).await?;
    drop(held);
    let answers = write(&api, items).await?;
    Ok(json_text(StatusCode::OK, answer_text(&answers)))
}

/// One job of the batch: what to send to the database, and what is wrong with it already.
struct Item {
    text: Option<String>,
    faults: Vec<FieldError>,
}

async fn parse(bytes: Bytes, ndjson: bool, traceparent: Option<String>) -> Result<Vec<Item>, ApiError> {
    let large = bytes.len() > PARSE_ELSEWHERE_BYTES;
    let parse = move || -> Result<Vec<Item>, Problem> {
        let parsed = parse_batch(&bytes, ndjson)?.into_iter();
        let jobs: Vec<_> = parsed.map(|job| job.and_then(|job| enqueue::check(&job).map(|()| job))).collect();
        let texts = if jobs.iter().any(Result::is_err) { texts(&bytes, ndjson) } else { Vec::new() };
        let item = |(n, job): (usize, Result<NewJob, _>)| match job {
            Ok(job) => Item { text: Some(job_text(&job, traceparent.as_deref())), faults: Vec::new() },
            Err(faults) => Item { text: texts.get(n).and_then(|text| all_faults::readable(text)), faults },
        };
        Ok(jobs.into_iter().enumerate().map(item).collect())
    };
    let parsed =
        if large { tokio::task::spawn_blocking(parse).await.map_err(|_| ApiError::internal())? } else { parse() };
    parsed.map_err(ApiError::from)
}

/// The text of each job of a batch that could be read.
fn texts(bytes: &[u8], ndjson: bool) -> Vec<&str> {
    let body = std::str::from_utf8(bytes).unwrap_or_default();
    if ndjson {
        return body.split('\n').map(str::trim_ascii).filter(|line| !line.is_empty()).collect();
    }
    serde_json::from_str::<Vec<&RawValue>>(body).unwrap_or_default().into_iter().map(RawValue::get).collect()
}

/// Commits the sound jobs; answers for all, in order.
async fn write(api: &Api, items: Vec<Item>) -> Result<Vec<Answer>, ApiError> {
    let sound = items.iter().filter(|item| item.faults.is_empty()).count();
    if sound > 0 {
        api.metrics
            .batch_jobs
            .with_label_values(&["batch"])
            .observe(f64::from(u32::try_from(sound).unwrap_or(u32::MAX)));
    }
    let pool = api.pool.clone();
    // A task of its own: a client that goes away must not leave the statement half-way.
    let task = tokio::spawn(async move {
        let jobs: Vec<&str> = items.iter().filter_map(|item| item.text.as_deref()).collect();
        let mut written = Vec::new();
        if !jobs.is_empty() {
            let mut connection = pool.acquire().await.map_err(|_| ApiError::database_unavailable())?;
            let committed = commit(&mut connection, &jobs).await;
            let away = committed.answers.iter().all(Result::is_err);
            if committed.broken && away {
                return Err(ApiError::database_unavailable());
            }
            written = committed.answers;
        }
        let mut written = written.into_iter();
        Ok(items
            .into_iter()
            .map(|Item { text, faults }| {
                let answer = text.map(|_| written.next().unwrap_or_else(|| Err(ApiError::internal().problem())));
                match answer {
                    Some(answer) if faults.is_empty() => answer,
                    Some(Err(problem)) => Err(faults_problem(all_faults::join(faults, problem.errors))),
                    _ => Err(faults_problem(faults)),
                }
            })
            .collect())
    });
    task.await.unwrap_or_else(|_| Err(ApiError::internal()))
}

/// `{"jobs": [{"id", "state"} | {"error": problem}, …]}`.
fn answer_text(answers: &[Answer]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(answers.len() * 40 + 16);
    text.push_str("{\"jobs\":[");
    for (n, answer) in answers.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        // Writing to a string cannot fail, nor can a problem be unwritable.
        let _ = match answer {
            Ok(Written { id, state }) => write!(text, "{{\"id\":\"{id}\",\"state\":\"{state}\"}}"),
            Err(problem) => {
                write!(text, "{{\"error\":{}}}", serde_json::to_string(problem).unwrap_or_else(|_| "null".to_owned()))
            }
        };
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_answered_in_order() {
        let written = Written { id: 7, state: "available".to_owned() };
        let faults = vec![FieldError::new("kind", "required", "is required")];
        let text = answer_text(&[Ok(written), Err(faults_problem(faults))]);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["jobs"][0], serde_json::json!({"id": "7", "state": "available"}));
        assert_eq!(value["jobs"][1]["error"]["code"], "invalid");
        assert_eq!(answer_text(&[]), r#"{"jobs":[]}"#);
    }
}

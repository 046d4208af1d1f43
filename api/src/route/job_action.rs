//! `POST /v1/jobs/{id}/cancel` and `/retry`.

use http::StatusCode;
use posthaste_engine::{
    cancel,
    retry_job::{self, Retried},
};
use posthaste_protocol::{
    api_key::Scope,
    id::JobId,
    job::{JobRef, State as JobState},
    problem::{Code, Problem},
};
use serde::Serialize;

use super::{
    action::Action,
    jobs::{read, refused},
};
use crate::{
    answer::{Answered, json},
    error::ApiError,
    schema,
    state::Api,
};

/// A running job that was asked to stop.
#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    job: JobRef,
    cancel_requested: bool,
}

/// Cancel a job
///
/// One that is not running ends at once. A running one is asked to stop: it ends when its run does, or after the
/// endpoint's grace; with `force` at once.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    request_body(content = Option<schema::CancelOptions>, content_type = "application/json"),
    responses(
        (status = 200, description = "Cancelled, now or before", body = schema::JobRef, content_type = "application/json"),
        (status = 202, description = "Running, and asked to stop", body = schema::CancelAsked, content_type = "application/json"),
        (status = 404, description = "`job_not_found`", body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, description = "`already_finished`: `job` says how it ended", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn cancel_job(action: Action) -> Answered {
    let (api, id, mut options) = action.on_job(Scope::Cancel).await?;
    let (reason, force) = (options.text("reason"), options.flag("force").unwrap_or(false));
    options.finish()?;
    let state = api
        .act(move |connection| Box::pin(async move { cancel::cancel(connection, id, reason.as_deref(), force).await }))
        .await
        .map_err(refused)?;
    let job = JobRef { id, state };
    match state {
        JobState::Cancelled => Ok(json(StatusCode::OK, &job)),
        JobState::Completed | JobState::Dead => {
            let detail = format!("job {id} has ended: it is {state}");
            Err(Problem::new(Code::AlreadyFinished, detail).with_job(job).into())
        }
        _ => Ok(json(StatusCode::ACCEPTED, &Asked { job, cancel_requested: true })),
    }
}

/// Retry a job
///
/// An ended job becomes available again with all its attempts before it; a scheduled one becomes available now.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", operation_id = "retry_job", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "Available", body = schema::JobRef, content_type = "application/json"),
        (status = 404, description = "`job_not_found`", body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, description = "`conflict`: it is available or running already, has expired, or only its dead letter is left", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn retry_job(action: Action) -> Answered {
    let (api, id, options) = action.on_job(Scope::Operate).await?;
    options.finish()?;
    let retried = api.act(move |connection| Box::pin(retry_job::retry_job(connection, id))).await.map_err(refused)?;
    let refusal = match retried {
        Retried::Available => {
            return Ok(json(StatusCode::OK, &JobRef { id, state: JobState::Available }));
        }
        Retried::WasAvailable => "is available already",
        Retried::WasRunning => "is running",
        Retried::Expired => "has expired: its expires_at is past",
        Retried::PastRetention => "is past its retention: only its dead letter is left",
    };
    Err(conflict(&api, id, refusal).await)
}

/// 409 with the job as it now is, if it can be read.
async fn conflict(api: &Api, id: JobId, refusal: &str) -> ApiError {
    let problem = Problem::new(Code::Conflict, format!("job {id} {refusal}"));
    match read(api, id).await {
        Ok(job) => problem.with_job(JobRef { id, state: job.state }).into(),
        Err(_) => problem.into(),
    }
}

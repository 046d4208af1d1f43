//! `GET /v1/jobs` and `GET /v1/jobs/{id}`: jobs as read, and waiting for one to end.

use std::time::Duration;

use axum::{
    Extension,
    extract::{RawQuery, State},
};
use http::StatusCode;
use posthaste_engine::{
    EngineError,
    list::{self, Filter},
};
use posthaste_protocol::{api_key::Scope, id::JobId, job::Job, problem::Code};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::{
    answer::{Answered, json},
    auth::Caller,
    error::ApiError,
    path::{RawPath, job_id},
    query::{Query, cursor},
    schema,
    state::Api,
};

/// The longest that a request may wait.
const MAX_WAIT_MS: u64 = 60_000;
/// How often a waiter looks for itself while the listener is not there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 500;

/// Read a job
///
/// With `wait_ms`, answers when the job has ended, or with the job as it is when the time is over.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", operation_id = "get_job", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for the job to end, at most 60000"),
    ),
    responses(
        (status = 200, description = "The job", body = schema::Job, content_type = "application/json"),
        (status = 404, description = "`job_not_found`", body = schema::Problem, content_type = "application/problem+json"),
        (status = 429, description = "`rate_limited`: too many requests wait already", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get_job(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: RawPath,
    RawQuery(raw): RawQuery,
) -> Answered {
    caller.need(Scope::Read)?;
    let id = job_id(path)?;
    let mut query = Query::parse(raw.as_deref());
    let wait_ms = query.integer("wait_ms", 0, u64::MAX).unwrap_or(0).min(MAX_WAIT_MS);
    query.finish()?;
    let mut job = read(&api, id).await?;
    if wait_ms > 0 && !job.state.is_terminal() {
        job = wait(&api, id, Duration::from_millis(wait_ms)).await?;
    }
    Ok(json(StatusCode::OK, &job))
}

/// The job when it has ended or the time is over.
async fn wait(api: &Api, id: JobId, limit: Duration) -> Result<Job, ApiError> {
    let deadline = Instant::now() + limit;
    let waiter = api
        .waits
        .register(id.0)
        .ok_or_else(|| ApiError::new(Code::RateLimited, "too many requests wait for jobs already").retry_after(1))?;
    let mut armed = false;
    loop {
        // Until the listener is there, ends are not told: look again every second.
        let look_again = if armed { deadline } else { deadline.min(Instant::now() + LOOK_EVERY) };
        let over = tokio::select! {
            () = waiter.armed(), if !armed => {
                armed = true;
                false
            }
            () = waiter.woken() => false,
            () = sleep_until(look_again) => look_again == deadline,
            // A process that goes away answers what it has.
            () = api.shutdown.soft().cancelled() => true,
        };
        let job = read(api, id).await?;
        if over || job.state.is_terminal() {
            return Ok(job);
        }
    }
}

/// The job as it is.
pub(super) async fn read(api: &Api, id: JobId) -> Result<Job, ApiError> {
    api.job(id).await.map_err(refused)
}

/// What an engine verb on jobs said.
pub(super) fn refused(error: EngineError) -> ApiError {
    ApiError::engine(error, Code::JobNotFound)
}

/// A page of jobs.
#[derive(Serialize)]
struct Page {
    jobs: Vec<Job>,
    next_cursor: Option<String>,
}

/// List jobs
///
/// Newest first, without their attempts. A page may be short, even empty, and still have a `next_cursor`.
#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs",
    params(
        ("state" = Option<schema::State>, Query, description = "Jobs in this state now"),
        ("queue" = Option<String>, Query, description = "Jobs of this queue"),
        ("kind" = Option<String>, Query, description = "Jobs of this kind"),
        ("tag" = Option<String>, Query, description = "Jobs with this tag"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
        ("limit" = Option<u64>, Query, description = "1 to 500 jobs (50)"),
    ),
    responses(
        (status = 200, description = "A page of jobs", body = schema::JobPage, content_type = "application/json"),
        (status = 422, description = "`invalid`: each wrong parameter is named", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list_jobs(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Answered {
    caller.need(Scope::Read)?;
    let mut query = Query::parse(raw.as_deref());
    let filter = Filter {
        state: query.word("state"),
        queue: query.text("queue"),
        kind: query.text("kind"),
        tag: query.text("tag"),
    };
    let below = query.cursor("cursor");
    let limit = query.integer("limit", 1, MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    query.finish()?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let page = api
        .read(move |connection| {
            let filter = filter.clone();
            Box::pin(async move { list::list(connection, &filter, below, limit).await })
        })
        .await
        .map_err(refused)?;
    Ok(json(StatusCode::OK, &Page { jobs: page.jobs, next_cursor: page.next.map(cursor) }))
}

//! `GET /v1/jobs/{id}/explain`: why a job is not running.

use axum::{
    Extension,
    extract::{RawQuery, State},
};
use http::StatusCode;
use posthaste_engine::explain;
use posthaste_protocol::api_key::Scope;

use super::jobs::refused;
use crate::{
    answer::{Answered, json},
    auth::Caller,
    path::{RawPath, job_id},
    query::Query,
    schema,
    state::Api,
};

/// Explain why a job is not running
#[utoipa::path(
    get, path = "/v1/jobs/{id}/explain", operation_id = "explain_job", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The first thing that keeps it from running", body = schema::Explanation, content_type = "application/json"),
        (status = 404, description = "`job_not_found`", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn explain_job(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: RawPath,
    RawQuery(raw): RawQuery,
) -> Answered {
    caller.need(Scope::Read)?;
    let id = job_id(path)?;
    Query::parse(raw.as_deref()).finish()?;
    let explanation = api.read(move |connection| Box::pin(explain::explain(connection, id))).await.map_err(refused)?;
    Ok(json(StatusCode::OK, &explanation))
}

//! `POST /v1/cel/eval`: expressions, tried on a payload.

use axum::{Extension, body::Body, extract::State};
use http::{HeaderMap, StatusCode};
use posthaste_engine::filter;
use posthaste_protocol::{api_key::Scope, cel::trial::Trial};

use crate::{
    answer::{Answered, json},
    auth::Caller,
    body::{MAX_JOB_BYTES, media, text},
    error::ApiError,
    schema,
    state::Api,
};

/// Try CEL expressions
///
/// Compiles the expressions and evaluates them over what is given. Nothing is stored. What cannot be evaluated is an
/// answer too: it says why.
#[utoipa::path(
    post, path = "/v1/cel/eval", operation_id = "eval_cel", tag = "cel",
    request_body(content = schema::CelTrial, content_type = "application/json"),
    responses(
        (status = 200, description = "The verdict or the value, or why there is none", body = schema::CelAnswer, content_type = "application/json"),
        (status = 422, description = "`invalid`: each wrong field and each expression that does not compile is named", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn eval_cel(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    caller.need(Scope::Read)?;
    media(&headers, false)?;
    let held = api.bodies.read(body, MAX_JOB_BYTES).await?;
    let trial = Trial::parse(text(&held.bytes)?).map_err(ApiError::faults)?;
    // A payload of a MiB and all of the budget take milliseconds.
    let tried = tokio::task::spawn_blocking(move || filter::try_out(&trial)).await.map_err(|_| ApiError::internal())?;
    Ok(json(StatusCode::OK, &tried.map_err(ApiError::faults)?))
}

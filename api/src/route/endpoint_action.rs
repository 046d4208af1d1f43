//! `POST /v1/endpoints/{name}/pause`, `/resume` and `/rotate-secret`.

use http::StatusCode;
use posthaste_engine::{
    EngineError,
    endpoint::{self, EndpointRow},
};
use posthaste_protocol::signature::Secret;
use sqlx::PgConnection;

use super::{
    action::Action,
    endpoints::{endpoint_text, read, refused},
};
use crate::{
    answer::{Answered, json_text},
    error::ApiError,
    schema, secret,
    state::{Api, Verb},
};

/// How often a rotation is tried when others change the endpoint at the same time.
const ROTATE_TURNS: usize = 5;

/// Pause an endpoint
///
/// Nothing more is dispatched to it; its jobs stay available.
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/pause", operation_id = "pause_endpoint", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")),
    request_body(content = Option<schema::PauseOptions>, content_type = "application/json"),
    responses(
        (status = 200, description = "Paused", body = schema::Endpoint, content_type = "application/json"),
        (status = 404, description = "`endpoint_not_found`", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn pause_endpoint(action: Action) -> Answered {
    let (api, name, mut options) = action.on_endpoint().await?;
    let reason = options.text("reason").unwrap_or_else(|| "paused by an operator".to_owned());
    options.finish()?;
    change(&api, move |connection| Box::pin(async move { endpoint::pause(connection, &name, &reason).await })).await
}

/// Resume an endpoint
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/resume", operation_id = "resume_endpoint", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")),
    responses(
        (status = 200, description = "Working", body = schema::Endpoint, content_type = "application/json"),
        (status = 404, description = "`endpoint_not_found`", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn resume_endpoint(action: Action) -> Answered {
    let (api, name, options) = action.on_endpoint().await?;
    options.finish()?;
    change(&api, move |connection| Box::pin(async move { endpoint::resume(connection, &name).await })).await
}

/// Changes an endpoint and answers with it as it then is.
async fn change<F>(api: &Api, verb: F) -> Answered
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> Verb<'c, EndpointRow> + Send + 'static,
{
    let row = api.act(verb).await.map_err(refused)?;
    Ok(json_text(StatusCode::OK, endpoint_text(&row, None)))
}

/// Rotate an endpoint's signing secret
///
/// The new secret signs at once; the one before signs too for 24 hours. Only this answer shows the new one.
#[utoipa::path(
    post, path = "/v1/endpoints/{name}/rotate-secret", operation_id = "rotate_endpoint_secret", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")),
    request_body(content = Option<schema::RotateOptions>, content_type = "application/json"),
    responses(
        (status = 200, description = "Rotated; `secret` is the new one", body = schema::Endpoint, content_type = "application/json"),
        (status = 404, description = "`endpoint_not_found`", body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, description = "`conflict`: the present secrets cannot be opened, or it kept changing", body = schema::Problem, content_type = "application/problem+json"),
        (status = 503, description = "`secret_keys_missing`: set POSTHASTE_SECRET_KEYS", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn rotate_endpoint_secret(action: Action) -> Answered {
    let (api, name, mut options) = action.on_endpoint().await?;
    let given = options.text("secret").map(zeroize::Zeroizing::new);
    options.finish()?;
    let secret = match given {
        Some(text) => {
            Secret::parse(&text).map_err(|error| ApiError::field("secret", "invalid_secret", error.to_string()))?
        }
        None => secret::mint()?,
    };
    for _ in 0..ROTATE_TURNS {
        match rotate(&api, &name, &secret).await {
            Err(Turn::Changed) => {}
            Err(Turn::Refused(error)) => return Err(error),
            Ok(row) => {
                let shown = secret.to_string_secret();
                return Ok(json_text(StatusCode::OK, endpoint_text(&row, Some(&shown))));
            }
        }
    }
    Err(refused(EngineError::Conflict(format!("endpoint {name} kept changing"))))
}

/// Why one turn of a rotation did not do it.
enum Turn {
    Changed,
    Refused(ApiError),
}

/// Reads the secrets and writes them with the new one, unless somebody changed the endpoint in between.
async fn rotate(api: &Api, name: &str, secret: &Secret) -> Result<EndpointRow, Turn> {
    let keys = secret::keys(api.seal_keys.as_ref()).map_err(Turn::Refused)?;
    let row = read(api, name).await.map_err(Turn::Refused)?;
    let sealed = secret::rotate(keys, name, &row.secret, secret).map_err(Turn::Refused)?;
    let (name, version) = (row.name, row.version);
    let write = api.act(move |connection| {
        Box::pin(async move { endpoint::rotate_secret(connection, &name, version, &sealed).await })
    });
    write.await.map_err(|error| match error {
        EngineError::Conflict(_) => Turn::Changed,
        error => Turn::Refused(refused(error)),
    })
}

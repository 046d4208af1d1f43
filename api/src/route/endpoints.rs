//! `/v1/endpoints`: list, read, write and delete endpoints.

use axum::{Extension, body::Body, extract::State, response::IntoResponse as _};
use http::{HeaderMap, StatusCode};
use posthaste_engine::endpoint::{self, EndpointRow, SealedSecret};
use posthaste_protocol::{api_key::Scope, endpoint::EndpointSpec, problem::Code};

use crate::{
    answer::{Answered, json_text},
    auth::Caller,
    body::{MAX_DOCUMENT_BYTES, media, text},
    error::ApiError,
    path::{RawPath, endpoint_name},
    schema,
    secret::{self, rfc3339},
    state::Api,
};

/// List endpoints
#[utoipa::path(
    get, path = "/v1/endpoints", operation_id = "list_endpoints", tag = "endpoints",
    responses((status = 200, description = "All endpoints, by name", body = schema::EndpointList, content_type = "application/json")),
)]
pub async fn list_endpoints(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Answered {
    caller.need(Scope::Read)?;
    let rows = api.read(|connection| Box::pin(endpoint::endpoints(connection))).await.map_err(refused)?;
    let endpoints: Vec<String> = rows.iter().map(|row| endpoint_text(row, None)).collect();
    Ok(json_text(StatusCode::OK, format!("{{\"endpoints\":[{}]}}", endpoints.join(","))))
}

/// Read an endpoint
#[utoipa::path(
    get, path = "/v1/endpoints/{name}", operation_id = "get_endpoint", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")),
    responses(
        (status = 200, description = "The endpoint, complete with defaults, without its secret", body = schema::Endpoint, content_type = "application/json"),
        (status = 404, description = "`endpoint_not_found`", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get_endpoint(State(api): State<Api>, Extension(caller): Extension<Caller>, path: RawPath) -> Answered {
    caller.need(Scope::Read)?;
    let row = read(&api, &endpoint_name(path)?).await?;
    Ok(json_text(StatusCode::OK, endpoint_text(&row, None)))
}

/// Write an endpoint
///
/// Replaces the whole endpoint; what is left out gets its default. Without `secret`, a new endpoint gets one, which
/// only this answer shows, and an old one keeps its own.
#[utoipa::path(
    put, path = "/v1/endpoints/{name}", operation_id = "put_endpoint", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name: letters, digits and . _ : -, at most 200")),
    request_body(content = schema::EndpointSpec, content_type = "application/json"),
    responses(
        (status = 201, description = "Created; the only answer with the signing secret", body = schema::Endpoint, content_type = "application/json"),
        (status = 200, description = "Changed", body = schema::Endpoint, content_type = "application/json"),
        (status = 409, description = "`conflict`: another endpoint takes one of these kinds", body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid`: each wrong field is named", body = schema::Problem, content_type = "application/problem+json"),
        (status = 503, description = "`secret_keys_missing`: set POSTHASTE_SECRET_KEYS", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn put_endpoint(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: RawPath,
    headers: HeaderMap,
    body: Body,
) -> Answered {
    caller.need(Scope::Operate)?;
    let name = endpoint_name(path)?;
    media(&headers, false)?;
    let held = api.bodies.read(body, MAX_DOCUMENT_BYTES).await?;
    let spec = EndpointSpec::parse(text(&held.bytes)?).map_err(ApiError::faults)?;
    endpoint::check(&spec).map_err(ApiError::faults)?;
    for (field, url) in spec.urls() {
        (api.url_check)(url).map_err(|reason| ApiError::field(field, "forbidden_url", reason))?;
    }
    let keys = secret::keys(api.seal_keys.as_ref())?;
    let given = spec.secret.is_some();
    let signing = match &spec.secret {
        Some(secret) => secret.clone(),
        None => secret::mint()?,
    };
    let sealed = secret::seal(keys, &name, &signing)?;
    let spec_text = serde_json::to_string(&spec).map_err(|_| ApiError::internal())?;
    let put = api
        .act(move |connection| {
            Box::pin(async move {
                let secret = if given { SealedSecret::Replace(&sealed) } else { SealedSecret::KeepOr(&sealed) };
                endpoint::put(connection, &name, &spec_text, &spec.kinds, secret).await
            })
        })
        .await
        .map_err(refused)?;
    Ok(if put.created {
        json_text(StatusCode::CREATED, endpoint_text(&put.row, Some(&signing.to_string_secret())))
    } else {
        json_text(StatusCode::OK, endpoint_text(&put.row, None))
    })
}

/// Delete an endpoint
///
/// Its running requests end as they end; jobs that it would have taken stay available until another one takes them.
#[utoipa::path(
    delete, path = "/v1/endpoints/{name}", operation_id = "delete_endpoint", tag = "endpoints",
    params(("name" = String, Path, description = "The endpoint's name")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`endpoint_not_found`", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete_endpoint(State(api): State<Api>, Extension(caller): Extension<Caller>, path: RawPath) -> Answered {
    caller.need(Scope::Operate)?;
    let name = endpoint_name(path)?;
    api.act(move |connection| Box::pin(async move { endpoint::delete(connection, &name).await }))
        .await
        .map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The endpoint as it is.
pub(super) async fn read(api: &Api, name: &str) -> Result<EndpointRow, ApiError> {
    let name = name.to_owned();
    api.read(move |connection| {
        let name = name.clone();
        Box::pin(async move { endpoint::endpoint(connection, &name).await })
    })
    .await
    .map_err(refused)
}

/// What an engine verb on endpoints said.
pub(super) fn refused(error: posthaste_engine::EngineError) -> ApiError {
    ApiError::engine(error, Code::EndpointNotFound)
}

/// An endpoint as read: its name and state before what was written. The stored text is an object that we wrote.
pub(super) fn endpoint_text(row: &EndpointRow, secret: Option<&str>) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_else(|_| "null".to_owned());
    let optional = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
    let secret = secret.map(|secret| format!(",\"secret\":{}", quoted(secret))).unwrap_or_default();
    let spec = row.spec.trim().strip_prefix('{').unwrap_or("}");
    let comma = if spec == "}" { "" } else { "," };
    format!(
        "{{\"name\":{},\"version\":{},\"paused_at\":{},\"paused_reason\":{},\"created_at\":{},\"updated_at\":{}{secret}{comma}{spec}",
        quoted(&row.name),
        row.version,
        optional(row.paused_at.map(rfc3339).as_deref()),
        optional(row.paused_reason.as_deref()),
        quoted(&rfc3339(row.created_at)),
        quoted(&rfc3339(row.updated_at)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_with_its_state_and_without_its_secret() {
        let spec = EndpointSpec::parse(r#"{"url":"https://a.example/"}"#).unwrap();
        let row = EndpointRow {
            name: "pdf".to_owned(),
            spec: serde_json::to_string(&spec).unwrap(),
            secret: b"sealed".to_vec(),
            version: 2,
            paused_at: None,
            paused_reason: Some("a \"b\"".to_owned()),
            created_at: chrono::DateTime::UNIX_EPOCH,
            updated_at: chrono::DateTime::UNIX_EPOCH,
        };
        let read: serde_json::Value = serde_json::from_str(&endpoint_text(&row, None)).unwrap();
        assert_eq!((&read["name"], &read["url"]), (&"pdf".into(), &"https://a.example/".into()));
        assert_eq!((&read["paused_reason"], &read["secret"]), (&"a \"b\"".into(), &serde_json::Value::Null));
        assert_eq!(read["created_at"], "1970-01-01T00:00:00Z");
        let shown: serde_json::Value = serde_json::from_str(&endpoint_text(&row, Some("whsec_x"))).unwrap();
        assert_eq!(shown["secret"], "whsec_x");
    }
}

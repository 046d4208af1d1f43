//! `/v1/sources`: named senders of webhooks: list, read, write and delete.

use axum::{Extension, body::Body, extract::State, response::IntoResponse as _};
use http::{HeaderMap, StatusCode};
use posthaste_engine::{
    EngineError,
    source::{self, Secrets, SourceRow},
};
use posthaste_protocol::{api_key::Scope, problem::Code};
use posthaste_service::entropy;
use serde_json::{Value, json};

use crate::{
    answer::{Answered, json as answer},
    auth::Caller,
    body::{MAX_DOCUMENT_BYTES, media, text},
    error::ApiError,
    path::{RawPath, endpoint_name},
    schema,
    secret::{self, rfc3339},
    state::Api,
};

/// List sources
#[utoipa::path(
    get, path = "/v1/sources", operation_id = "list_sources", tag = "sources",
    responses((status = 200, description = "All sources, by name", body = schema::SourceList, content_type = "application/json")),
)]
pub async fn list_sources(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Answered {
    caller.need(Scope::Read)?;
    let rows = api.read(|connection| Box::pin(source::sources(connection))).await.map_err(refused)?;
    let sources = rows.iter().map(document).collect::<Result<Vec<_>, _>>()?;
    Ok(answer(StatusCode::OK, &json!({"sources": sources})))
}

/// Read a source
#[utoipa::path(
    get, path = "/v1/sources/{name}", operation_id = "get_source", tag = "sources",
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 200, description = "The source, without its secrets", body = schema::Source, content_type = "application/json"),
        (status = 404, description = "`source_not_found`", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get_source(State(api): State<Api>, Extension(caller): Extension<Caller>, path: RawPath) -> Answered {
    caller.need(Scope::Read)?;
    let name = endpoint_name(path)?;
    let row = api
        .read(move |connection| {
            let name = name.clone();
            Box::pin(async move { source::source(connection, &name).await })
        })
        .await
        .map_err(refused)?;
    Ok(answer(StatusCode::OK, &document(&row)?))
}

/// Write a source
///
/// Replaces the whole source. Without `signature.secrets`, those that are stored stay.
#[utoipa::path(
    put, path = "/v1/sources/{name}", operation_id = "put_source", tag = "sources",
    params(("name" = String, Path, description = "The source's name: letters, digits and . _ : -, at most 200")),
    request_body(content = schema::SourceSpec, content_type = "application/json"),
    responses(
        (status = 201, description = "Created", body = schema::Source, content_type = "application/json"),
        (status = 200, description = "Changed", body = schema::Source, content_type = "application/json"),
        (status = 409, description = "`conflict`: it is new and has no secrets", body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid`: each wrong field is named", body = schema::Problem, content_type = "application/problem+json"),
        (status = 503, description = "`secret_keys_missing`: set POSTHASTE_SECRET_KEYS", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn put_source(
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
    let spec = source::read(text(&held.bytes)?).map_err(ApiError::faults)?;
    let mut nonce = [0; 24];
    entropy::fill(&mut nonce);
    let sealed = spec.seal(secret::keys(api.seal_keys.as_ref())?, &name, nonce).map_err(|error| {
        tracing::error!(%error, "the secrets of a source cannot be sealed");
        ApiError::internal()
    })?;
    let keep = spec.signature.secrets.is_empty();
    let spec_text = serde_json::to_string(&spec).map_err(|_| ApiError::internal())?;
    let (created, row) = api
        .act(move |connection| {
            Box::pin(async move {
                let secrets = if keep { Secrets::Keep } else { Secrets::Replace(sealed.as_deref()) };
                source::put(connection, &name, &spec_text, secrets).await
            })
        })
        .await
        .map_err(refused)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(answer(status, &document(&row)?))
}

/// Delete a source
///
/// Its webhooks are then answered 404.
#[utoipa::path(
    delete, path = "/v1/sources/{name}", operation_id = "delete_source", tag = "sources",
    params(("name" = String, Path, description = "The source's name")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "`source_not_found`", body = schema::Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete_source(State(api): State<Api>, Extension(caller): Extension<Caller>, path: RawPath) -> Answered {
    caller.need(Scope::Operate)?;
    let name = endpoint_name(path)?;
    api.act(move |connection| Box::pin(async move { source::delete(connection, &name).await }))
        .await
        .map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn refused(error: EngineError) -> ApiError {
    ApiError::engine(error, Code::SourceNotFound)
}

/// A source as read: what was written, without secrets in the clear, and how it stands.
fn document(row: &SourceRow) -> Result<Value, ApiError> {
    let mut document: Value = serde_json::from_str(&row.spec).map_err(|_| ApiError::internal())?;
    if let Value::Object(fields) = &mut document {
        fields.insert("name".to_owned(), json!(row.name));
        fields.insert("sealed_secrets".to_owned(), json!(row.secret.is_some()));
        fields.insert("version".to_owned(), json!(row.version));
        fields.insert("created_at".to_owned(), json!(rfc3339(row.created_at)));
        fields.insert("updated_at".to_owned(), json!(rfc3339(row.updated_at)));
    }
    Ok(document)
}

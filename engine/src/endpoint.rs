//! Endpoints: the named HTTP targets, as stored. Every change bumps the version and tells the dispatchers.

use chrono::{DateTime, Utc};
use posthaste_protocol::{endpoint::EndpointSpec, problem::FieldError};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use crate::{EngineError, filter};

/// An endpoint as stored. Its signing secrets are sealed; see [`posthaste_protocol::seal`].
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointRow {
    /// Its name.
    pub name: String,
    /// What was written, complete with defaults: the JSON text of an `EndpointSpec`.
    pub spec: String,
    /// The sealed secrets; the associated text is the endpoint's name.
    pub secret: Vec<u8>,
    /// Counts the changes, from 1.
    pub version: i64,
    /// Since when nothing is dispatched to it; `None` while it works.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why it is paused.
    pub paused_reason: Option<String>,
    /// When it was first written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl std::fmt::Debug for EndpointRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndpointRow").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

impl FromRow<'_, PgRow> for EndpointRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            spec: row.try_get("spec")?,
            secret: row.try_get("secret")?,
            version: row.try_get("version")?,
            paused_at: row.try_get("paused_at")?,
            paused_reason: row.try_get("paused_reason")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// The sealed secrets of a [`put`].
#[derive(Clone, Copy)]
pub enum SealedSecret<'a> {
    /// These, whatever was there.
    Replace(&'a [u8]),
    /// Those that are there; these if the endpoint is new.
    KeepOr(&'a [u8]),
}

/// What a [`put`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Whether the endpoint is new.
    pub created: bool,
    /// The endpoint as it now is.
    pub row: EndpointRow,
}

/// Checks what the types of an endpoint do not show: that its expressions compile. The fields are those of the
/// endpoint, such as `cel.filter`.
pub fn check(spec: &EndpointSpec) -> Result<(), Vec<FieldError>> {
    match &spec.cel {
        Some(cel) => filter::check(cel).map_err(|faults| faults.into_iter().map(|fault| fault.within("cel")).collect()),
        None => Ok(()),
    }
}

/// Every endpoint, by name.
pub async fn endpoints(connection: &mut PgConnection) -> Result<Vec<EndpointRow>, EngineError> {
    let all: Option<&str> = None;
    Ok(sqlx::query_as(include_str!("sql/endpoint.sql")).bind(all).fetch_all(connection).await?)
}

/// What was written of every endpoint, by name: for a role that may not see their secrets.
pub async fn specs(connection: &mut PgConnection) -> Result<Vec<(String, String)>, EngineError> {
    let all = "select name, spec::text from posthaste.endpoint where namespace = 1 order by name";
    Ok(sqlx::query_as(all).fetch_all(connection).await?)
}

/// One endpoint.
pub async fn endpoint(connection: &mut PgConnection, name: &str) -> Result<EndpointRow, EngineError> {
    sqlx::query_as(include_str!("sql/endpoint.sql"))
        .bind(name)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| not_found(name))
}

/// Writes an endpoint and the kinds it takes. A kind that another endpoint takes is a conflict naming both.
pub async fn put(
    connection: &mut PgConnection,
    name: &str,
    spec: &str,
    kinds: &[String],
    secret: SealedSecret<'_>,
) -> Result<Put, EngineError> {
    let (replace, first) = match secret {
        SealedSecret::Replace(sealed) => (Some(sealed), None),
        SealedSecret::KeepOr(sealed) => (None, Some(sealed)),
    };
    let row = sqlx::query(include_str!("sql/put_endpoint.sql"))
        .bind(name)
        .bind(spec)
        .bind(kinds)
        .bind(replace)
        .bind(first)
        .fetch_one(connection)
        .await?;
    Ok(Put { created: row.try_get("created")?, row: EndpointRow::from_row(&row)? })
}

/// Deletes an endpoint. Jobs that it would have taken stay available.
pub async fn delete(connection: &mut PgConnection, name: &str) -> Result<(), EngineError> {
    let deleted = sqlx::query(include_str!("sql/delete_endpoint.sql")).bind(name).fetch_optional(connection).await?;
    deleted.map(|_| ()).ok_or_else(|| not_found(name))
}

/// Pauses an endpoint: nothing more is dispatched to it. One that is paused keeps its time and reason.
pub async fn pause(connection: &mut PgConnection, name: &str, reason: &str) -> Result<EndpointRow, EngineError> {
    sqlx::query_as(include_str!("sql/pause_endpoint.sql"))
        .bind(name)
        .bind(reason)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| not_found(name))
}

/// Lets a paused endpoint work again.
pub async fn resume(connection: &mut PgConnection, name: &str) -> Result<EndpointRow, EngineError> {
    sqlx::query_as(include_str!("sql/resume_endpoint.sql"))
        .bind(name)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| not_found(name))
}

/// Replaces the sealed secrets of an endpoint that still has this version; else a conflict, to be tried again.
pub async fn rotate_secret(
    connection: &mut PgConnection,
    name: &str,
    version: i64,
    sealed: &[u8],
) -> Result<EndpointRow, EngineError> {
    sqlx::query_as(include_str!("sql/rotate_endpoint_secret.sql"))
        .bind(name)
        .bind(version)
        .bind(sealed)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| EngineError::Conflict(format!("endpoint {name} was changed meanwhile")))
}

fn not_found(name: &str) -> EngineError {
    EngineError::NotFound(format!("endpoint {name}"))
}

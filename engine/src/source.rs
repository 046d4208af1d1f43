//! Sources: the named senders of webhooks, as stored. Every change bumps the version and tells the gateways.

use chrono::{DateTime, Utc};
use posthaste_protocol::{cel::CelSpec, problem::FieldError, source::SourceSpec};
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    filter::{self, Expression},
};

/// A source as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its name.
    pub name: String,
    /// The JSON text of a [`SourceSpec`].
    pub spec: String,
    /// Its sealed secrets; `None` when all of them are references.
    pub secret: Option<Vec<u8>>,
    /// Counts the changes, from 1.
    pub version: i64,
    /// When it was first written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl std::fmt::Debug for SourceRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceRow").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

impl FromRow<'_, PgRow> for SourceRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            spec: row.try_get("spec")?,
            secret: row.try_get("secret")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

/// The expressions of a source, before it is known whether they are any.
#[derive(Default, Deserialize)]
struct Expressions<'a> {
    #[serde(borrow)]
    correlate: Option<&'a RawValue>,
    #[serde(borrow)]
    cel: Option<&'a RawValue>,
}

/// Reads a source as it is written, and compiles its expressions. `Err` holds every fault: where something else is wrong,
/// the expressions that can be read are compiled all the same.
pub fn read(json: &str) -> Result<SourceSpec, Vec<FieldError>> {
    let (spec, mut faults) = match SourceSpec::parse(json) {
        Ok(spec) => (Some(spec), Vec::new()),
        Err(faults) => (None, faults),
    };
    let written: Expressions = serde_json::from_str(json).unwrap_or_default();
    if !faults.iter().any(|fault| fault.field == "correlate") {
        let correlate = written.correlate.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let checked = correlate.map(|text| Expression::correlation(&text));
        faults.extend(checked.and_then(Result::err).map(|fault| fault.within("correlate")));
    }
    let cel = written.cel.and_then(|raw| CelSpec::parse(raw.get()).ok());
    let checked = cel.map_or(Ok(()), |cel| filter::check(&cel));
    faults.extend(checked.err().into_iter().flatten().map(|fault| fault.within("cel")));
    spec.filter(|_| faults.is_empty()).ok_or(faults)
}

/// Every source, by name.
pub async fn sources(connection: &mut PgConnection) -> Result<Vec<SourceRow>, EngineError> {
    let all: Option<&str> = None;
    Ok(sqlx::query_as(include_str!("sql/source.sql")).bind(all).fetch_all(connection).await?)
}

/// One source.
pub async fn source(connection: &mut PgConnection, name: &str) -> Result<SourceRow, EngineError> {
    let found = sqlx::query_as(include_str!("sql/source.sql")).bind(name).fetch_optional(connection).await?;
    found.ok_or_else(|| not_found(name))
}

/// What becomes of the sealed secrets when a source is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets<'a> {
    /// These, or none, whatever was there.
    Replace(Option<&'a [u8]>),
    /// Those that are there. The document gave none; neither may a source without any be made.
    Keep,
}

/// Writes a source; tells whether it is new, and how it now is. A new one whose secrets are to be kept is a conflict.
pub async fn put(
    connection: &mut PgConnection,
    name: &str,
    spec: &str,
    secrets: Secrets<'_>,
) -> Result<(bool, SourceRow), EngineError> {
    let (sealed, keep) = match secrets {
        Secrets::Replace(sealed) => (sealed, false),
        Secrets::Keep => (None, true),
    };
    let row = sqlx::query(include_str!("sql/put_source.sql"))
        .bind(name)
        .bind(spec)
        .bind(sealed)
        .bind(keep)
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| EngineError::Conflict(format!("source {name} is new and needs signature.secrets")))?;
    Ok((row.try_get("created")?, SourceRow::from_row(&row)?))
}

/// Deletes a source.
pub async fn delete(connection: &mut PgConnection, name: &str) -> Result<(), EngineError> {
    let deleted = sqlx::query(include_str!("sql/delete_source.sql")).bind(name).fetch_optional(connection).await?;
    deleted.map(|_| ()).ok_or_else(|| not_found(name))
}

fn not_found(name: &str) -> EngineError {
    EngineError::NotFound(format!("source {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_source_is_named_at_once_and_once() {
        let fields = |signature: &str, rest: &str| {
            let faults =
                read(&format!(r#"{{"signature": {{"scheme": {signature}}}, {rest}}}"#)).err().unwrap_or_default();
            faults.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        let (sound, nobody) = (r#""github", "secrets": ["0123456789abcdef"]"#, r#""nobody""#);
        let broken = r#""correlate": "payload.", "cel": {"filter": "payload.", "on_fail": "true"}"#;
        assert_eq!(fields(sound, r#""correlate": "payload.id", "cel": null"#), [""; 0]);
        assert_eq!(fields(sound, broken), ["correlate", "cel.filter"]);
        assert_eq!(fields(nobody, broken), ["signature.scheme", "correlate", "cel.filter"]);
        assert_eq!(fields(sound, r#""correlate": "", "cel": {"filter": 1}"#), ["correlate", "cel.filter"]);
        assert_eq!(fields(sound, r#""correlate": 7"#), ["correlate"]);
    }
}

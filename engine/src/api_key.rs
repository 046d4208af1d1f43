//! API keys as stored: a hash, a name and scopes; never the key.

use chrono::{DateTime, Utc};
use posthaste_protocol::api_key::{ApiKey, Scope, Verifier};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::EngineError;

/// A stored key.
#[derive(Debug, Clone)]
pub struct ApiKeyRow {
    /// Its id, which is not secret.
    pub key_id: String,
    /// What it is for.
    pub name: String,
    /// What the presented key is compared with.
    pub verifier: Option<Verifier>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was minted.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Neither revoked nor expired, by the database's clock.
    pub active: bool,
}

/// What a look-up found.
#[derive(Debug, Clone)]
pub struct LookUp {
    /// Whether any key was ever stored, revoked ones included: from then on nobody is let in without one.
    pub any: bool,
    /// The key of this id.
    pub key: Option<ApiKeyRow>,
}

/// Stores a minted key.
pub async fn mint(
    connection: &mut PgConnection,
    key: &ApiKey,
    name: &str,
    scopes: &[Scope],
    expires_at: Option<DateTime<Utc>>,
) -> Result<(), EngineError> {
    let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    sqlx::query(include_str!("sql/mint_api_key.sql"))
        .bind(key.kid())
        .bind(name)
        .bind(key.verifier().as_bytes().as_slice())
        .bind(words)
        .bind(expires_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// Every key ever minted, newest first; at most 1,000.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<ApiKeyRow>, EngineError> {
    let rows = sqlx::query(include_str!("sql/list_api_keys.sql")).fetch_all(connection).await?;
    rows.iter().map(|row| from_row(row).map_err(EngineError::from)).collect()
}

/// The key of this id, and whether there is any.
pub async fn look_up(connection: &mut PgConnection, key_id: Option<&str>) -> Result<LookUp, EngineError> {
    let row = sqlx::query(include_str!("sql/look_up_api_key.sql")).bind(key_id).fetch_one(connection).await?;
    let found: Option<String> = row.try_get("key_id")?;
    let key = found.map(|_| from_row(&row)).transpose()?;
    Ok(LookUp { any: row.try_get("any_key")?, key })
}

/// Revokes a key for good; one that is revoked stays as it is.
pub async fn revoke(connection: &mut PgConnection, key_id: &str) -> Result<(), EngineError> {
    let done = sqlx::query(include_str!("sql/revoke_api_key.sql")).bind(key_id).execute(connection).await?;
    if done.rows_affected() == 0 {
        return Err(EngineError::NotFound(format!("API key {key_id}")));
    }
    Ok(())
}

fn from_row(row: &PgRow) -> Result<ApiKeyRow, sqlx::Error> {
    let verifier: &[u8] = row.try_get("verifier")?;
    let words: Vec<String> = row.try_get("scopes")?;
    Ok(ApiKeyRow {
        key_id: row.try_get("key_id")?,
        name: row.try_get("name")?,
        verifier: Verifier::from_bytes(verifier),
        // A scope that a newer version stored grants nothing here.
        scopes: words.iter().filter_map(|word| word.parse().ok()).collect(),
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        active: row.try_get("active")?,
    })
}

//! Promote: move runs whose time has come from `scheduled` to `ready`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};

use crate::EngineError;

/// The most runs one promote moves.
pub const PROMOTE_MAX: i64 = 1_000;

/// What a promote did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// Runs moved.
    pub count: i64,
    /// Until the next one is due; `None` when nothing is scheduled.
    pub next: Option<Duration>,
}

/// Promotes what is due `now` (the database's now when `None`).
pub async fn promote(
    connection: &mut PgConnection,
    limit: i64,
    now: Option<DateTime<Utc>>,
) -> Result<Promoted, EngineError> {
    let row = sqlx::query(include_str!("sql/promote.sql")).bind(limit).bind(now).fetch_one(connection).await?;
    let next: Option<i64> = row.try_get(1)?;
    Ok(Promoted { count: row.try_get(0)?, next: next.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))) })
}

//! Jobs as read, and the lock that asks finalizes to tell when jobs end.

use chrono::{DateTime, Utc};
use posthaste_protocol::{
    id::JobId,
    job::{Job, JobError},
};
use serde_json::value::RawValue;
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::EngineError;

/// The channel on which finalizes name the jobs they ended: comma-separated ids.
pub const DONE_CHANNEL: &str = "posthaste_done";

/// One job with its newest 50 attempts.
pub async fn job(connection: &mut PgConnection, id: JobId) -> Result<Job, EngineError> {
    let found = read(connection, &[id.0], true).await?;
    found.into_iter().next().ok_or_else(|| EngineError::NotFound(format!("job {id}")))
}

/// These jobs without their attempts, in this order; those that do not exist are left out.
pub async fn jobs(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Job>, EngineError> {
    read(connection, ids, false).await
}

/// Which of these jobs have ended, or are no longer known.
pub async fn ended(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<i64>, EngineError> {
    Ok(sqlx::query_scalar(include_str!("sql/ended.sql")).bind(ids).fetch_all(connection).await?)
}

/// Asks finalizes to notify [`DONE_CHANNEL`]: they do from when this asks, and until this connection ends. It returns
/// when the lock is granted, and what began without knowing has committed. Another process may hold it for long; then
/// finalizes notify all the same.
pub async fn ask_for_ends(connection: &mut PgConnection) -> Result<(), EngineError> {
    sqlx::query("select pg_advisory_lock(28776, 2)").execute(connection).await?;
    Ok(())
}

async fn read(connection: &mut PgConnection, ids: &[i64], attempts: bool) -> Result<Vec<Job>, EngineError> {
    let rows = sqlx::query(include_str!("sql/job.sql")).bind(ids).bind(attempts).fetch_all(connection).await?;
    rows.iter().map(|row| from_row(row).map_err(EngineError::from)).collect()
}

fn from_row(row: &PgRow) -> Result<Job, sqlx::Error> {
    let state: &str = row.try_get("state")?;
    let code: Option<String> = row.try_get("error_code")?;
    let attempts: Option<&str> = row.try_get("attempts")?;
    Ok(Job {
        id: JobId(row.try_get("id")?),
        kind: row.try_get("kind")?,
        queue: row.try_get("queue")?,
        endpoint: row.try_get("endpoint")?,
        state: state.parse().map_err(decode)?,
        priority: row.try_get("priority")?,
        attempt: row.try_get("attempt")?,
        max_attempts: row.try_get("max_attempts")?,
        run_lease: row.try_get("run_lease")?,
        args: raw(row.try_get("args")?)?,
        result: optional_raw(row.try_get("result")?)?,
        error: code.map(|code| error(code, row)).transpose()?,
        progress: optional_raw(row.try_get("progress")?)?,
        tags: row.try_get("tags")?,
        metadata: raw(row.try_get("metadata")?)?,
        run_at: row.try_get("run_at")?,
        created_at: row.try_get("created_at")?,
        finished_at: row.try_get("finished_at")?,
        attempts: attempts.map_or_else(|| Ok(Vec::new()), serde_json::from_str).map_err(decode)?,
    })
}

fn error(code: String, row: &PgRow) -> Result<JobError, sqlx::Error> {
    let message: Option<String> = row.try_get("error_message")?;
    let at: DateTime<Utc> = row.try_get("error_at")?;
    Ok(JobError { code, message: message.unwrap_or_default(), at })
}

fn raw(text: String) -> Result<Box<RawValue>, sqlx::Error> {
    RawValue::from_string(text).map_err(decode)
}

fn optional_raw(text: Option<String>) -> Result<Option<Box<RawValue>>, sqlx::Error> {
    text.map(raw).transpose()
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

//! Overview: what waits, runs and has just ended, for people who watch. Not for machines: it reads a lot.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use crate::EngineError;

/// One queue, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Its name.
    pub queue: String,
    /// Jobs that may start.
    pub available: i64,
    /// Jobs that wait for a time.
    pub scheduled: i64,
    /// Jobs that a dispatcher holds.
    pub running: i64,
    /// Parked: their functions will call back.
    pub waiting: i64,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedRun {
    /// Its job.
    pub job_id: i64,
    /// Its number.
    pub run_lease: i64,
    /// The job's kind.
    pub kind: String,
    /// The job's queue.
    pub queue: String,
    /// The attempt it belonged to.
    pub attempt: i32,
    /// What it came to.
    pub outcome: String,
    /// What the function answered with.
    pub http_status: Option<i32>,
    /// Why it failed.
    pub error_code: Option<String>,
    /// At most 200 characters of that.
    pub error_message: Option<String>,
    /// At most 200 characters of the result's JSON.
    pub result: Option<String>,
    /// From the POST to the end; `None` when nothing was sent.
    pub took_ms: Option<f64>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

impl FromRow<'_, PgRow> for QueueDepth {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            queue: row.try_get("queue")?,
            available: row.try_get("available")?,
            scheduled: row.try_get("scheduled")?,
            running: row.try_get("running")?,
            waiting: row.try_get("waiting")?,
        })
    }
}

impl FromRow<'_, PgRow> for EndedRun {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            job_id: row.try_get("job_id")?,
            run_lease: row.try_get("run_lease")?,
            kind: row.try_get("kind")?,
            queue: row.try_get("queue")?,
            attempt: row.try_get("attempt")?,
            outcome: row.try_get("outcome")?,
            http_status: row.try_get("http_status")?,
            error_code: row.try_get("error_code")?,
            error_message: row.try_get("error_message")?,
            result: row.try_get("result")?,
            took_ms: row.try_get("took_ms")?,
            finished_at: row.try_get("finished_at")?,
        })
    }
}

/// Every queue that a job was ever enqueued to, by name, at most 50.
pub async fn queues(connection: &mut PgConnection) -> Result<Vec<QueueDepth>, EngineError> {
    Ok(sqlx::query_as(include_str!("sql/overview_queues.sql")).fetch_all(connection).await?)
}

/// The runs that ended last, newest first, at most `limit`, among the newest 20,000 ids.
pub async fn ended(connection: &mut PgConnection, limit: i64) -> Result<Vec<EndedRun>, EngineError> {
    Ok(sqlx::query_as(include_str!("sql/overview_ended.sql")).bind(limit).fetch_all(connection).await?)
}

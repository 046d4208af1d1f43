//! Retry of a job by an operator: an ended one runs again, a scheduled one runs now.

use posthaste_protocol::id::JobId;
use sqlx::PgConnection;

use crate::EngineError;

/// What a retry did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// The job is available, with all its attempts before it.
    Available,
    /// Nothing: it was available already.
    WasAvailable,
    /// Nothing: it is running.
    WasRunning,
    /// Nothing: its `expires_at` is past, and it would end as it began.
    Expired,
    /// Nothing: only its dead letter is left, the job itself is past retention.
    PastRetention,
}

/// Retries a job. Safe against every other end and start of it: the attempt's key is the fence.
pub async fn retry_job(connection: &mut PgConnection, id: JobId) -> Result<Retried, EngineError> {
    let word: String = sqlx::query_scalar(include_str!("sql/retry_job.sql")).bind(id.0).fetch_one(connection).await?;
    Ok(match word.as_str() {
        "retried" => Retried::Available,
        "available" => Retried::WasAvailable,
        "expired" => Retried::Expired,
        "past_retention" => Retried::PastRetention,
        _ => Retried::WasRunning,
    })
}

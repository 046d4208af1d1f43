//! Sweep: ends what nobody claims (expiry), grants cancel requests whose job is not running any more, forgets what is
//! past its retention.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{EngineError, inbox};

/// Rows that one sweep looks at.
const SWEEP_MAX: i64 = 500;

/// How long ended things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Results of completed jobs, at least.
    pub completed: Duration,
    /// Cancelled jobs, and every row of a range; ranges go when their newest end is older than this.
    pub cancelled: Duration,
    /// Dead letters.
    pub dead: Duration,
}

impl Default for Retention {
    /// 24 h, 72 h, 30 days.
    fn default() -> Self {
        Self {
            completed: Duration::from_hours(24),
            cancelled: Duration::from_hours(72),
            dead: Duration::from_hours(24 * 30),
        }
    }
}

/// Ends jobs whose `expires_at` passed before anybody claimed them. Returns how many.
pub async fn expire(connection: &mut PgConnection) -> Result<i64, EngineError> {
    Ok(sqlx::query_scalar("select posthaste.expire_v1($1)").bind(SWEEP_MAX).fetch_one(connection).await?)
}

/// Cancels jobs that somebody asked to cancel while they ran, and that went back to wait. Returns how many.
pub async fn grant_cancels(connection: &mut PgConnection) -> Result<i64, EngineError> {
    Ok(sqlx::query_scalar("select posthaste.grant_cancels_v1($1)").bind(SWEEP_MAX).fetch_one(connection).await?)
}

/// The running jobs that somebody asked to cancel.
pub async fn cancel_requests(connection: &mut PgConnection) -> Result<Vec<i64>, EngineError> {
    Ok(sqlx::query_scalar("select job_id from posthaste.cancel_request order by job_id limit 10000")
        .fetch_all(connection)
        .await?)
}

/// Forgets dead letters and deliveries in quarantine, which are kept as long, idempotency keys, dispatchers that left long ago, and makes ranges ahead.
pub async fn forget(connection: &mut PgConnection, retention: &Retention) -> Result<(), EngineError> {
    sqlx::query(include_str!("sql/forget.sql"))
        .bind(seconds(retention.dead))
        .bind(SWEEP_MAX * 10)
        .execute(&mut *connection)
        .await?;
    inbox::forget(connection, retention.dead, SWEEP_MAX * 10).await?;
    sqlx::query("select posthaste.ensure_ranges()").execute(connection).await?;
    Ok(())
}

pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// For an interval in Postgres, which overflows long before `i64` does: at most a thousand years.
pub(crate) fn millis(duration: Duration) -> i64 {
    const MOST: i64 = 1_000 * 365 * 86_400_000;
    i64::try_from(duration.as_millis()).unwrap_or(MOST).min(MOST)
}

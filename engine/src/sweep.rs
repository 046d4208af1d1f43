//! Sweep: ends what nobody claims (expiry), grants cancel requests whose job is not running any more, forgets what is
//! past its retention.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::EngineError;

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

/// Forgets dead letters, idempotency keys, dispatchers that left long ago, and makes ranges ahead.
pub async fn forget(connection: &mut PgConnection, retention: &Retention) -> Result<(), EngineError> {
    sqlx::query(include_str!("sql/forget.sql"))
        .bind(seconds(retention.dead))
        .bind(SWEEP_MAX * 10)
        .execute(&mut *connection)
        .await?;
    sqlx::query("select posthaste.ensure_ranges()").execute(connection).await?;
    Ok(())
}

/// Drops the oldest range whose ids are all used, whose jobs have all ended, the newest of them longer ago than the
/// retention. Detached concurrently, so that nobody's claim waits. Returns the range's first id.
pub async fn drop_range(connection: &mut PgConnection, retention: &Retention) -> Result<Option<i64>, EngineError> {
    let keep = seconds(retention.completed.max(retention.cancelled));
    let Some(lower) = sqlx::query_scalar::<_, i64>(include_str!("sql/droppable_range.sql"))
        .bind(keep)
        .fetch_optional(&mut *connection)
        .await?
    else {
        return Ok(None);
    };
    let recent: bool = sqlx::query_scalar(AssertSqlSafe(format!(
        "select exists (select from posthaste.attempt_{lower} where finished_at > now() - $1 * interval '1 second')
             or exists (select from posthaste.job_{lower} j where not exists (
                  select from posthaste.attempt_{lower} a where a.job_id = j.job_id
                  and a.outcome in ('completed', 'cancelled', 'dead')))"
    )))
    .bind(keep)
    .fetch_one(&mut *connection)
    .await?;
    if recent {
        return Ok(None);
    }
    for table in ["attempt", "job"] {
        // A detach that was interrupted leaves the partition pending; finalize completes it.
        let statements = [
            format!("alter table posthaste.{table} detach partition posthaste.{table}_{lower} concurrently"),
            format!("drop table posthaste.{table}_{lower}"),
        ];
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *connection).await?;
        }
    }
    sqlx::query("delete from posthaste.job_range where lower_id = $1").bind(lower).execute(connection).await?;
    Ok(Some(lower))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

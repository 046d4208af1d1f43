//! Time-out: ends parked runs that gave no sign of life, and sweeps what is left of runs that ended.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    claim::Lease,
    finalize::{EndedBy, RunEnd, finalize_any},
    floor::Scan,
    held::{RunRef, read},
    lifecycle::{self, Outcome, Policy, wait::TimeOut},
    retry::RetryPolicy,
};

/// What a sweep of the deadlines did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimedOut {
    /// Runs that this call ended.
    pub runs: usize,
    /// Rows taken away: theirs, and those of runs that had ended.
    pub rows: usize,
}

/// Ends at most `limit` parked runs whose deadline has passed at `due` (`None`: now, by the database's clock). Each is
/// retried by policy, as a counted failure, or dead; one that somebody asked to cancel is cancelled. Call again while
/// it takes `limit` rows. A run that Postgres refuses to end (a bad row, a lock) delays only itself.
pub async fn time_out(
    connection: &mut PgConnection,
    limit: i64,
    due: Option<DateTime<Utc>>,
    policy_of: &(dyn Fn(Scan) -> RetryPolicy + Sync),
    jitter: f64,
) -> Result<TimedOut, EngineError> {
    let sweep = Sweep { limit, due, policy_of, jitter };
    match sweep.take(connection, None).await {
        Err(error) if error.is_divisible() => sweep.one_by_one(connection).await,
        result => result,
    }
}

struct Sweep<'a> {
    limit: i64,
    due: Option<DateTime<Utc>>,
    policy_of: &'a (dyn Fn(Scan) -> RetryPolicy + Sync),
    jitter: f64,
}

impl Sweep<'_> {
    /// Takes due rows, or those of one job, and ends their runs in the same transaction. A callback that has ended a
    /// run meanwhile leaves its row to us, which is why all of them are deleted here.
    async fn take(&self, connection: &mut PgConnection, only: Option<i64>) -> Result<TimedOut, EngineError> {
        let mut tx = connection.begin().await?;
        let rows = sqlx::query(include_str!("sql/timed_out.sql"))
            .bind(self.limit)
            .bind(self.due)
            .bind(only.map(|job| vec![job]))
            .fetch_all(&mut *tx)
            .await?;
        let mut ends = Vec::with_capacity(rows.len());
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            taken.push(row.try_get::<i64, _>("job_id")?);
            ends.extend(self.end(row)?);
        }
        let runs = if ends.is_empty() { 0 } else { finalize_any(&mut tx, &ends, EndedBy::Maintenance).await?.len() };
        sqlx::query("delete from posthaste.waiting where job_id = any ($1)").bind(&taken).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(TimedOut { runs, rows: taken.len() })
    }

    /// The end of this run; `None` when it has ended, or its job is past its retention.
    fn end(&self, row: &PgRow) -> Result<Option<RunEnd>, EngineError> {
        let live: Option<i32> = row.try_get("live")?;
        if live.is_none() || row.try_get::<Option<i16>, _>("max_attempts")?.is_none() {
            return Ok(None);
        }
        let lease = Lease { lease_id: row.try_get("lease_id")?, nonce: row.try_get("nonce")? };
        let run = RunRef { lease, job_id: row.try_get("job_id")?, run_lease: row.try_get("run_lease")? };
        let held = read(row, run)?;
        let outcome = if held.cancel_requested {
            Outcome::Cancelled { reason: None }
        } else if row.try_get("at_hard_end")? {
            Outcome::TimedOut(TimeOut::Run)
        } else if row.try_get("heartbeats")? {
            Outcome::TimedOut(TimeOut::Heartbeat)
        } else {
            Outcome::TimedOut(TimeOut::Callback)
        };
        let policy = Policy { max_attempts: held.max_attempts, retry: (self.policy_of)(held.scan) };
        let transition = lifecycle::decide(outcome, held.spent, &policy, self.jitter);
        Ok(Some(held.end(transition, Some("unknown"))))
    }

    /// One run is at fault: ends each of the others by itself.
    async fn one_by_one(&self, connection: &mut PgConnection) -> Result<TimedOut, EngineError> {
        let jobs: Vec<i64> = sqlx::query_scalar(
            "select w.job_id from posthaste.waiting w where w.deadline_at <= coalesce($2, now())
             order by w.deadline_at limit $1",
        )
        .bind(self.limit)
        .bind(self.due)
        .fetch_all(&mut *connection)
        .await?;
        let mut all = TimedOut::default();
        for job in jobs {
            match self.take(connection, Some(job)).await {
                Ok(one) => all = TimedOut { runs: all.runs + one.runs, rows: all.rows + one.rows },
                Err(error) if error.is_divisible() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

//! Time-out: ends parked runs that gave no sign of life, wakes suspended ones whose time has come, and sweeps what is left
//! of runs that ended.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    finalize::RunEnd,
    floor::Scan,
    lifecycle::{self, Outcome, Policy, wait::TimeOut},
    retry::RetryPolicy,
    wake::{Clock, Locked, advance, read_run, read_suspended},
};

/// What a sweep of the deadlines did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimedOut {
    /// Runs that this call ended.
    pub runs: usize,
    /// Suspended runs whose function it woke: a timer, jobs that have ended, or a wait that timed out.
    pub woken: usize,
    /// Rows looked at: theirs, those of runs that had ended, and of suspended ones that wait on.
    pub rows: usize,
}

/// Ends at most `limit` parked runs whose deadline has passed at `due` (`None`: now, by the database's clock). Each is
/// retried by policy, as a counted failure, or dead; one that somebody asked to cancel is cancelled. A suspended run is
/// woken where what it waits for has come, or can no longer come; else it is looked at later. Call again while it looks at
/// `limit` rows. A run that Postgres refuses to end (a bad row, a lock) delays only itself.
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
        let mut locked = Vec::new();
        let mut over = Vec::with_capacity(rows.len());
        for row in &rows {
            over.push(row.try_get::<i64, _>("job_id")?);
            match suspended(row)? {
                Some(run) => locked.push(run),
                None => ends.extend(self.end(row)?),
            }
        }
        let advanced = advance(&mut tx, &locked, Vec::new(), &ends, Clock::At(self.due)).await?;
        over.retain(|job| !advanced.waiting.contains(job));
        sqlx::query(include_str!("sql/over.sql")).bind(&over).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(TimedOut { runs: advanced.others, woken: advanced.woken, rows: rows.len() })
    }

    /// The end of this run; `None` when it has ended, or its job is past its retention.
    fn end(&self, row: &PgRow) -> Result<Option<RunEnd>, EngineError> {
        if !goes_on(row)? {
            return Ok(None);
        }
        let held = read_run(row)?;
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
                Ok(one) => {
                    all.runs += one.runs;
                    all.woken += one.woken;
                    all.rows += one.rows;
                }
                Err(error) if error.is_divisible() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

/// Whether this run has not ended, and its job is not past its retention.
fn goes_on(row: &PgRow) -> Result<bool, EngineError> {
    let live: Option<i32> = row.try_get("live")?;
    Ok(live.is_some() && row.try_get::<Option<i16>, _>("max_attempts")?.is_some())
}

/// This run, if it is suspended and not past its hard end.
fn suspended(row: &PgRow) -> Result<Option<Locked>, EngineError> {
    if !goes_on(row)? || row.try_get("at_hard_end")? {
        return Ok(None);
    }
    read_suspended(row)
}

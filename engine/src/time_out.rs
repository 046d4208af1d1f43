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
    wake::{Clock, LOOK_MAX, Locked, advance, look_at, read_run, read_suspended},
};

/// The most transactions that one sweep gives to runs that wait for many jobs, so that time-outs do not wait for these.
const LOOKS: usize = 5;

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
/// `limit` rows. A run that Postgres refuses to end (a bad row, a lock) delays only itself. Runs that wait for more jobs in
/// all than one transaction looks at have some of their own, after the others; the rest of them are looked at a second later.
pub async fn time_out(
    connection: &mut PgConnection,
    limit: i64,
    due: Option<DateTime<Utc>>,
    policy_of: &(dyn Fn(Scan) -> RetryPolicy + Sync),
    jitter: f64,
) -> Result<TimedOut, EngineError> {
    let sweep = Sweep { limit, due, policy_of, jitter };
    let (mut swept, looks) = match sweep.take(connection, None).await {
        Err(error) if error.is_divisible() => return sweep.one_by_one(connection).await,
        result => result?,
    };
    for jobs in looks {
        swept.woken += sweep.look(connection, &jobs).await?;
    }
    Ok(swept)
}

/// Runs that wait for more jobs than the first transaction looks at, as they are due.
#[derive(Default)]
struct Heavy {
    /// What the first transaction looks at.
    others: usize,
    /// Jobs of those that have transactions of their own, and how many jobs the last of these looks at.
    looks: Vec<Vec<i64>>,
    last: usize,
    /// Jobs of those that are looked at later.
    later: Vec<i64>,
}

impl Heavy {
    /// Whether this run, which waits for so many jobs, is too many for the first transaction: then it is noted here.
    fn takes(&mut self, job: i64, others: usize) -> bool {
        if others == 0 || self.others + others <= LOOK_MAX {
            self.others += others;
            return false;
        }
        let joins = self.last + others <= LOOK_MAX;
        if let Some(look) = self.looks.last_mut().filter(|_| joins) {
            look.push(job);
            self.last += others;
        } else if self.looks.len() < LOOKS {
            self.looks.push(vec![job]);
            self.last = others;
        } else {
            self.later.push(job);
        }
        true
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
    /// run meanwhile leaves its row to us, which is why all of them are deleted here. Returns the jobs that are to be looked
    /// at in transactions of their own.
    async fn take(
        &self,
        connection: &mut PgConnection,
        only: Option<i64>,
    ) -> Result<(TimedOut, Vec<Vec<i64>>), EngineError> {
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
        let mut heavy = Heavy::default();
        for row in &rows {
            let (job, others) = (row.try_get("job_id")?, row.try_get::<i64, _>("others")?);
            match suspended(row)? {
                Some(_) if heavy.takes(job, usize::try_from(others).unwrap_or(0)) => continue,
                Some(run) => locked.push(run),
                None => ends.extend(self.end(row)?),
            }
            over.push(job);
        }
        let advanced = advance(&mut tx, &locked, Vec::new(), &ends, Clock::At(self.due)).await?;
        over.retain(|job| !advanced.waiting.contains(job));
        sqlx::query(include_str!("sql/over.sql")).bind(&over).execute(&mut *tx).await?;
        if !heavy.later.is_empty() {
            sqlx::query(include_str!("sql/look_later.sql")).bind(&heavy.later).bind(self.due).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok((TimedOut { runs: advanced.others, woken: advanced.woken, rows: rows.len() }, heavy.looks))
    }

    /// Looks at these jobs in a transaction of its own; returns how many it woke. What a row or a lock keeps back stays due.
    async fn look(&self, connection: &mut PgConnection, jobs: &[i64]) -> Result<usize, EngineError> {
        match look_at(connection, jobs, Clock::At(self.due)).await {
            Err(error) if error.is_divisible() => Ok(0),
            looked => Ok(looked?.woken),
        }
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
                Ok((one, looks)) => {
                    all.runs += one.runs;
                    all.woken += one.woken;
                    all.rows += one.rows;
                    for jobs in looks {
                        all.woken += self.look(connection, &jobs).await?;
                    }
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

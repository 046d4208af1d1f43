//! Held: the runs that callbacks name, as the lease or the wait that holds them knows them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    claim::{ClaimedRun, Lease},
    finalize::RunEnd,
    floor::Scan,
    lifecycle::{Spent, Transition},
};

/// One run, as a callback's token names it. The lease's nonce must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunRef {
    /// The claim batch.
    pub lease: Lease,
    /// The job.
    pub job_id: i64,
    /// The run.
    pub run_lease: i64,
}

/// A run that a lease or a wait holds, and that has not ended.
#[derive(Debug, Clone)]
pub struct HeldRun {
    /// Which one.
    pub run: RunRef,
    /// Where its next run goes.
    pub scan: Scan,
    /// What earlier runs used up. A lease does not say since when: then the clock starts anew.
    pub spent: Spent,
    /// When the row of uncounted ends began.
    pub uncounted_since: Option<DateTime<Utc>>,
    /// 1–1000.
    pub max_attempts: u32,
    /// The answer that parked it: none was seen when a heartbeat or a rescue did, or when it is not parked.
    pub http_status: Option<i16>,
    /// Since the POST began, or the claim while nothing is known of the POST, microseconds.
    pub age_us: Option<i64>,
    /// POST begun → answer's head, microseconds.
    pub headers_us: Option<i32>,
    /// Head → end of body, microseconds.
    pub body_us: Option<i32>,
    /// It is parked; else a dispatcher's lease holds it.
    pub waits: bool,
    /// Somebody asked to cancel the job.
    pub cancel_requested: bool,
    /// The job has expressions of its own that judge callbacks. Only [`held`] looks.
    pub has_cel: bool,
}

impl HeldRun {
    /// The number of this attempt, 1-based.
    pub fn attempt(&self) -> i16 {
        i16::try_from(self.spent.failures.saturating_add(1)).unwrap_or(i16::MAX)
    }

    /// The run with this end. `class` as in [`RunEnd`].
    pub fn end(&self, transition: Transition, class: Option<&'static str>) -> RunEnd {
        RunEnd {
            lease: self.run.lease,
            job_id: self.run.job_id,
            run_lease: self.run.run_lease,
            scan: self.scan,
            attempt: self.attempt(),
            uncounted_since: self.uncounted_since,
            transition,
            class,
            http_status: self.http_status,
            age_us: self.age_us,
            headers_us: self.headers_us,
            body_us: self.body_us,
            callback: None,
        }
    }
}

impl From<&ClaimedRun> for HeldRun {
    fn from(run: &ClaimedRun) -> Self {
        Self {
            run: RunRef { lease: run.lease, job_id: run.job_id, run_lease: run.run_lease },
            scan: run.scan,
            spent: run.spent,
            uncounted_since: run.uncounted_since,
            max_attempts: u32::try_from(run.max_attempts).unwrap_or(1),
            http_status: None,
            age_us: None,
            headers_us: None,
            body_us: None,
            waits: false,
            cancel_requested: false,
            has_cel: false,
        }
    }
}

/// What holds these runs, in order; `None` for a run that has ended, or that nothing holds.
pub async fn held(connection: &mut PgConnection, runs: &[RunRef]) -> Result<Vec<Option<HeldRun>>, EngineError> {
    let rows = sqlx::query(include_str!("sql/held.sql"))
        .bind(runs.iter().map(|run| run.job_id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.run_lease).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.lease.lease_id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.lease.nonce).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let mut held = vec![None; runs.len()];
    for row in &rows {
        let n = usize::try_from(row.try_get::<i64, _>("n")?).unwrap_or(usize::MAX);
        if let Some((run, slot)) = n.checked_sub(1).and_then(|n| runs.get(n).zip(held.get_mut(n))) {
            *slot = Some(HeldRun { has_cel: row.try_get("has_cel")?, ..read(row, *run)? });
        }
    }
    Ok(held)
}

/// Reads the columns that `held.sql` and `timed_out.sql` share.
pub(crate) fn read(row: &PgRow, run: RunRef) -> Result<HeldRun, EngineError> {
    let uncounted: i16 = row.try_get("uncounted")?;
    let uncounted_since: Option<DateTime<Utc>> = row.try_get("uncounted_since")?;
    let now: DateTime<Utc> = row.try_get("now")?;
    Ok(HeldRun {
        run,
        scan: Scan { lane_id: row.try_get("lane_id")?, priority: row.try_get("priority")? },
        spent: Spent {
            failures: u32::try_from(row.try_get::<i16, _>("failures")?).unwrap_or(0),
            uncounted: u32::from(uncounted.unsigned_abs()),
            snoozing: uncounted < 0,
            uncounted_for: uncounted_since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default(),
        },
        uncounted_since,
        max_attempts: u32::try_from(row.try_get::<i16, _>("max_attempts")?).unwrap_or(1),
        http_status: row.try_get("http_status")?,
        age_us: row.try_get("age_us")?,
        headers_us: row.try_get("headers_us")?,
        body_us: row.try_get("body_us")?,
        waits: row.try_get("waits")?,
        cancel_requested: row.try_get("cancel_requested")?,
        has_cel: false,
    })
}

//! Claim: take available runs for this dispatcher, as one lease. One statement, one commit.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    EngineError,
    floor::{Floors, Scan, Seen},
    lifecycle::{Spent, wait},
};

/// The most runs one claim takes: a lease row then fits a page uncompressed.
pub const CLAIM_MAX: i64 = 200;

/// Proof that a claim batch is ours: needed to end any of its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// `dispatcher_id << 32 | counter`, chosen before the claim so that a lost answer can be looked up.
    pub lease_id: i64,
    /// Random; closes the hole that a counter leaves when a failover loses the last commits.
    pub nonce: Uuid,
}

/// A run that this dispatcher holds.
#[derive(Debug, Clone)]
pub struct ClaimedRun {
    /// The claim batch.
    pub lease: Lease,
    /// The job.
    pub job_id: i64,
    /// The fencing number of this run.
    pub run_lease: i64,
    /// Position among the ready rows of its lane.
    pub seq: i64,
    /// Lane and priority, which a retry needs.
    pub scan: Scan,
    /// What earlier runs used up.
    pub spent: Spent,
    /// When the row of uncounted ends began.
    pub uncounted_since: Option<DateTime<Utc>>,
    /// When the job was enqueued.
    pub created_at: DateTime<Utc>,
    /// Since the enqueue, or since it was due, by the database's clock at the claim.
    pub age: Duration,
    /// The job's own time-out, milliseconds.
    pub timeout_ms: Option<i32>,
    /// 1–1000.
    pub max_attempts: i16,
    /// JSON text, verbatim.
    pub args: String,
    /// Tags.
    pub tags: Vec<String>,
    /// JSON object text.
    pub metadata: Option<String>,
    /// JSON object of strings, as text.
    pub headers: Option<String>,
    /// The enqueue's traceparent.
    pub trace: Option<String>,
    /// `expires_at` has passed: end it, do not send it.
    pub expired: bool,
    /// Failures that the function answered itself.
    pub known_failures: i64,
    /// What earlier runs reported last: JSON text.
    pub progress: Option<String>,
    /// What they did, a JSON object; `None` for no steps.
    pub steps: Option<String>,
    /// What woke the function last: for the run that it woke, and for those that follow when that one fails.
    pub resume: Option<Resumed>,
    /// How often the function was woken.
    pub resumes: u32,
    /// The job's own time for a callback.
    pub callback_timeout: Option<Duration>,
}

/// What woke a suspended function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// The name of the wait that woke it.
    pub name: String,
    /// What came, JSON text: for its only wait; for several, an object of what came for each, by name. `None` for null.
    pub payload: Option<String>,
    /// Enough can no longer come: that wait timed out.
    pub timed_out: bool,
}

impl ClaimedRun {
    /// The number of this attempt, 1-based.
    pub fn attempt(&self) -> i16 {
        i16::try_from(self.spent.failures.saturating_add(1)).unwrap_or(i16::MAX)
    }
}

/// What to claim.
#[derive(Debug)]
pub struct ClaimRequest<'a> {
    /// Who claims.
    pub dispatcher_id: i64,
    /// The batch's identity, chosen by the caller.
    pub lease: Lease,
    /// How long the runs may last at most, by the database's clock; for people and for time-outs, not for rescue.
    pub lasts: Duration,
    /// Scans in the order of preference: priority first, then lanes in rotation.
    pub scans: &'a [Scan],
    /// Free permits, at most [`CLAIM_MAX`].
    pub limit: i64,
}

/// Claims at most `limit` runs and teaches `floors` what the claim saw. Runs come in the order of dispatch.
pub async fn claim(
    connection: &mut PgConnection,
    request: &ClaimRequest<'_>,
    floors: &mut Floors,
) -> Result<Vec<Arc<ClaimedRun>>, EngineError> {
    let (lanes, priorities): (Vec<i32>, Vec<i16>) =
        request.scans.iter().map(|scan| (scan.lane_id, scan.priority)).unzip();
    let levels: Vec<i64> = request.scans.iter().map(|scan| floors.floor(*scan)).collect();
    let waiting: Vec<Scan> = request.scans.iter().copied().filter(|scan| floors.waits(*scan)).collect();
    let (waiting_lanes, waiting_priorities): (Vec<i32>, Vec<i16>) =
        waiting.iter().map(|scan| (scan.lane_id, scan.priority)).unzip();
    let waiting_levels: Vec<i64> = waiting.iter().map(|scan| floors.floor(*scan)).collect();
    let rows = sqlx::query(include_str!("sql/claim.sql"))
        .bind(request.lease.lease_id)
        .bind(request.dispatcher_id)
        .bind(request.lease.nonce)
        .bind(i64::try_from(request.lasts.as_millis()).unwrap_or(i64::MAX))
        .bind(lanes)
        .bind(priorities)
        .bind(levels)
        .bind(request.limit.min(CLAIM_MAX))
        .bind(waiting_lanes)
        .bind(waiting_priorities)
        .bind(waiting_levels)
        .fetch_all(connection)
        .await?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let claimed_at: DateTime<Utc> = first.try_get(21)?;
    let seen = Seen { snapshot_xmin: first.try_get(22)?, xid: first.try_get(23)? };
    let lows: Vec<Option<i64>> = first.try_get(24)?;
    let mut runs = rows.iter().map(|row| read(row, request.lease, claimed_at)).collect::<Result<Vec<_>, _>>()?;
    let lows: Vec<(Scan, Option<i64>)> = waiting.into_iter().zip(lows).collect();
    floors.learn(seen, &lows, runs.iter().map(|run| (run.scan, run.seq)));
    runs.sort_unstable_by_key(|run| (run.scan.priority, run.seq));
    Ok(runs.into_iter().map(Arc::new).collect())
}

/// Reads a run. JSON is taken as the text it is stored as, which sqlx calls another type.
fn read(row: &PgRow, lease: Lease, claimed_at: DateTime<Utc>) -> Result<ClaimedRun, EngineError> {
    let since = |time: DateTime<Utc>| (claimed_at - time).to_std().unwrap_or_default();
    let uncounted: i16 = row.try_get(7)?;
    let uncounted_since: Option<DateTime<Utc>> = row.try_get(3)?;
    let created_at = row.try_get(8)?;
    let Continuation { steps, resume, resumes } = Continuation::read(row.try_get(20)?);
    let expires_at: Option<DateTime<Utc>> = row.try_get(10)?;
    Ok(ClaimedRun {
        lease,
        seq: row.try_get(0)?,
        job_id: row.try_get(1)?,
        run_lease: row.try_get(2)?,
        uncounted_since,
        scan: Scan { lane_id: row.try_get(4)?, priority: row.try_get(5)? },
        spent: Spent {
            failures: u32::try_from(row.try_get::<i16, _>(6)?).unwrap_or(0),
            uncounted: u32::from(uncounted.unsigned_abs()),
            snoozing: uncounted < 0,
            uncounted_for: uncounted_since.map(since).unwrap_or_default(),
        },
        created_at,
        timeout_ms: row.try_get(11)?,
        max_attempts: row.try_get(12)?,
        args: row.try_get_unchecked(13)?,
        tags: row.try_get::<Option<Vec<String>>, _>(14)?.unwrap_or_default(),
        metadata: row.try_get_unchecked(15)?,
        headers: row.try_get_unchecked(16)?,
        trace: row.try_get(17)?,
        expired: expires_at.is_some_and(|at| at <= claimed_at),
        known_failures: row.try_get(18)?,
        progress: row.try_get_unchecked(19)?,
        steps,
        resume,
        resumes,
        callback_timeout: wait::of_job(row.try_get::<Option<&str>, _>(25)?),
        age: since(row.try_get::<Option<DateTime<Utc>>, _>(9)?.unwrap_or(created_at)),
    })
}

/// What earlier runs left.
#[derive(Default)]
struct Continuation {
    steps: Option<String>,
    resume: Option<Resumed>,
    resumes: u32,
}

impl Continuation {
    /// Reads the five columns of the table, as text.
    fn read(columns: Option<Vec<Option<String>>>) -> Self {
        let columns: Option<[Option<String>; 5]> = columns.and_then(|columns| columns.try_into().ok());
        let Some([steps, resumes, timed_out, name, payload]) = columns else { return Self::default() };
        let resume = name.map(|name| Resumed { name, payload, timed_out: timed_out.as_deref() == Some("true") });
        Self { steps, resume, resumes: resumes.and_then(|resumes| resumes.parse().ok()).unwrap_or(0) }
    }
}

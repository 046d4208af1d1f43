//! Finalize: end runs, each once. Everybody who ends a run comes through here.

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::{
    EngineError,
    claim::Lease,
    floor::Scan,
    lifecycle::{Next, Transition},
};

/// Who ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The dispatcher that POSTed it.
    Dispatcher,
    /// Another dispatcher, for one that went silent.
    Rescue,
    /// The sweeps: expiry, cancel requests.
    Maintenance,
}

impl EndedBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatcher => "dispatcher",
            Self::Rescue => "rescue",
            Self::Maintenance => "maintenance",
        }
    }
}

/// One run and its end.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// The claim batch that holds it.
    pub lease: Lease,
    /// The job.
    pub job_id: i64,
    /// The run.
    pub run_lease: i64,
    /// Where a retry goes.
    pub scan: Scan,
    /// The attempt's number, 1-based; 0 when it was never sent and never counted.
    pub attempt: i16,
    /// When the row of uncounted ends began, as the claim told it.
    pub uncounted_since: Option<DateTime<Utc>>,
    /// What it came to and what follows.
    pub transition: Transition,
    /// `responded`, `not_sent` or `unknown`; `None` when nothing was sent.
    pub class: Option<&'static str>,
    /// The answer's status.
    pub http_status: Option<i16>,
    /// Since the POST began, microseconds, when this value was made.
    pub age_us: Option<i64>,
    /// POST begun → answer's head, microseconds.
    pub headers_us: Option<i32>,
    /// Head → end of body, microseconds.
    pub body_us: Option<i32>,
}

/// What became of one run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// This call ended the run, durably.
    Applied,
    /// An earlier call with the same lease did: its answer was lost.
    Duplicate,
    /// Another lease or party ended the run; this end has no effect.
    Superseded,
    /// Neither the lease nor an end of the run exists.
    Refused,
}

/// The statement: the loser of a race is told.
const FENCED: &str = include_str!("sql/finalize.sql");

/// The same text without `on conflict do nothing`, a quarter cheaper and 48 bytes of WAL a run less: the loser of a race
/// fails with its whole batch, which then goes through [`FENCED`].
static UNCONTESTED: LazyLock<String> = LazyLock::new(|| FENCED.replacen("  on conflict do nothing\n", "", 1));

/// Ends runs in one statement. At most one `RunEnd` per run. `drained` names leases whose last runs these are.
/// Returns the runs that this call ended; the others lost, see [`settle`].
pub async fn finalize<E: Borrow<RunEnd>>(
    connection: &mut PgConnection,
    ends: &[E],
    by: EndedBy,
    drained: &[i64],
) -> Result<Vec<(i64, i64)>, EngineError> {
    execute(connection, FENCED, ends, by, drained).await
}

async fn execute<E: Borrow<RunEnd>>(
    connection: &mut PgConnection,
    statement: &'static str,
    ends: &[E],
    by: EndedBy,
    drained: &[i64],
) -> Result<Vec<(i64, i64)>, EngineError> {
    let Columns { run, follow } = Columns::of(ends);
    let rows = sqlx::query(statement)
        .bind(&run.job_ids)
        .bind(&run.run_leases)
        .bind(&run.lease_ids)
        .bind(&run.nonces)
        .bind(&run.outcomes)
        .bind(&run.classes)
        .bind(&run.http_statuses)
        .bind(&run.ages_us)
        .bind(&run.headers_us)
        .bind(&run.bodies_us)
        .bind(&run.attempts)
        .bind(&run.results)
        .bind(&run.error_codes)
        .bind(&run.error_messages)
        .bind(&follow.job_ids)
        .bind(&follow.run_leases)
        .bind(&follow.reasons)
        .bind(&follow.delays_ms)
        .bind(&follow.lanes)
        .bind(&follow.priorities)
        .bind(&follow.failures)
        .bind(&follow.uncounted)
        .bind(&follow.uncounted_since)
        .bind(by.as_str())
        .bind(drained)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Ends runs, in a transaction of its own, and tells what became of each, in order. A run that has neither a lease nor an end is tried again
/// with a fresh snapshot, twice, before it is refused.
pub async fn settle<E: Borrow<RunEnd>>(
    connection: &mut PgConnection,
    ends: &[E],
    by: EndedBy,
    drained: &[i64],
) -> Result<Vec<Settled>, EngineError> {
    let ends: Vec<&RunEnd> = ends.iter().map(Borrow::borrow).collect();
    let applied = match execute(connection, UNCONTESTED.as_str(), &ends, by, drained).await {
        Err(error) if error.is_lost_race() => finalize(connection, &ends, by, drained).await?,
        other => other?,
    };
    let applied: HashSet<(i64, i64)> = applied.into_iter().collect();
    let mut settled: Vec<Settled> = ends
        .iter()
        .map(|end| if applied.contains(&(end.job_id, end.run_lease)) { Settled::Applied } else { Settled::Refused })
        .collect();
    for again in 0..3 {
        let lost: Vec<usize> = (0..ends.len()).filter(|&n| settled[n] == Settled::Refused).collect();
        if lost.is_empty() {
            break;
        }
        let owners = owners(connection, &ends, &lost, by).await?;
        let mut retry = Vec::new();
        for n in lost {
            match owners.get(&(ends[n].job_id, ends[n].run_lease)) {
                Some(true) => settled[n] = Settled::Duplicate,
                Some(false) => settled[n] = Settled::Superseded,
                None if again < 2 => retry.push(n),
                None => {}
            }
        }
        let batch: Vec<&RunEnd> = retry.iter().map(|&n| ends[n]).collect();
        if !batch.is_empty() {
            let applied: HashSet<(i64, i64)> = finalize(connection, &batch, by, &[]).await?.into_iter().collect();
            for n in retry.into_iter().filter(|&n| applied.contains(&(ends[n].job_id, ends[n].run_lease))) {
                settled[n] = Settled::Applied;
            }
        }
    }
    Ok(settled)
}

/// Of these runs, those that have ended, and whether they ended as we would have it: under the same lease, by the same
/// party, to the same outcome (or cancelled instead, where a request turned it). A rescue and a forced cancel name the
/// lease too, so the lease alone does not tell.
async fn owners(
    connection: &mut PgConnection,
    ends: &[&RunEnd],
    which: &[usize],
    by: EndedBy,
) -> Result<HashMap<(i64, i64), bool>, EngineError> {
    let jobs: Vec<i64> = which.iter().map(|&n| ends[n].job_id).collect();
    let runs: Vec<i64> = which.iter().map(|&n| ends[n].run_lease).collect();
    let leases: Vec<i64> = which.iter().map(|&n| ends[n].lease.lease_id).collect();
    let outcomes: Vec<&str> = which.iter().map(|&n| ends[n].transition.recorded.as_str()).collect();
    let rows = sqlx::query(
        "select a.job_id, a.run_lease, a.lease_id is not distinct from i.lease_id
           and a.ended_by = $5::posthaste.ended_by and a.outcome::text in (i.outcome, 'cancelled')
         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) as i (job_id, run_lease, lease_id, outcome)
         join posthaste.attempt a on a.job_id = i.job_id and a.run_lease = i.run_lease",
    )
    .bind(jobs)
    .bind(runs)
    .bind(leases)
    .bind(outcomes)
    .bind(by.as_str())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

/// The statement's parallel arrays, in two groups.
#[derive(Default)]
struct Columns<'a> {
    run: RunColumns<'a>,
    follow: FollowColumns<'a>,
}

/// One element per run.
#[derive(Default)]
struct RunColumns<'a> {
    job_ids: Vec<i64>,
    run_leases: Vec<i64>,
    lease_ids: Vec<i64>,
    nonces: Vec<Uuid>,
    outcomes: Vec<&'static str>,
    classes: Vec<Option<&'static str>>,
    http_statuses: Vec<Option<i16>>,
    ages_us: Vec<Option<i64>>,
    headers_us: Vec<Option<i32>>,
    bodies_us: Vec<Option<i32>>,
    attempts: Vec<i16>,
    results: Vec<Option<&'a str>>,
    error_codes: Vec<Option<&'a str>>,
    error_messages: Vec<Option<&'a str>>,
}

/// One element per run that goes again or dies: few, where most complete.
#[derive(Default)]
struct FollowColumns<'a> {
    job_ids: Vec<i64>,
    run_leases: Vec<i64>,
    reasons: Vec<Option<&'a str>>,
    delays_ms: Vec<Option<i64>>,
    lanes: Vec<i32>,
    priorities: Vec<i16>,
    failures: Vec<Option<i16>>,
    uncounted: Vec<Option<i16>>,
    uncounted_since: Vec<Option<DateTime<Utc>>>,
}

impl<'a> Columns<'a> {
    fn of<E: Borrow<RunEnd>>(ends: &'a [E]) -> Self {
        // Sorted: every batch takes the fences in one order, so that two batches cannot deadlock.
        let mut sorted: Vec<&RunEnd> = ends.iter().map(Borrow::borrow).collect();
        sorted.sort_unstable_by_key(|end| (end.job_id, end.run_lease));
        let mut columns = Self::default();
        for end in sorted {
            columns.run.push(end);
            columns.follow.push(end);
        }
        columns
    }
}

impl<'a> RunColumns<'a> {
    fn push(&mut self, end: &'a RunEnd) {
        self.job_ids.push(end.job_id);
        self.run_leases.push(end.run_lease);
        self.lease_ids.push(end.lease.lease_id);
        self.nonces.push(end.lease.nonce);
        self.outcomes.push(end.transition.recorded.as_str());
        self.classes.push(end.class);
        self.http_statuses.push(end.http_status);
        self.ages_us.push(end.age_us);
        self.headers_us.push(end.headers_us);
        self.bodies_us.push(end.body_us);
        self.attempts.push(end.attempt);
        self.results.push(end.transition.result.as_deref());
        self.error_codes.push(end.transition.error.as_ref().map(|error| error.code.as_ref()));
        self.error_messages.push(end.transition.error.as_ref().map(|error| error.message.as_str()));
    }
}

impl<'a> FollowColumns<'a> {
    fn push(&mut self, end: &'a RunEnd) {
        let (reason, delay, failures, uncounted) = match &end.transition.next {
            Next::Completed | Next::Cancelled => return,
            Next::Dead { reason } => (Some(reason.as_ref()), None, None, None),
            Next::Again { delay, failures, uncounted, snoozing } => {
                let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                let uncounted = if *snoozing { -small(*uncounted) } else { small(*uncounted) };
                (None, Some(delay), Some(small(*failures)), Some(uncounted))
            }
        };
        self.job_ids.push(end.job_id);
        self.run_leases.push(end.run_lease);
        self.reasons.push(reason);
        self.delays_ms.push(delay);
        self.lanes.push(end.scan.lane_id);
        self.priorities.push(end.scan.priority);
        self.failures.push(failures);
        self.uncounted.push(uncounted);
        self.uncounted_since.push(end.uncounted_since);
    }
}

/// Counts are bounded by 1000; a count that is not is kept at the column's bound.
fn small(count: u32) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_that_expects_to_win_lacks_one_line() {
        let line = "  on conflict do nothing\n";
        assert_eq!(FENCED.matches(line).count(), 1);
        assert_eq!(FENCED.len() - UNCONTESTED.len(), line.len());
        assert!(UNCONTESTED.contains("on conflict on constraint dead_letter_pkey do nothing"));
    }
}

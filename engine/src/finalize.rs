//! Finalize: end runs, each once. Everybody who ends a run comes through here.

mod columns;

use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use chrono::{DateTime, Utc};
use posthaste_protocol::{action::Action, callback::Digest};
use sqlx::{
    PgConnection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use columns::{Columns, FollowColumns, RunColumns};

pub(crate) use columns::small;

use crate::{EngineError, claim::Lease, cut::without, floor::Scan, lifecycle::Transition};

/// Who ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The dispatcher that POSTed it.
    Dispatcher,
    /// Another dispatcher, for one that went silent.
    Rescue,
    /// The sweeps: expiry, cancel requests, time-outs.
    Maintenance,
    /// A callback.
    Callback,
}

impl EndedBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatcher => "dispatcher",
            Self::Rescue => "rescue",
            Self::Maintenance => "maintenance",
            Self::Callback => "callback",
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
    /// The callback that ends it, if one does.
    pub callback: Option<CallbackMark>,
}

/// What recognises a callback that comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackMark {
    /// What it does: one of those that end a run.
    pub action: Action,
    /// Of its action and body.
    pub digest: Digest,
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

/// The statement for runs that a lease or a wait holds. [`HELD`] runs the same, as migration 9 wrapped it.
pub(crate) const ANY: &str = include_str!("sql/finalize.sql");

/// The same as a function that runs as its owner, for callbacks and time-outs: whoever ends runs for others, such as a
/// gateway, need not be allowed to see their jobs. It ends only what a lease or a wait holds.
const HELD: &str = "select * from posthaste.end_held_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
  $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)";

/// The same text for runs that leases hold: it asks and writes nothing of waits. The row in `waiting` of such a run, which
/// its heartbeat may have parked, is hidden by the end and goes with its deadline.
static LEASED: LazyLock<String> = LazyLock::new(|| without(ANY, "waits"));

/// The same text without `on conflict do nothing`, a quarter cheaper and 48 bytes of WAL a run less: the loser of a race
/// fails with its whole batch, which then goes through [`LEASED`].
static UNCONTESTED: LazyLock<String> = LazyLock::new(|| LEASED.replacen("  on conflict do nothing\n", "", 1));

/// Ends runs that leases hold, in one statement. At most one `RunEnd` per run. `drained` names leases whose last runs these
/// are. Returns the runs that this call ended; the others lost, see [`settle`].
pub async fn finalize<E: Borrow<RunEnd>>(
    connection: &mut PgConnection,
    ends: &[E],
    by: EndedBy,
    drained: &[i64],
) -> Result<Vec<(i64, i64)>, EngineError> {
    execute(connection, LEASED.as_str(), ends, by, drained).await
}

/// A run that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub job_id: i64,
    pub run_lease: i64,
    /// As asked, or `cancelled` because somebody asked for that.
    pub outcome: String,
}

/// Ends runs that leases or waits hold, in one statement. At most one `RunEnd` per run. Returns those that this call ended.
pub(crate) async fn finalize_any<E: Borrow<RunEnd>>(
    connection: &mut PgConnection,
    ends: &[E],
    by: EndedBy,
) -> Result<Vec<Ended>, EngineError> {
    let Columns { run, follow } = Columns::of(ends);
    let (actions, digests) = (run.actions.clone(), run.digests.clone());
    let text = if matches!(by, EndedBy::Callback | EndedBy::Maintenance) { HELD } else { ANY };
    let rows = bind(text, &run, &follow, by, &[]).bind(actions).bind(digests).fetch_all(connection).await?;
    let ended = |row: &PgRow| {
        Ok(Ended { job_id: row.try_get(0)?, run_lease: row.try_get(1)?, outcome: row.try_get("outcome")? })
    };
    rows.iter().map(ended).collect()
}

async fn execute<E: Borrow<RunEnd>>(
    connection: &mut PgConnection,
    statement: &'static str,
    ends: &[E],
    by: EndedBy,
    drained: &[i64],
) -> Result<Vec<(i64, i64)>, EngineError> {
    let Columns { run, follow } = Columns::of(ends);
    let rows = bind(statement, &run, &follow, by, drained).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The statement with the values that each of its variants has.
fn bind<'q>(
    statement: &'static str,
    run: &'q RunColumns<'_>,
    follow: &'q FollowColumns<'_>,
    by: EndedBy,
    drained: &'q [i64],
) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(statement)
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
}

/// Ends runs of a dispatcher, in a transaction of its own, and tells what became of each, in order. A run that has neither
/// a lease nor an end is tried again with a fresh snapshot, twice, before it is refused: it may be parked by now.
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
            let ended = finalize_any(connection, &batch, by).await?;
            let applied: HashSet<(i64, i64)> = ended.iter().map(|run| (run.job_id, run.run_lease)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_that_expects_to_win_lacks_one_line() {
        let line = "  on conflict do nothing\n";
        assert_eq!(LEASED.matches(line).count(), 1);
        assert_eq!(LEASED.len() - UNCONTESTED.len(), line.len());
        assert!(UNCONTESTED.contains("on conflict on constraint dead_letter_pkey do nothing"));
    }

    #[test]
    fn the_text_of_a_dispatcher_asks_nothing_of_waits() {
        for text in [LEASED.as_str(), UNCONTESTED.as_str()] {
            assert!(!text.contains("posthaste.waiting") && !text.contains("unnest($26"), "{text}");
            assert!(text.contains("$25") && text.contains("posthaste.lease"), "{text}");
        }
        assert!(ANY.contains("posthaste.waiting") && ANY.contains("$27"));
    }
}

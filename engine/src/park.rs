//! Park: runs whose function answered 202, or gave a sign of life, wait for a callback without a dispatcher.

use std::{collections::HashMap, sync::LazyLock};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::{EngineError, cut::without, finalize::small, held::HeldRun, lifecycle::wait::WaitTimes, sweep::millis};

const PARK: &str = include_str!("sql/park.sql");
/// The same text for who has no leases to delete, such as a gateway, which may not.
static UNDRAINED: LazyLock<String> = LazyLock::new(|| without(PARK, "drained"));

/// One run to park.
#[derive(Debug, Clone)]
pub struct Park {
    /// The run, with the answer that parks it: no `http_status` means that none was seen.
    pub run: HeldRun,
    /// How long it may take.
    pub times: WaitTimes,
}

/// What became of a park.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// The run waits, durably. One that waited before, without an answer to add, keeps its deadline.
    Waits {
        /// Until then there must be a sign of life.
        deadline: DateTime<Utc>,
    },
    /// The run has ended: a callback came first, or somebody else ended it. Nothing is left to do.
    Ended,
    /// Neither the lease, nor a wait, nor an end of the run exists.
    Refused,
}

/// Parks runs in one statement; tells what became of each, in order. At most one per job. `drained` names leases whose
/// last runs these are. A run that neither lease nor wait holds is tried again with a fresh snapshot, twice: a
/// rescue may have parked it while this one waited for the lease.
pub async fn park(connection: &mut PgConnection, parks: &[Park], drained: &[i64]) -> Result<Vec<Parked>, EngineError> {
    let mut settled = vec![Parked::Refused; parks.len()];
    for turn in 0..3 {
        let mut open: Vec<usize> = (0..parks.len()).filter(|&n| settled[n] == Parked::Refused).collect();
        // Leases are deleted though nothing of theirs is left to park.
        if open.is_empty() && (turn > 0 || drained.is_empty()) {
            break;
        }
        // Sorted: two batches that meet take their rows in one order.
        open.sort_unstable_by_key(|&n| parks[n].run.run.job_id);
        let batch: Vec<&Park> = open.iter().map(|&n| &parks[n]).collect();
        let told = execute(connection, &batch, if turn == 0 { drained } else { &[] }).await?;
        for n in open {
            if let Some(parked) = told.get(&parks[n].run.run.job_id) {
                settled[n] = *parked;
            }
        }
    }
    Ok(settled)
}

/// Runs the statement; jobs that it did not park are `Refused`.
async fn execute(
    connection: &mut PgConnection,
    parks: &[&Park],
    drained: &[i64],
) -> Result<HashMap<i64, Parked>, EngineError> {
    let columns = Columns::of(parks);
    let text = if drained.is_empty() { UNDRAINED.as_str() } else { PARK };
    let mut query = sqlx::query(text)
        .bind(columns.job_ids)
        .bind(columns.run_leases)
        .bind(columns.lease_ids)
        .bind(columns.nonces)
        .bind(columns.lanes)
        .bind(columns.priorities)
        .bind(columns.failures)
        .bind(columns.uncounted)
        .bind(columns.uncounted_since)
        .bind(columns.callback_ms)
        .bind(columns.heartbeat_ms)
        .bind(columns.max_run_ms)
        .bind(columns.http_statuses)
        .bind(columns.ages_us)
        .bind(columns.headers_us)
        .bind(columns.bodies_us);
    if !drained.is_empty() {
        query = query.bind(drained);
    }
    let rows = query.fetch_all(connection).await?;
    let told = rows.iter().map(|row| {
        let deadline: Option<DateTime<Utc>> = row.try_get("deadline_at")?;
        let parked = match deadline {
            _ if row.try_get("ended")? => Parked::Ended,
            Some(deadline) => Parked::Waits { deadline },
            None => Parked::Refused,
        };
        Ok((row.try_get("job_id")?, parked))
    });
    told.collect()
}

/// The statement's parallel arrays.
#[derive(Default)]
struct Columns {
    job_ids: Vec<i64>,
    run_leases: Vec<i64>,
    lease_ids: Vec<i64>,
    nonces: Vec<Uuid>,
    lanes: Vec<i32>,
    priorities: Vec<i16>,
    failures: Vec<i16>,
    uncounted: Vec<i16>,
    uncounted_since: Vec<Option<DateTime<Utc>>>,
    callback_ms: Vec<i64>,
    heartbeat_ms: Vec<Option<i64>>,
    max_run_ms: Vec<i64>,
    http_statuses: Vec<Option<i16>>,
    ages_us: Vec<Option<i64>>,
    headers_us: Vec<Option<i32>>,
    bodies_us: Vec<Option<i32>>,
}

impl Columns {
    fn of(parks: &[&Park]) -> Self {
        let mut columns = Self::default();
        for park in parks {
            columns.push(park);
        }
        columns
    }

    fn push(&mut self, Park { run: held, times }: &Park) {
        let uncounted = small(held.spent.uncounted);
        self.job_ids.push(held.run.job_id);
        self.run_leases.push(held.run.run_lease);
        self.lease_ids.push(held.run.lease.lease_id);
        self.nonces.push(held.run.lease.nonce);
        self.lanes.push(held.scan.lane_id);
        self.priorities.push(held.scan.priority);
        self.failures.push(small(held.spent.failures));
        self.uncounted.push(if held.spent.snoozing { -uncounted } else { uncounted });
        self.uncounted_since.push(held.uncounted_since);
        self.callback_ms.push(millis(times.callback));
        self.heartbeat_ms.push(times.heartbeat.map(millis));
        self.max_run_ms.push(millis(times.max_run));
        self.http_statuses.push(held.http_status);
        self.ages_us.push(held.age_us);
        self.headers_us.push(held.headers_us);
        self.bodies_us.push(held.body_us);
    }
}

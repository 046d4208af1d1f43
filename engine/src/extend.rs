//! Extend: a function's heartbeat moves the deadline of its run, and parks the run if nothing has yet.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};

use crate::{EngineError, held::RunRef, lifecycle::wait::WaitTimes, sweep::millis};

/// One sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    /// The run that its token names.
    pub run: RunRef,
    /// The deadline becomes so much from now; `None`: the same time-out again.
    pub extend: Option<Duration>,
    /// What the endpoint gives, for a run that nobody has parked yet, and whose job says nothing else.
    pub times: WaitTimes,
}

/// What a heartbeat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alive {
    /// Until then the function must call again.
    pub deadline: DateTime<Utc>,
    /// The function is asked to end.
    pub cancel_requested: bool,
}

/// Moves the deadlines of these runs; tells them, in order. At most one per job. `None` for a run that does not go on: ask
/// [`crate::callback::lost`] why. A run that a lease holds is parked first; its dispatcher's 202 then keeps the further
/// deadline.
pub async fn extend(
    connection: &mut PgConnection,
    heartbeats: &[Heartbeat],
) -> Result<Vec<Option<Alive>>, EngineError> {
    let mut told = vec![None; heartbeats.len()];
    let mut parked = true;
    for _ in 0..3 {
        let mut open: Vec<usize> = (0..heartbeats.len()).filter(|&n| told[n].is_none()).collect();
        open.sort_unstable_by_key(|&n| heartbeats[n].run.job_id);
        let batch: Vec<&Heartbeat> = open.iter().map(|&n| &heartbeats[n]).collect();
        if batch.is_empty() {
            break;
        }
        let moved = execute(connection, &batch).await?;
        for &n in &open {
            told[n] = moved.get(&heartbeats[n].run.job_id).copied();
        }
        open.retain(|&n| told[n].is_none());
        // Nothing parked: a 202 or a rescue may have been faster, which one more look saw.
        if open.is_empty() || !parked {
            break;
        }
        let missing: Vec<&Heartbeat> = open.iter().map(|&n| &heartbeats[n]).collect();
        parked = park_first(connection, &missing).await?;
    }
    Ok(told)
}

async fn execute(connection: &mut PgConnection, heartbeats: &[&Heartbeat]) -> Result<HashMap<i64, Alive>, EngineError> {
    let rows = sqlx::query(include_str!("sql/extend.sql"))
        .bind(heartbeats.iter().map(|beat| beat.run.job_id).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.run.run_lease).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.run.lease.lease_id).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.run.lease.nonce).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.extend.map(millis)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let moved = rows.iter().map(|row| {
        let alive = Alive { deadline: row.try_get("deadline_at")?, cancel_requested: row.try_get("cancel_requested")? };
        Ok((row.try_get("job_id")?, alive))
    });
    moved.collect()
}

/// Parks those of these runs that a lease holds, and that go on; `false` when there are none. Sorted by job.
async fn park_first(connection: &mut PgConnection, heartbeats: &[&Heartbeat]) -> Result<bool, EngineError> {
    let parked: i64 = sqlx::query_scalar("select posthaste.park_held_v1($1, $2, $3, $4, $5, $6, $7)")
        .bind(heartbeats.iter().map(|beat| beat.run.job_id).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.run.run_lease).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.run.lease.lease_id).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.run.lease.nonce).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| millis(beat.times.callback)).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| beat.times.heartbeat.map(millis)).collect::<Vec<_>>())
        .bind(heartbeats.iter().map(|beat| millis(beat.times.max_run)).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    Ok(parked > 0)
}

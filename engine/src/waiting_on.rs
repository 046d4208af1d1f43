//! Waiting on: what a gateway asks of a run before it judges what came for it. Locks nothing.

use std::collections::HashMap;

use posthaste_protocol::{callback::Digest, id::JobId};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{EngineError, held::RunRef};

/// A run that goes on, its job, and the callbacks that it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingOn {
    /// The job.
    pub job_id: JobId,
    /// Its kind.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// The endpoint that takes it; `None` where there is none any more.
    pub endpoint: Option<String>,
    /// The number of this attempt, 1-based.
    pub attempt: i16,
    /// 1–1000.
    pub max_attempts: i16,
    /// A JSON object, as text.
    pub metadata: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// The expressions of the job's own `callback`: the JSON of a [`posthaste_protocol::cel::CelSpec`].
    pub cel: Option<String>,
    /// Where the run is.
    pub stage: Stage,
    /// The callback waits that nothing has met, in the order given; none unless the run is suspended.
    pub waits: Vec<OpenWait>,
    /// The digests of what met its other callback waits.
    pub met: Vec<Digest>,
}

/// Where a run is that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A dispatcher has it.
    Running,
    /// Its function answered 202, or gave a sign of life, and will call back.
    Parked,
    /// Its function waits, and will be POSTed again.
    Suspended,
}

/// A callback wait that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWait {
    /// Its name.
    pub name: String,
    /// The expressions that the function gave it: the JSON of a [`posthaste_protocol::cel::CelSpec`].
    pub cel: Option<String>,
    /// The signature that the function asks of webhooks: the JSON of a [`posthaste_protocol::inbound::InboundSignature`],
    /// whose secrets are references.
    pub signature: Option<String>,
}

/// What is known of these runs, in order; `None` for a run that does not go on, or whose nonce is another.
pub async fn look_up(connection: &mut PgConnection, runs: &[RunRef]) -> Result<Vec<Option<WaitingOn>>, EngineError> {
    let rows = sqlx::query(include_str!("sql/waiting_on.sql"))
        .bind(runs.iter().map(|run| run.job_id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.run_lease).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.lease.lease_id).collect::<Vec<_>>())
        .bind(runs.iter().map(|run| run.lease.nonce).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        found.insert(row.try_get::<i64, _>("n")?, read(row)?);
    }
    Ok((1..).zip(runs).map(|(n, _)| found.remove(&n)).collect())
}

fn read(row: &PgRow) -> Result<WaitingOn, EngineError> {
    let stage = match (row.try_get("parked")?, row.try_get("suspended")?) {
        (_, true) => Stage::Suspended,
        (true, false) => Stage::Parked,
        (false, false) => Stage::Running,
    };
    let names: Vec<String> = row.try_get("names")?;
    let cels: Vec<Option<String>> = row.try_get("cels")?;
    let signatures: Vec<Option<String>> = row.try_get("signatures")?;
    let met: Vec<Vec<u8>> = row.try_get("met")?;
    let waits = names.into_iter().zip(cels).zip(signatures);
    let waits = waits.map(|((name, cel), signature)| OpenWait { name, cel, signature });
    Ok(WaitingOn {
        job_id: JobId(row.try_get("job_id")?),
        kind: row.try_get("kind")?,
        queue: row.try_get("queue")?,
        endpoint: row.try_get("endpoint")?,
        attempt: row.try_get("attempt")?,
        max_attempts: row.try_get("max_attempts")?,
        metadata: row.try_get("metadata")?,
        tags: row.try_get("tags")?,
        cel: row.try_get("job_cel")?,
        stage,
        waits: waits.collect(),
        met: met.into_iter().filter_map(|digest| digest.try_into().ok()).collect(),
    })
}

//! Standing: where a job is, for what names a job and none of its runs.

use posthaste_protocol::{callback::Digest, job::State};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{EngineError, claim::Lease, held::RunRef};

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// This run of it goes on.
    Runs(RunRef),
    /// It goes on, and no run of it does just now.
    Between,
    /// It has ended, or nobody knows it.
    Over,
    /// What came ended one of its runs before, or met one of their waits.
    Applied {
        /// The job now.
        state: State,
    },
}

impl RunRef {
    /// No run: whichever run this job has.
    pub const fn whichever(job_id: i64) -> Self {
        Self { lease: Lease { lease_id: 0, nonce: Uuid::nil() }, job_id, run_lease: 0 }
    }

    /// It is [`RunRef::whichever`].
    pub const fn is_whichever(&self) -> bool {
        self.run_lease == 0
    }
}

/// Where these jobs are, in order, for what came for each of them.
pub async fn standing(connection: &mut PgConnection, came: &[(i64, Digest)]) -> Result<Vec<Standing>, EngineError> {
    let rows = sqlx::query(include_str!("sql/standing.sql"))
        .bind(came.iter().map(|(job, _)| *job).collect::<Vec<_>>())
        .bind(came.iter().map(|(_, digest)| digest.as_slice()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    rows.iter().zip(came).map(|(row, (job, _))| read(row, *job)).collect()
}

fn read(row: &PgRow, job_id: i64) -> Result<Standing, EngineError> {
    let Some(state) = row.try_get::<Option<&str>, _>("state")? else { return Ok(Standing::Over) };
    let state: State = state.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    if row.try_get("applied")? {
        return Ok(Standing::Applied { state });
    }
    if let Some(run_lease) = row.try_get::<Option<i64>, _>("run_lease")? {
        let lease = Lease { lease_id: row.try_get("lease_id")?, nonce: row.try_get("nonce")? };
        return Ok(Standing::Runs(RunRef { lease, job_id, run_lease }));
    }
    Ok(if state.is_terminal() { Standing::Over } else { Standing::Between })
}

//! Enqueue: the SQL contract, called for REST and the command line.

use posthaste_protocol::{new_job::NewJob, problem::FieldError};
use sqlx::{PgConnection, Row};

use crate::{EngineError, filter};

/// What became of one job of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Enqueued {
    /// Written, and committed with the batch.
    Job {
        /// Its id.
        id: i64,
        /// `available` or `scheduled`.
        state: String,
    },
    /// Left out.
    Faults(Vec<FieldError>),
}

/// Checks what the types of a job do not show: that the expressions of its callback compile. The fields are those of
/// the job, such as `callback.cel.filter`.
pub fn check(job: &NewJob) -> Result<(), Vec<FieldError>> {
    match job.callback.as_ref().and_then(|callback| callback.cel.as_ref()) {
        Some(cel) => {
            filter::check(cel).map_err(|faults| faults.into_iter().map(|fault| fault.within("callback.cel")).collect())
        }
        None => Ok(()),
    }
}

/// Enqueues a JSON array of jobs whose types have been checked, in one statement and one commit. The jobs with
/// faults are left out, the answers come in the order given.
pub async fn enqueue_batch(connection: &mut PgConnection, jobs: &str) -> Result<Vec<Enqueued>, EngineError> {
    let rows = sqlx::query("select id, state, error::text from posthaste.enqueue_json_v1($1::text::json)")
        .bind(jobs)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            if let Some(id) = row.try_get(0)? {
                return Ok(Enqueued::Job { id, state: row.try_get(1)? });
            }
            let faults: String = row.try_get(2)?;
            Ok(Enqueued::Faults(serde_json::from_str(&faults).unwrap_or_default()))
        })
        .collect()
}

//! Progress: what a function reports of its run while it goes on. Kept over retries, for people and for the next attempt.

use std::collections::HashMap;

use posthaste_protocol::callback::{MAX_PROGRESS_METADATA_BYTES, Progress};
use sqlx::{PgConnection, Row};

use crate::{EngineError, held::RunRef};

/// The most bytes that the metadata of a job's progress grows to, report by report.
const MAX_METADATA_BYTES: usize = 2 * MAX_PROGRESS_METADATA_BYTES;

/// What a report is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// Kept.
    Kept {
        /// The run is parked; else it is running.
        waits: bool,
        /// The function is asked to end.
        cancel_requested: bool,
    },
    /// Together with what was reported before, its metadata is too large: nothing of it was kept.
    TooLarge,
    /// The run does not go on: ask [`crate::callback::lost`] why.
    Over,
}

/// Keeps these reports; tells what became of each, in order. At most one per job.
pub async fn report(
    connection: &mut PgConnection,
    reports: &[(RunRef, Progress)],
) -> Result<Vec<Reported>, EngineError> {
    let mut sorted: Vec<&(RunRef, Progress)> = reports.iter().collect();
    sorted.sort_unstable_by_key(|(run, _)| run.job_id);
    let metadata = sorted.iter().map(|(_, progress)| progress.metadata.as_ref().map(|json| json.get()));
    let rows = sqlx::query(include_str!("sql/progress.sql"))
        .bind(sorted.iter().map(|(run, _)| run.job_id).collect::<Vec<_>>())
        .bind(sorted.iter().map(|(run, _)| run.run_lease).collect::<Vec<_>>())
        .bind(sorted.iter().map(|(run, _)| run.lease.lease_id).collect::<Vec<_>>())
        .bind(sorted.iter().map(|(run, _)| run.lease.nonce).collect::<Vec<_>>())
        .bind(sorted.iter().map(|(_, progress)| progress.percent).collect::<Vec<_>>())
        .bind(sorted.iter().map(|(_, progress)| progress.message.as_deref()).collect::<Vec<_>>())
        .bind(metadata.collect::<Vec<_>>())
        .bind(i32::try_from(MAX_METADATA_BYTES).unwrap_or(i32::MAX))
        .fetch_all(connection)
        .await?;
    let told = rows.iter().map(|row| {
        let kept = Reported::Kept { waits: row.try_get("waits")?, cancel_requested: row.try_get("cancel_requested")? };
        Ok((row.try_get("job_id")?, if row.try_get("kept")? { kept } else { Reported::TooLarge }))
    });
    let told: HashMap<i64, Reported> = told.collect::<Result<_, EngineError>>()?;
    Ok(reports.iter().map(|(run, _)| told.get(&run.job_id).copied().unwrap_or(Reported::Over)).collect())
}

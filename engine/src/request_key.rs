//! Request keys: an enqueue that can be sent again. The key is written in the enqueue's own commit.

use posthaste_protocol::{
    id::JobId,
    job::{JobRef, State},
    problem::FieldError,
};
use sqlx::{PgConnection, Row};

use crate::EngineError;

/// What became of an enqueue under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once {
    /// Written and committed, with its key.
    New(JobRef),
    /// The same request came before: its job, as it now is.
    Replayed(JobRef),
    /// The same request came before, and its job is past retention.
    Forgotten(JobId),
    /// The key came before with another request.
    Mismatch,
    /// Left out; the key is free again.
    Faults(Vec<FieldError>),
}

/// Enqueues one job (JSON, types checked) unless its key was used. Of requests at the same time, one enqueues and
/// the others wait for its commit.
pub async fn enqueue_once(
    connection: &mut PgConnection,
    job: &str,
    key: &str,
    fingerprint: &[u8; 32],
) -> Result<Once, EngineError> {
    let row = sqlx::query(include_str!("sql/enqueue_once.sql"))
        .bind(job)
        .bind(key)
        .bind(fingerprint.as_slice())
        .fetch_one(connection)
        .await?;
    let word: &str = row.try_get("word")?;
    match (word, row.try_get::<Option<i64>, _>("id")?) {
        ("mismatch", _) => Ok(Once::Mismatch),
        ("forgotten", Some(id)) => Ok(Once::Forgotten(JobId(id))),
        (_, Some(id)) => {
            let state: State = row
                .try_get::<&str, _>("state")?
                .parse()
                .map_err(|error| EngineError::Database(sqlx::Error::Decode(Box::new(error))))?;
            let job = JobRef { id: JobId(id), state };
            Ok(if word == "new" { Once::New(job) } else { Once::Replayed(job) })
        }
        (_, None) => {
            let faults: Option<&str> = row.try_get("error")?;
            Ok(Once::Faults(faults.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()))
        }
    }
}

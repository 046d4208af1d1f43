//! Cancel: the SQL contract, called for REST and the command line.

use posthaste_protocol::{id::JobId, job::State};
use sqlx::PgConnection;

use crate::EngineError;

/// Cancels a job: at once when nobody has it; a running or waiting one is asked to stop, unless `force`. Returns the state
/// after: `cancelled`, `running` or `waiting` (asked), or the one in which it had ended before.
pub async fn cancel(
    connection: &mut PgConnection,
    id: JobId,
    reason: Option<&str>,
    force: bool,
) -> Result<State, EngineError> {
    let state: String = sqlx::query_scalar(include_str!("sql/cancel.sql"))
        .bind(id.0)
        .bind(reason)
        .bind(force)
        .fetch_one(connection)
        .await?;
    state.parse().map_err(|error| EngineError::Database(sqlx::Error::Decode(Box::new(error))))
}

//! The fleet: dispatchers register, beat and leave. Liveness is one row a process.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::EngineError;

/// A dispatcher's heartbeat as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Whose.
    pub dispatcher_id: i64,
    /// `None` when the dispatcher has no row but leases of it remain.
    pub beat: Option<i64>,
}

/// Registers a dispatcher and returns its number, and who this installation is.
pub async fn register(connection: &mut PgConnection, host: &str, version: &str) -> Result<(i64, Uuid), EngineError> {
    let row = sqlx::query(
        "insert into posthaste.dispatcher (host, version) values ($1, $2)
         returning dispatcher_id, (select installation_id from posthaste.installation)",
    )
    .bind(host)
    .bind(version)
    .fetch_one(connection)
    .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Beats once. `state` is JSON for people; `host` and `version` are those of [`register`].
pub async fn beat(
    connection: &mut PgConnection,
    dispatcher_id: i64,
    state: &str,
    host: &str,
    version: &str,
) -> Result<(), EngineError> {
    sqlx::query(include_str!("sql/heartbeat.sql"))
        .bind(dispatcher_id)
        .bind(state)
        .bind(host)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Leaves the fleet. The row stays while leases of it remain, so that a rescue finds them.
pub async fn leave(connection: &mut PgConnection, dispatcher_id: i64) -> Result<(), EngineError> {
    sqlx::query(
        "delete from posthaste.dispatcher d where d.dispatcher_id = $1
         and not exists (select from posthaste.lease l where l.dispatcher_id = d.dispatcher_id)",
    )
    .bind(dispatcher_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Every dispatcher that beats or holds leases.
pub async fn beats(connection: &mut PgConnection) -> Result<Vec<Beat>, EngineError> {
    let rows = sqlx::query(
        "select dispatcher_id, d.beat
         from posthaste.dispatcher d
         full join (select distinct l.dispatcher_id from posthaste.lease l) h using (dispatcher_id)",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(Beat { dispatcher_id: row.try_get(0)?, beat: row.try_get(1)? })).collect()
}

//! Sleep: how an idle dispatcher tells producers to wake it.
//!
//! An enqueue tries the shared lock and sends NOTIFY only when it cannot have it, because a commit with NOTIFY takes a
//! global lock. A dispatcher that sleeps holds the exclusive lock; while it waits for it, producers notify already.

use sqlx::PgConnection;

use crate::EngineError;

/// Takes the sleeper's lock; waits for the producers that are in the middle of a transaction.
pub async fn fall_asleep(connection: &mut PgConnection) -> Result<(), EngineError> {
    sqlx::query("select pg_advisory_lock(28776, 1)").execute(connection).await?;
    Ok(())
}

/// Lets the sleeper's lock go.
pub async fn wake_up(connection: &mut PgConnection) -> Result<(), EngineError> {
    sqlx::query("select pg_advisory_unlock(28776, 1)").execute(connection).await?;
    Ok(())
}

/// Asks whether the connection, and with it the lock, still lives.
pub async fn still_there(connection: &mut PgConnection) -> Result<(), EngineError> {
    sqlx::query("select").execute(connection).await?;
    Ok(())
}

//! Lanes: the small integers for (queue, kind, named endpoint).

use sqlx::{PgConnection, Row};

use crate::EngineError;

/// One lane; the words behind its number never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its number.
    pub lane_id: i32,
    /// The jobs' queue.
    pub queue: String,
    /// The jobs' kind.
    pub kind: String,
    /// The endpoint the jobs name; without one, the kind decides.
    pub endpoint: Option<String>,
}

/// All lanes, by number.
pub async fn lanes(connection: &mut PgConnection) -> Result<Vec<Lane>, EngineError> {
    lanes_from(connection, i32::MIN).await
}

/// The lanes from this number on, by number.
pub async fn lanes_from(connection: &mut PgConnection, from: i32) -> Result<Vec<Lane>, EngineError> {
    let lanes = "select lane_id, queue, kind, endpoint from posthaste.lane where lane_id >= $1 order by lane_id";
    let rows = sqlx::query(lanes).bind(from).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Lane {
                lane_id: row.try_get(0)?,
                queue: row.try_get(1)?,
                kind: row.try_get(2)?,
                endpoint: row.try_get(3)?,
            })
        })
        .collect()
}

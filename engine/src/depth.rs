//! How deep the queues are and how long their oldest run has waited, counted within bounds for metrics.

use sqlx::{PgConnection, Row};

use crate::EngineError;

/// The most runs counted in one lane: a deeper one shows as this many.
pub const LANE_CAP: i64 = 100_000;
/// The most runs counted in all.
const TOTAL_CAP: i64 = 1_000_000;

/// One queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Depth {
    /// Its name.
    pub queue: String,
    /// Runs that may start now, as far as they were counted.
    pub available: i64,
    /// Those of them that no endpoint takes, or a paused one.
    pub stranded: i64,
    /// Seconds since the run was due that is first in line of those that an endpoint takes.
    pub lag_s: f64,
}

/// The depth of the deepest 100 queues, empty ones included.
pub async fn depth(connection: &mut PgConnection) -> Result<Vec<Depth>, EngineError> {
    let rows = sqlx::query(include_str!("sql/depth.sql")).bind(LANE_CAP).bind(TOTAL_CAP).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            Ok(Depth {
                queue: row.try_get(0)?,
                available: row.try_get(1)?,
                stranded: row.try_get(2)?,
                lag_s: row.try_get(3)?,
            })
        })
        .collect()
}

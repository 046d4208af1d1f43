//! Probe: which lanes have something to claim. What an idle dispatcher asks, once a poll.

use sqlx::PgConnection;

use crate::{
    EngineError,
    floor::{Floors, Scan},
};

/// The lanes among `scans` that have a run which may start now.
pub async fn probe(connection: &mut PgConnection, scans: &[Scan], floors: &Floors) -> Result<Vec<i32>, EngineError> {
    let (lanes, priorities): (Vec<i32>, Vec<i16>) = scans.iter().map(|scan| (scan.lane_id, scan.priority)).unzip();
    let levels: Vec<i64> = scans.iter().map(|scan| floors.floor(*scan)).collect();
    Ok(sqlx::query_scalar(include_str!("sql/probe.sql"))
        .bind(lanes)
        .bind(priorities)
        .bind(levels)
        .fetch_all(connection)
        .await?)
}

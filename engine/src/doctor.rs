//! Doctor: facts about a database that decide whether Posthaste can keep its promises there. Changes nothing.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use crate::EngineError;

/// The most jobs counted of one kind in one queue.
pub const STRANDED_CAP: i64 = 10_000;

/// The server and its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// As it names itself: `15.18 (Debian …)`.
    pub version: String,
    /// 150018.
    pub version_num: i32,
    /// Off: a crash of the machine loses what was acknowledged.
    pub fsync: bool,
    /// Off: a crash of the machine can tear pages.
    pub full_page_writes: bool,
    /// As this connection has it.
    pub synchronous_commit: String,
    /// Read only.
    pub standby: bool,
    /// How full the queue of notifications is, from 0 to 1.
    pub notification_usage: f64,
}

/// Something that holds the vacuum horizon back.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// `transaction`, `prepared` or `slot`.
    pub holder: String,
    /// Application and pid, gid, or the slot's name.
    pub name: String,
    /// For how long; `None` for slots, which have no begin.
    pub seconds: Option<f64>,
    /// How many transactions began since.
    pub xids: i64,
    /// Whether somebody uses it now.
    pub active: bool,
}

/// Dispatchers, and the room ahead of the job ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fleet {
    /// Dispatchers that beat within 15 s.
    pub alive: i64,
    /// Dispatchers that did not, and hold runs or did until five minutes ago.
    pub silent: i64,
    /// Claim batches of dispatchers that are gone; a rescue takes them.
    pub orphaned_leases: i64,
    /// Ranges that no job has entered yet.
    pub ranges_ahead: i64,
    /// All ranges.
    pub ranges: i64,
}

/// A kind whose jobs no endpoint takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranded {
    /// The kind.
    pub kind: String,
    /// The endpoint that the jobs name, which does not exist.
    pub endpoint: Option<String>,
    /// How many may start now; from [`STRANDED_CAP`] on, at least so many.
    pub jobs: i64,
}

/// The settings of the server.
pub async fn server(connection: &mut PgConnection) -> Result<Server, EngineError> {
    let row = sqlx::query(include_str!("sql/doctor_server.sql")).fetch_one(connection).await?;
    Ok(Server {
        version: row.try_get("version")?,
        version_num: row.try_get("version_num")?,
        fsync: row.try_get("fsync")?,
        full_page_writes: row.try_get("full_page_writes")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        standby: row.try_get("standby")?,
        notification_usage: row.try_get("notification_usage")?,
    })
}

impl FromRow<'_, PgRow> for Holder {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            holder: row.try_get("holder")?,
            name: row.try_get("name")?,
            seconds: row.try_get("seconds")?,
            xids: row.try_get("xids")?,
            active: row.try_get("active")?,
        })
    }
}

/// What holds the vacuum horizon, longest first, at most 20. Other users' transactions need `pg_monitor` to be seen.
pub async fn holders(connection: &mut PgConnection) -> Result<Vec<Holder>, EngineError> {
    Ok(sqlx::query_as(include_str!("sql/doctor_long.sql")).fetch_all(connection).await?)
}

/// Jobs among the newest 100,000 ids that are nowhere, at most 100 of them. Always none.
pub async fn nowhere(connection: &mut PgConnection) -> Result<Vec<i64>, EngineError> {
    Ok(sqlx::query_scalar(include_str!("sql/doctor_nowhere.sql")).fetch_all(connection).await?)
}

/// Kinds that no endpoint takes, at most 20, those with the most jobs first.
pub async fn stranded(connection: &mut PgConnection) -> Result<Vec<Stranded>, EngineError> {
    let rows = sqlx::query(include_str!("sql/doctor_stranded.sql")).bind(STRANDED_CAP).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(Stranded { kind: row.try_get(0)?, endpoint: row.try_get(1)?, jobs: row.try_get(2)? }))
        .collect()
}

/// The dispatchers and the ranges.
pub async fn fleet(connection: &mut PgConnection) -> Result<Fleet, EngineError> {
    let row = sqlx::query(include_str!("sql/doctor_fleet.sql")).fetch_one(connection).await?;
    Ok(Fleet {
        alive: row.try_get("alive")?,
        silent: row.try_get("silent")?,
        orphaned_leases: row.try_get("orphaned_leases")?,
        ranges_ahead: row.try_get("ranges_ahead")?,
        ranges: row.try_get("ranges")?,
    })
}

/// The database's clock, now.
pub async fn clock(connection: &mut PgConnection) -> Result<DateTime<Utc>, EngineError> {
    Ok(sqlx::query_scalar("select clock_timestamp()").fetch_one(connection).await?)
}

/// The server process behind this connection. Unprepared, so that any pooler passes it on.
pub async fn backend(connection: &mut PgConnection) -> Result<i32, EngineError> {
    let row = sqlx::raw_sql("select pg_backend_pid()").fetch_one(connection).await?;
    Ok(row.try_get(0)?)
}

/// Whether `connection` keeps its server process while `other` is busy: behind a pooler that shares connections by
/// transaction it does not, and then neither LISTEN nor session settings hold.
pub async fn keeps_session(connection: &mut PgConnection, other: &mut PgConnection) -> Result<bool, EngineError> {
    let before = backend(connection).await?;
    sqlx::raw_sql("begin").execute(&mut *other).await?;
    // An idle pooler hands out the process that was given back last: `before`, which `other` now occupies.
    let occupied = backend(other).await;
    let after = backend(connection).await;
    sqlx::raw_sql("rollback").execute(other).await?;
    Ok(occupied? != before && before == after?)
}

/// Sends a notification on `channel` with `token`.
pub async fn notify(connection: &mut PgConnection, channel: &str, token: &str) -> Result<(), EngineError> {
    sqlx::query("select pg_notify($1, $2)").bind(channel).bind(token).execute(connection).await?;
    Ok(())
}

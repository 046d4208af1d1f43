//! Deliveries: the log of what came to the gateways, beyond the callbacks that simply ended their runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use crate::{EngineError, sweep::millis};

/// The most deliveries that are kept.
const KEPT: i64 = 100_000;
/// How many a trim forgets at a time.
const TRIM_MAX: i64 = 5_000;

/// How something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// By a callback token.
    Callback,
    /// To a hook URL.
    Hook,
    /// To a named source.
    Source,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// Done.
    Applied,
    /// Done before.
    Duplicate,
    /// The filter said no, or nobody waits.
    Ignored,
    /// Kept until its wait is known.
    Buffered,
    /// Kept until its filter is mended.
    Quarantined,
    /// Refused.
    Rejected,
}

impl Via {
    /// The word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Hook => "hook",
            Self::Source => "source",
        }
    }
}

impl DeliveryVerdict {
    /// Every word.
    pub const WORDS: &'static [&'static str] =
        &["applied", "duplicate", "ignored", "buffered", "quarantined", "rejected"];

    /// The word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Buffered => "buffered",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
        }
    }
}

/// One delivery to be logged.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How long ago it came.
    pub ago: Duration,
    /// The job, if one was found.
    pub job_id: Option<i64>,
    /// The run, if the sender named one.
    pub run_lease: Option<i64>,
    /// What was kept of it in the inbox.
    pub inbox_id: Option<i64>,
    /// Of its body.
    pub bytes: usize,
    /// How it came.
    pub via: Via,
    /// What became of it.
    pub verdict: DeliveryVerdict,
    /// What it asked for.
    pub action: Option<&'static str>,
    /// Why, in a word or a sentence: cleaned.
    pub reason: Option<String>,
    /// The source's name.
    pub source: Option<String>,
}

/// One delivery as logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its number.
    pub delivery_id: i64,
    /// When it came.
    pub at: DateTime<Utc>,
    /// As in [`Delivery`].
    pub job_id: Option<i64>,
    /// As in [`Delivery`].
    pub run_lease: Option<i64>,
    /// As in [`Delivery`].
    pub inbox_id: Option<i64>,
    /// As in [`Delivery`].
    pub bytes: i32,
    /// As in [`Delivery`].
    pub via: String,
    /// As in [`Delivery`].
    pub verdict: String,
    /// As in [`Delivery`].
    pub action: Option<String>,
    /// As in [`Delivery`].
    pub reason: Option<String>,
    /// As in [`Delivery`].
    pub source: Option<String>,
    /// What was kept of it is still there: to be judged later, or in quarantine.
    pub kept: bool,
}

impl FromRow<'_, PgRow> for Logged {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            delivery_id: row.try_get("delivery_id")?,
            at: row.try_get("at")?,
            job_id: row.try_get("job_id")?,
            run_lease: row.try_get("run_lease")?,
            inbox_id: row.try_get("inbox_id")?,
            bytes: row.try_get("bytes")?,
            via: row.try_get("via")?,
            verdict: row.try_get("verdict")?,
            action: row.try_get("action")?,
            reason: row.try_get("reason")?,
            source: row.try_get("source")?,
            kept: row.try_get("kept")?,
        })
    }
}

/// Logs these.
pub async fn log(connection: &mut PgConnection, deliveries: &[Delivery]) -> Result<(), EngineError> {
    sqlx::query(include_str!("sql/log_deliveries.sql"))
        .bind(deliveries.iter().map(|one| millis(one.ago)).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.job_id).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.run_lease).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.inbox_id).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| i32::try_from(one.bytes).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.via.as_str()).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.verdict.as_str()).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.action).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.reason.as_deref()).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|one| one.source.as_deref()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets what is too old or too much, all of it: whoever logs more than another trims also trims more.
pub async fn trim(connection: &mut PgConnection) -> Result<(), EngineError> {
    loop {
        let trimmed = sqlx::query(include_str!("sql/trim_deliveries.sql"))
            .bind(KEPT)
            .bind(TRIM_MAX)
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if trimmed < TRIM_MAX.unsigned_abs() {
            return Ok(());
        }
    }
}

/// Which deliveries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which<'w> {
    /// Those of this job.
    pub job_id: Option<i64>,
    /// Those with this verdict, one of [`DeliveryVerdict::WORDS`].
    pub verdict: Option<&'w str>,
}

/// At most `limit` of them, newest first, from below the delivery at which the last page ended.
pub async fn list(
    connection: &mut PgConnection,
    which: Which<'_>,
    below: Option<i64>,
    limit: i64,
) -> Result<Vec<Logged>, EngineError> {
    let rows = sqlx::query_as(include_str!("sql/list_deliveries.sql"))
        .bind(which.job_id)
        .bind(which.verdict)
        .bind(below.unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows)
}

/// Under which number a delivery was kept in the inbox; `None` when it is not known, or was not kept.
pub async fn inbox_id(connection: &mut PgConnection, delivery_id: i64) -> Result<Option<i64>, EngineError> {
    let kept = sqlx::query_scalar("select inbox_id from posthaste.delivery where delivery_id = $1")
        .bind(delivery_id)
        .fetch_optional(connection)
        .await?;
    Ok(kept.flatten())
}

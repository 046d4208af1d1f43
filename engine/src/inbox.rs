//! The inbox: signals that came before their wait was known, and deliveries that no expression could judge.

use std::time::Duration;

use chrono::{DateTime, Utc};
use posthaste_protocol::callback::Digest;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    claim::Lease,
    held::RunRef,
    resume::Signal,
    sweep::seconds,
    wake::{Answer, Clock, look_at},
};

/// The most early signals that are kept of one job.
pub const MAX_EARLY: i64 = 32;
/// The most quarantined deliveries that are kept of one job.
pub const MAX_QUARANTINED: i64 = 100;

/// A delivery to keep because its expressions failed.
#[derive(Debug, Clone)]
pub struct Quarantine {
    /// The run that it is for, or [`RunRef::whichever`].
    pub run: RunRef,
    /// The wait that it is for; `None`: the run itself, or its next wait.
    pub wait: Option<String>,
    /// How it came: `callback:<action>`, `hook`, `source:<name>`.
    pub via: String,
    /// What recognises it when it comes again.
    pub digest: Digest,
    /// Its body as it came; of a callback the result, or the payload, as JSON.
    pub payload: Vec<u8>,
    /// Those of its headers that expressions see: a JSON object.
    pub headers: Option<String>,
    /// What is wrong, for people: cleaned.
    pub error: String,
}

/// A delivery in quarantine.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// What it was, and what was wrong with it.
    pub quarantine: Quarantine,
}

/// What a sweep of the early signals did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows looked at.
    pub rows: usize,
    /// Of these, signals that met a wait.
    pub met: usize,
    /// And those whose job has ended.
    pub dropped: usize,
}

/// Keeps these deliveries; returns the number of each, in order. The same one again has the same number. `None` where
/// [`MAX_QUARANTINED`] of its job are kept.
pub async fn keep(connection: &mut PgConnection, deliveries: &[Quarantine]) -> Result<Vec<Option<i64>>, EngineError> {
    let rows: Vec<InboxRow> = deliveries.iter().map(InboxRow::quarantined).collect();
    keep_all(connection, Look::Operator, &rows, MAX_QUARANTINED).await
}

/// As [`keep`], for gateways to judge from in a moment on. Their signatures were not verified.
pub(crate) async fn keep_to_judge(
    connection: &mut PgConnection,
    deliveries: &[Quarantine],
) -> Result<Vec<Option<i64>>, EngineError> {
    let rows: Vec<InboxRow> = deliveries.iter().map(InboxRow::quarantined).collect();
    keep_all(connection, Look::Gateway, &rows, MAX_QUARANTINED).await
}

/// Keeps these signals until their runs wait for them. `None` where [`MAX_EARLY`] of its job are kept.
pub(crate) async fn keep_early(
    connection: &mut PgConnection,
    signals: &[&Signal],
) -> Result<Vec<Option<i64>>, EngineError> {
    let rows: Vec<InboxRow> = signals.iter().map(|signal| InboxRow::early(signal)).collect();
    keep_all(connection, Look::Sweep, &rows, MAX_EARLY).await
}

/// Who looks at what is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// A sweep, for a wait that takes the signal.
    Sweep,
    /// A gateway, once it can be judged.
    Gateway,
    /// Nobody, before an operator asks.
    Operator,
}

/// What is written of either kind.
struct InboxRow<'a> {
    run: RunRef,
    wait: Option<&'a str>,
    via: &'a str,
    digest: &'a [u8],
    payload: Option<&'a [u8]>,
    headers: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> InboxRow<'a> {
    fn quarantined(from: &'a Quarantine) -> Self {
        Self {
            run: from.run,
            wait: from.wait.as_deref(),
            via: &from.via,
            digest: &from.digest,
            payload: Some(&from.payload),
            headers: from.headers.as_deref(),
            error: Some(&from.error),
        }
    }

    fn early(from: &'a Signal) -> Self {
        Self {
            run: from.run,
            wait: from.wait.as_deref(),
            via: &from.via,
            digest: &from.digest,
            payload: from.payload.as_deref().map(str::as_bytes),
            headers: None,
            error: None,
        }
    }
}

async fn keep_all(
    connection: &mut PgConnection,
    look: Look,
    rows: &[InboxRow<'_>],
    most: i64,
) -> Result<Vec<Option<i64>>, EngineError> {
    let mut ids = vec![None; rows.len()];
    // A row that somebody else was writing is seen by the second turn.
    for _ in 0..2 {
        let open: Vec<usize> = (0..rows.len()).filter(|&n| ids[n].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let batch: Vec<&InboxRow> = open.iter().map(|&n| &rows[n]).collect();
        for (n, id) in open.into_iter().zip(execute(connection, look, &batch, most).await?) {
            ids[n] = id;
        }
    }
    Ok(ids)
}

async fn execute(
    connection: &mut PgConnection,
    look: Look,
    rows: &[&InboxRow<'_>],
    most: i64,
) -> Result<Vec<Option<i64>>, EngineError> {
    let query = "select inbox_id from posthaste.keep_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let found = sqlx::query(query)
        .bind(if look == Look::Sweep { "early" } else { "quarantined" })
        .bind(rows.iter().map(|row| row.run.job_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.run.run_lease).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.run.lease.lease_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.run.lease.nonce).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.via).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.wait).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.digest).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.payload).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.headers).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.error).collect::<Vec<_>>())
        .bind(most)
        .bind(look == Look::Gateway)
        .fetch_all(connection)
        .await?;
    found.iter().map(|row| Ok(row.try_get("inbox_id")?)).collect()
}

/// At most `limit` deliveries in quarantine, newest first: of one job, or of all; those before the number `before`, if that
/// is given.
pub async fn list(
    connection: &mut PgConnection,
    job: Option<i64>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Delivery>, EngineError> {
    let rows = sqlx::query(include_str!("sql/quarantined.sql"))
        .bind(None::<i64>)
        .bind(job)
        .bind(before)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(read).collect()
}

/// One delivery in quarantine. To replay it, give it to its run, which recognises it when it comes again, and then
/// [`remove`] it.
pub async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<Delivery>, EngineError> {
    let row = sqlx::query(include_str!("sql/quarantined.sql"))
        .bind(Some(id))
        .bind(None::<i64>)
        .bind(None::<i64>)
        .bind(1_i64)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Forgets a delivery in quarantine. Returns whether it was there.
pub async fn remove(connection: &mut PgConnection, id: i64) -> Result<bool, EngineError> {
    let removed = sqlx::query("delete from posthaste.inbox where inbox_id = $1 and why = 'quarantined'")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(removed.rows_affected() > 0)
}

fn read(row: &PgRow) -> Result<Delivery, EngineError> {
    let (id, received_at) = (row.try_get("inbox_id")?, row.try_get("received_at")?);
    Ok(Delivery { id, received_at, quarantine: quarantine(row)? })
}

/// Reads what is kept of a delivery.
pub(crate) fn quarantine(row: &PgRow) -> Result<Quarantine, EngineError> {
    let digest: Vec<u8> = row.try_get("digest")?;
    let lease = Lease { lease_id: row.try_get("lease_id")?, nonce: row.try_get("nonce")? };
    Ok(Quarantine {
        run: RunRef { lease, job_id: row.try_get("job_id")?, run_lease: row.try_get("run_lease")? },
        wait: row.try_get("wait")?,
        via: row.try_get("via")?,
        digest: digest.try_into().unwrap_or_default(),
        payload: row.try_get::<Option<Vec<u8>>, _>("payload")?.unwrap_or_default(),
        headers: row.try_get("headers")?,
        error: row.try_get::<Option<String>, _>("error")?.unwrap_or_default(),
    })
}

/// Looks at no more than `limit` early signals whose turn it is: drops those of jobs that have ended, and gives the others
/// to their runs, should these wait for them: whoever wrote a signal or a wait and then was lost has not looked. Call again
/// while it looks at `limit` rows.
pub async fn sweep(connection: &mut PgConnection, limit: i64) -> Result<Swept, EngineError> {
    match sweep_due(connection, limit, None).await {
        Err(error) if error.is_divisible() => sweep_one_by_one(connection, limit).await,
        result => result,
    }
}

/// One signal, or its run, is at fault: looks at each of the others by itself.
async fn sweep_one_by_one(connection: &mut PgConnection, limit: i64) -> Result<Swept, EngineError> {
    let query = "select inbox_id from posthaste.inbox where look_at <= now() order by look_at limit $1";
    let due: Vec<i64> = sqlx::query_scalar(query).bind(limit).fetch_all(&mut *connection).await?;
    let mut all = Swept::default();
    for inbox_id in due {
        match sweep_due(connection, 1, Some(inbox_id)).await {
            Ok(one) => {
                all.rows += one.rows;
                all.met += one.met;
                all.dropped += one.dropped;
            }
            Err(error) if error.is_divisible() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Looks at the signals that are due, or at this one of them.
async fn sweep_due(connection: &mut PgConnection, limit: i64, only: Option<i64>) -> Result<Swept, EngineError> {
    let mut tx = connection.begin().await?;
    let rows = sqlx::query(include_str!("sql/inbox_due.sql")).bind(limit).bind(only).fetch_all(&mut *tx).await?;
    tx.commit().await?;
    let mut jobs = Vec::new();
    for row in &rows {
        if !row.try_get::<bool, _>("dropped")? {
            jobs.push(row.try_get::<i64, _>("job_id")?);
        }
    }
    let dropped = rows.len() - jobs.len();
    jobs.sort_unstable();
    jobs.dedup();
    let looked = look_at(connection, &jobs, Clock::Stopped).await?;
    let met = looked.answers.iter().filter(|(_, answer)| matches!(answer, Some(Answer::Applied(_)))).count();
    Ok(Swept { rows: rows.len(), met, dropped })
}

/// Forgets deliveries that have been in quarantine for `kept`.
pub(crate) async fn forget(connection: &mut PgConnection, kept: Duration, limit: i64) -> Result<(), EngineError> {
    sqlx::query(include_str!("sql/forget_inbox.sql")).bind(seconds(kept)).bind(limit).execute(connection).await?;
    Ok(())
}

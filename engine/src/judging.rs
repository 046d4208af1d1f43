//! Judging: deliveries that are kept until a gateway can say what they mean: those that came before their wait was known,
//! and those that an operator asks to be tried again.

use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    inbox::{self, Quarantine},
};

/// A delivery whose turn it is.
#[derive(Debug, Clone)]
pub struct Due {
    /// Its number in the inbox.
    pub inbox_id: i64,
    /// When it came, seconds since 1970.
    pub received_unix: i64,
    /// Its signature was verified when it came: that of its source, or of the wait that it is kept for.
    pub verified: bool,
    /// What it was.
    pub kept: Quarantine,
}

/// Keeps deliveries that came before their wait was known: they are due in a moment, and then less and less often. Returns
/// the number of each; `None` where too many of its job are kept.
pub async fn keep_early(
    connection: &mut PgConnection,
    deliveries: &[Quarantine],
) -> Result<Vec<Option<i64>>, EngineError> {
    inbox::keep_to_judge(connection, deliveries).await
}

/// Asks for a delivery in quarantine to be judged again. False: there is none with this number.
pub async fn ask(connection: &mut PgConnection, inbox_id: i64) -> Result<bool, EngineError> {
    let asked = sqlx::query("update posthaste.inbox set judge_at = now() where inbox_id = $1 and why = 'quarantined'")
        .bind(inbox_id)
        .execute(connection)
        .await?;
    Ok(asked.rows_affected() > 0)
}

/// At most `limit` deliveries whose turn it is; for others than the caller it is not, for some seconds.
pub async fn due(connection: &mut PgConnection, limit: i64) -> Result<Vec<Due>, EngineError> {
    let rows = sqlx::query(include_str!("sql/judging_due.sql")).bind(limit).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

/// Leaves a delivery in quarantine, saying what is wrong with it now; `signed_for` is the wait whose signature it has.
pub async fn failed(
    connection: &mut PgConnection,
    inbox_id: i64,
    error: &str,
    signed_for: Option<&str>,
) -> Result<(), EngineError> {
    let failed = sqlx::query(include_str!("sql/failed.sql")).bind(inbox_id).bind(error).bind(signed_for);
    failed.execute(connection).await?;
    Ok(())
}

/// Makes a delivery whose run is over one for whichever run its job has. With a reason it goes to quarantine, for an operator
/// to say whether that run should have it; without one it is judged when its turn comes.
pub async fn leave_run(connection: &mut PgConnection, inbox_id: i64, why: Option<&str>) -> Result<(), EngineError> {
    sqlx::query(include_str!("sql/leave_run.sql")).bind(inbox_id).bind(why).execute(connection).await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<Due, EngineError> {
    Ok(Due {
        inbox_id: row.try_get("inbox_id")?,
        received_unix: row.try_get("received_unix")?,
        verified: row.try_get("verified")?,
        kept: inbox::quarantine(row)?,
    })
}

//! Complete: ends runs whose callbacks bring their results, without looking first what holds them.

use std::sync::LazyLock;

use posthaste_protocol::callback::Digest;
use sqlx::{PgConnection, Row};

use crate::{EngineError, cut::within, finalize::ANY, held::RunRef};

/// The statement: who is told of an end is the text of a finalize.
pub(crate) static COMPLETE: LazyLock<String> =
    LazyLock::new(|| include_str!("sql/complete.sql").replace("-- {{told}}\n", within(ANY, "told")));

/// The same as a function that runs as its owner: a gateway need not be allowed to see jobs.
const CALL: &str = "select job_id, run_lease from posthaste.complete_held_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// A callback that brings the result of its run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion<'a> {
    pub run: RunRef,
    /// The action that brings it.
    pub action: &'a str,
    pub digest: &'a Digest,
    /// JSON text; `None` is null.
    pub result: Option<&'a str>,
    /// Expressions have been asked.
    pub judged: bool,
}

/// Ends these runs, at most one completion each, and tells which it ended. One that was not judged is left alone unless
/// neither its job nor its endpoint has expressions: the endpoints of the `plain` lanes have none.
pub(crate) async fn complete(
    connection: &mut PgConnection,
    completions: &[Completion<'_>],
    plain: &[i32],
) -> Result<Vec<(i64, i64)>, EngineError> {
    let rows = sqlx::query(CALL)
        .bind(completions.iter().map(|one| one.run.job_id).collect::<Vec<_>>())
        .bind(completions.iter().map(|one| one.run.run_lease).collect::<Vec<_>>())
        .bind(completions.iter().map(|one| one.run.lease.lease_id).collect::<Vec<_>>())
        .bind(completions.iter().map(|one| one.run.lease.nonce).collect::<Vec<_>>())
        .bind(completions.iter().map(|one| one.action).collect::<Vec<_>>())
        .bind(completions.iter().map(|one| one.digest.as_slice()).collect::<Vec<_>>())
        .bind(completions.iter().map(|one| one.result).collect::<Vec<_>>())
        .bind(completions.iter().map(|one| one.judged).collect::<Vec<_>>())
        .bind(plain)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_has_all_that_follows_an_end_and_closes_with_the_text_of_a_finalize() {
        let text = COMPLETE.as_str();
        for part in ["granted as (", "woken as (", "unawaited as (", "pg_notify('posthaste_done'", "from ended e\n"] {
            assert!(text.contains(part), "{part}");
        }
        assert!(text.ends_with(within(ANY, "told")), "{text}");
        assert!(!text.contains("{{") && !text.contains("$10"), "{text}");
    }
}

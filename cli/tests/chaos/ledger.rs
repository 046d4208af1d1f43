//! What the ledger says afterwards.

use std::{fmt, time::Duration};

use sqlx::{Connection, PgConnection, Row};

use crate::function::Function;

/// How long the last rescue and its retries may take.
const SETTLES_WITHIN: Duration = Duration::from_mins(2);

/// What happened.
pub struct Report {
    executions: usize,
    twice: usize,
    rescued: i64,
    unknown: i64,
    released: i64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "all ended once; {} executions, {} of them again, each with a recorded run of its own ({} rescued, {} unknown, {} released)",
            self.executions, self.twice, self.rescued, self.unknown, self.released
        )
    }
}

/// Enqueues one batch and returns the acknowledged ids.
pub async fn enqueue(url: &str, batch: &str) -> Result<Vec<i64>, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let ids = sqlx::query_scalar("select id from posthaste.enqueue_many($1::text::jsonb)")
        .bind(batch)
        .fetch_all(&mut connection)
        .await?;
    Ok(ids)
}

/// Waits until every acknowledged job has ended, then checks each of them.
pub async fn check(url: &str, acked: &[i64], function: &Function) -> Report {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let waiting = async {
        loop {
            let open: i64 = sqlx::query_scalar(
                "select count(*) from unnest($1::bigint[]) as i (id) where not exists (
                   select from posthaste.attempt a where a.job_id = i.id and a.outcome = 'completed')",
            )
            .bind(acked)
            .fetch_one(&mut connection)
            .await
            .unwrap();
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    assert!(tokio::time::timeout(SETTLES_WITHIN, waiting).await.is_ok(), "acknowledged jobs have not ended");
    each_ended_once(&mut connection, acked, function).await;
    nothing_is_left(&mut connection).await;
    report(&mut connection, acked, function).await
}

async fn each_ended_once(connection: &mut PgConnection, acked: &[i64], function: &Function) {
    let rows = sqlx::query(
        "select a.job_id, count(*) filter (where a.outcome in ('completed', 'cancelled', 'dead')) as ends,
           max(a.run_lease) as last, max(a.run_lease) filter (where a.outcome = 'completed') as completed,
           max(a.result ->> 'run') as told, count(*) filter (where a.class is not null) as sent,
           string_agg(a.run_lease || ':' || a.outcome || ':' || coalesce(a.class::text, '-') || ':' || a.ended_by, ' ') as runs
         from posthaste.attempt a where a.job_id = any ($1) group by a.job_id",
    )
    .bind(acked)
    .fetch_all(connection)
    .await
    .unwrap();
    assert_eq!(rows.len(), acked.len(), "a job is lost");
    for row in rows {
        let (job, ends): (i64, i64) = (row.get(0), row.get(1));
        let (last, completed): (i64, Option<i64>) = (row.get(2), row.get(3));
        assert_eq!((ends, Some(last)), (1, completed), "job {job} did not end once, with its last run");
        let told: String = row.get(4);
        assert_eq!(told, last.to_string(), "job {job} took the answer of another run");
        let sent: i64 = row.get(5);
        let executions = i64::try_from(function.executions(job)).unwrap();
        assert!(
            (1..=sent).contains(&executions),
            "job {job}: executed as {:?}, recorded as {}",
            function.runs(job),
            row.get::<String, _>(6)
        );
    }
}

async fn nothing_is_left(connection: &mut PgConnection) {
    let left: i64 =
        sqlx::query_scalar("select count(*) from posthaste.jobs where state not in ('completed', 'cancelled', 'dead')")
            .fetch_one(connection)
            .await
            .unwrap();
    assert_eq!(left, 0, "jobs whose enqueue was not acknowledged end too");
}

async fn report(connection: &mut PgConnection, acked: &[i64], function: &Function) -> Report {
    let row = sqlx::query(
        "select count(*) filter (where outcome = 'rescued'),
           count(*) filter (where class = 'unknown' and outcome <> 'rescued'), count(*) filter (where outcome = 'released')
         from posthaste.attempt",
    )
    .fetch_one(connection)
    .await
    .unwrap();
    let twice = acked.iter().map(|job| function.executions(*job).saturating_sub(1)).sum();
    Report { executions: function.total(), twice, rescued: row.get(0), unknown: row.get(1), released: row.get(2) }
}

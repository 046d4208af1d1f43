//! Retention: a range of job ids goes when everything in it is past its time, and a drop cut short is taken up again.

use posthaste_engine::{range::drop_range, session::Role, sweep::Retention};
use posthaste_tests::{TestDb, sql};
use sqlx::{Connection, PgConnection};

/// A database whose first range is used up by two jobs that ended long ago.
async fn used_up() -> (TestDb, PgConnection) {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    for _ in 0..2 {
        let job = sql::enqueue(&mut connection, "kind => 'k'").await;
        sql::cancel(&mut connection, job, false).await;
    }
    sql::run(&mut connection, "select setval('posthaste.seq', 1500000)").await;
    sql::run(&mut connection, "update posthaste.job_range set created_at = now() - interval '90 days'").await;
    sql::run(&mut connection, "update posthaste.attempt set finished_at = now() - interval '80 hours'").await;
    (db, connection)
}

async fn tables(connection: &mut PgConnection) -> i64 {
    sql::number(connection, "select count(*) from pg_class where relname in ('job_0', 'attempt_0')").await
}

#[tokio::test]
async fn a_range_past_its_retention_is_dropped_and_new_jobs_go_on() {
    let (_db, mut connection) = used_up().await;
    assert_eq!(drop_range(&mut connection, &Retention::default()).await.unwrap(), Some(0));
    assert_eq!(tables(&mut connection).await, 0);
    assert_eq!(sql::count(&mut connection, "job").await, 0);
    assert_eq!(drop_range(&mut connection, &Retention::default()).await.unwrap(), None);
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    assert_eq!(sql::state(&mut connection, job).await, "available");
}

#[tokio::test]
async fn a_range_with_a_recent_end_or_a_waiting_job_stays() {
    let (_db, mut connection) = used_up().await;
    sql::run(&mut connection, "update posthaste.attempt set finished_at = now() where job_id = 2").await;
    assert_eq!(drop_range(&mut connection, &Retention::default()).await.unwrap(), None);
    let (_db, mut connection) = used_up().await;
    sql::run(
        &mut connection,
        "insert into posthaste.scheduled (job_id, run_at, run_lease, lane_id, priority, failures, uncounted)
         values (1, now() + interval '1 year', 2, 1, 2, 0, 0)",
    )
    .await;
    assert_eq!(drop_range(&mut connection, &Retention::default()).await.unwrap(), None);
    assert_eq!(tables(&mut connection).await, 2);
}

#[tokio::test]
async fn a_drop_that_was_cut_short_anywhere_is_finished_by_the_next_one() {
    let steps = [
        "alter table posthaste.job detach partition posthaste.job_0",
        "drop table posthaste.job_0",
        "alter table posthaste.attempt detach partition posthaste.attempt_0",
        "drop table posthaste.attempt_0",
    ];
    for done in 1..=steps.len() {
        let (_db, mut connection) = used_up().await;
        for step in &steps[..done] {
            sql::run(&mut connection, step).await;
        }
        let dropped = drop_range(&mut connection, &Retention::default()).await.unwrap();
        assert_eq!((dropped, tables(&mut connection).await), (Some(0), 0), "after {done} steps");
        assert_eq!(sql::count(&mut connection, "job_range where lower_id = 0").await, 0);
    }
}

#[tokio::test]
async fn a_dispatcher_that_owns_no_table_drops_a_range_that_is_over_and_no_other() {
    let (db, mut connection) = used_up().await;
    let mut dispatcher = PgConnection::connect(&db.url_as("dispatcher")).await.unwrap();
    sql::run(&mut connection, "update posthaste.attempt set finished_at = now() where job_id = 2").await;
    assert_eq!(drop_range(&mut dispatcher, &Retention::default()).await.unwrap(), None);
    sql::run(&mut connection, "update posthaste.attempt set finished_at = now() - interval '80 hours'").await;
    assert_eq!(drop_range(&mut dispatcher, &Retention::default()).await.unwrap(), Some(0));
    assert_eq!((tables(&mut connection).await, sql::count(&mut connection, "job").await), (0, 0));
}

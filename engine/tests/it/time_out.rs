//! Time-outs: parked runs without a sign of life.

use chrono::{DateTime, Utc};
use posthaste_engine::{
    lifecycle::Outcome,
    park::park,
    session::Role,
    suspend::suspend,
    sweep,
    time_out::{TimedOut, time_out},
};
use posthaste_tests::{
    FakeDispatcher, TestDb,
    sql::{assert_each_job_is_in_one_place, attempts, cancel, count, enqueue, number, run, state, text},
};
use sqlx::PgConnection;

use crate::callback::policy;

async fn setup() -> (TestDb, PgConnection, FakeDispatcher) {
    let db = TestDb::new().await;
    let connection = db.connect(Role::Settle).await;
    let dispatcher = FakeDispatcher::start(&db).await;
    (db, connection, dispatcher)
}

async fn in_hours(connection: &mut PgConnection, hours: f64) -> Option<DateTime<Utc>> {
    let query = "select now() + $1 * interval '1 hour'";
    Some(sqlx::query_scalar(query).bind(hours).fetch_one(connection).await.unwrap())
}

#[tokio::test]
async fn a_wait_without_a_callback_counts_an_attempt_and_goes_again_until_it_is_dead() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k', max_attempts => 2").await;
    let late = in_hours(&mut connection, 1.1).await;
    for turn in [1, 2] {
        let claimed = dispatcher.claim_one().await;
        dispatcher.park(&claimed).await;
        let early = time_out(&mut connection, 10, None, &policy, 0.0).await.unwrap();
        assert_eq!(early, TimedOut::default(), "turn {turn}: not yet");
        let done = time_out(&mut connection, 10, late, &policy, 0.0).await.unwrap();
        assert_eq!(done, TimedOut { runs: 1, woken: 0, rows: 1 }, "turn {turn}");
        let due = in_hours(&mut connection, 1.0).await;
        posthaste_engine::promote::promote(&mut connection, 10, due).await.unwrap();
    }
    assert_eq!(attempts(&mut connection, id).await, ["1:timed_out", "2:dead"]);
    let row = "select concat_ws(' ', class, ended_by, attempt, http_status, error_code) from posthaste.attempt
        where run_lease = 1";
    assert_eq!(text(&mut connection, row).await, "unknown maintenance 1 202 callback_timeout");
    assert_eq!(text(&mut connection, "select reason from posthaste.dead_letter").await, "attempts_exhausted");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn the_error_names_the_time_that_ran_out() {
    for (column, code) in [("heartbeat_ms = 5", "heartbeat_timeout"), ("hard_at = deadline_at", "run_timeout")] {
        let (_db, mut connection, mut dispatcher) = setup().await;
        enqueue(&mut connection, "'k'").await;
        let claimed = dispatcher.claim_one().await;
        dispatcher.park(&claimed).await;
        run(&mut connection, &format!("update posthaste.waiting set {column}")).await;
        let late = in_hours(&mut connection, 1.1).await;
        time_out(&mut connection, 10, late, &policy, 0.0).await.unwrap();
        assert_eq!(text(&mut connection, "select error_code from posthaste.attempt").await, code);
    }
}

#[tokio::test]
async fn a_row_whose_run_has_ended_is_swept_and_ends_nothing() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    park(&mut connection, &[FakeDispatcher::accepted(&claimed)], &[]).await.unwrap();
    dispatcher.finish(&claimed, Outcome::Released).await;
    assert_eq!(count(&mut connection, "waiting").await, 1);

    let late = in_hours(&mut connection, 1.1).await;
    let swept = time_out(&mut connection, 10, late, &policy, 0.0).await.unwrap();

    assert_eq!(swept, TimedOut { runs: 0, woken: 0, rows: 1 });
    assert_eq!(count(&mut connection, "waiting").await, 0);
    assert_eq!(attempts(&mut connection, id).await, ["1:released"]);
    assert_eq!(state(&mut connection, id).await, "available");
}

#[tokio::test]
async fn a_waiting_job_that_was_asked_to_cancel_ends_at_its_time_out_at_the_latest() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k', max_attempts => 1").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    cancel(&mut connection, id, false).await;
    let late = in_hours(&mut connection, 1.1).await;
    time_out(&mut connection, 10, late, &policy, 0.0).await.unwrap();
    assert_eq!(state(&mut connection, id).await, "cancelled");
    assert_eq!(count(&mut connection, "dead_letter").await, 0);
    assert_eq!(count(&mut connection, "cancel_request").await, 0);
}

#[tokio::test]
async fn a_waiting_job_that_was_asked_to_cancel_is_ended_after_its_grace() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    assert_eq!(cancel(&mut connection, id, false).await, "waiting");
    assert_eq!(sweep::grant_cancels(&mut connection).await.unwrap(), 0, "its grace is ten seconds");
    assert_eq!(state(&mut connection, id).await, "waiting");

    run(&mut connection, "update posthaste.cancel_request set due_at = now()").await;
    assert_eq!(sweep::grant_cancels(&mut connection).await.unwrap(), 1);

    assert_eq!(attempts(&mut connection, id).await, ["1:cancelled"]);
    assert_eq!((count(&mut connection, "waiting").await, count(&mut connection, "cancel_request").await), (0, 0));
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn the_grace_of_a_cancel_is_its_endpoint_s() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run(
        &mut connection,
        r#"insert into posthaste.endpoint (name, spec, secret) values ('e', '{"cancel_grace_ms": 0}', '');
           insert into posthaste.endpoint_kind (kind, endpoint) values ('*', 'e')"#,
    )
    .await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    cancel(&mut connection, id, false).await;
    assert_eq!(sweep::grant_cancels(&mut connection).await.unwrap(), 1);
    assert_eq!(state(&mut connection, id).await, "cancelled");
}

#[tokio::test]
async fn force_ends_a_waiting_job_at_once() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    assert_eq!(cancel(&mut connection, id, true).await, "cancelled");
    assert_eq!(count(&mut connection, "waiting").await, 0);
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn runs_that_wait_for_many_jobs_have_transactions_of_their_own_and_hold_up_no_time_out() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 8)").await;
    let runs = dispatcher.claim_any(8).await;
    let timed_out = runs.last().unwrap();
    park(&mut connection, &[FakeDispatcher::accepted(timed_out)], &[]).await.unwrap();
    let body = r#"{"wait": {"name": "jobs", "for": "jobs", "jobs": ["4711"], "timeout_ms": 86400000}}"#;
    for one in &runs[..7] {
        // Of a job that has not ended; only then of so many that nobody knows.
        let body = body.replace("4711", &timed_out.job_id.to_string());
        suspend(&mut connection, &[FakeDispatcher::suspended(one, &body)], &[]).await.unwrap();
    }
    run(&mut connection, "update posthaste.wait set jobs = array(select generate_series(1000001, 1015000))").await;
    let late = in_hours(&mut connection, 1.1).await;

    let swept = time_out(&mut connection, 10, late, &policy, 0.0).await.unwrap();

    assert_eq!(swept, TimedOut { runs: 1, woken: 6, rows: 8 });
    let transactions = "select count(distinct xmin::text) from posthaste.attempt";
    assert_eq!(number(&mut connection, transactions).await, 6, "the first ends the one and wakes another");
    let swept = time_out(&mut connection, 10, late, &policy, 0.0).await.unwrap();
    assert_eq!(swept, TimedOut::default(), "the last is looked at a second later");
    let later = in_hours(&mut connection, 1.2).await;
    let swept = time_out(&mut connection, 10, later, &policy, 0.0).await.unwrap();
    assert_eq!(swept, TimedOut { runs: 0, woken: 1, rows: 1 });
    assert_each_job_is_in_one_place(&mut connection).await;
}

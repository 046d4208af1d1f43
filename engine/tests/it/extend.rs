//! Heartbeats: they move a deadline, park a run that nobody has parked, and revive nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use posthaste_engine::{
    callback::{Told, lost},
    claim::ClaimedRun,
    extend::{Alive, Heartbeat, extend},
    held::RunRef,
    lifecycle::{Outcome, wait::WaitTimes},
    rescue::{LostPolicy, rescue, retry_lost},
    session::Role,
    time_out::{TimedOut, time_out},
};
use posthaste_protocol::job::State;
use posthaste_tests::{
    FakeDispatcher, HOUR, TestDb,
    sql::{assert_each_job_is_in_one_place, backend, cancel, count, enqueue, number, run, start_blocked, state, text},
};
use sqlx::{Connection, PgConnection};

use crate::callback::policy;

async fn setup() -> (TestDb, PgConnection, FakeDispatcher, ClaimedRun) {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::Settle).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    enqueue(&mut connection, "'k'").await;
    let claimed = (*dispatcher.claim_one().await).clone();
    (db, connection, dispatcher, claimed)
}

fn heartbeat(claimed: &ClaimedRun, extend: Option<u64>) -> Heartbeat {
    let run = RunRef { lease: claimed.lease, job_id: claimed.job_id, run_lease: claimed.run_lease };
    Heartbeat { run, extend: extend.map(Duration::from_secs), times: HOUR }
}

async fn beat(connection: &mut PgConnection, heartbeat: Heartbeat) -> Option<Alive> {
    extend(connection, &[heartbeat]).await.unwrap().remove(0)
}

/// Seconds from now, give or take the time of the test.
async fn seconds_left(connection: &mut PgConnection, deadline: DateTime<Utc>) -> i64 {
    let query = "select (round(extract(epoch from $1 - now()) / 60) * 60)::bigint";
    sqlx::query_scalar(query).bind(deadline).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_heartbeat_moves_the_deadline_by_what_it_says_or_by_the_same_time_out_again() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    dispatcher.park(&claimed).await;
    for (column, extend, expected) in [
        ("heartbeat_ms = null", Some(600), 600),
        ("heartbeat_ms = null", None, 3600),
        ("heartbeat_ms = 120000", None, 120),
        ("heartbeat_ms = 120000", Some(30 * 86400), 86400),
    ] {
        run(&mut connection, &format!("update posthaste.waiting set {column}")).await;
        let alive = beat(&mut connection, heartbeat(&claimed, extend)).await.unwrap();
        assert_eq!(seconds_left(&mut connection, alive.deadline).await, expected, "{extend:?}");
        assert!(!alive.cancel_requested);
    }
}

#[tokio::test]
async fn a_first_heartbeat_parks_its_run_and_the_202_keeps_the_further_deadline() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;

    let alive = beat(&mut connection, heartbeat(&claimed, Some(7200))).await.unwrap();

    assert_eq!(seconds_left(&mut connection, alive.deadline).await, 7200);
    assert_eq!(state(&mut connection, claimed.job_id).await, "waiting");
    assert_eq!(dispatcher.park(&claimed).await, alive.deadline);
    assert_eq!(count(&mut connection, "lease").await, 0);
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_202_sets_the_hard_end_right_that_a_first_heartbeat_did_not_know() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    // The gateway had not read the endpoint, and gave the time of the contract.
    let unread = WaitTimes { max_run: Duration::from_hours(7 * 24), ..HOUR };
    let beating = Heartbeat { times: unread, ..heartbeat(&claimed, Some(3 * 86400)) };
    let alive = beat(&mut connection, beating).await.unwrap();
    assert_eq!(seconds_left(&mut connection, alive.deadline).await, 3 * 86400);

    let deadline = dispatcher.park(&claimed).await;

    assert_eq!(seconds_left(&mut connection, deadline).await, 86400);
    let hard_end = "select round(extract(epoch from hard_at - parked_at) / 60)::bigint from posthaste.waiting";
    assert_eq!(number(&mut connection, hard_end).await, 24 * 60);
    let alive = beat(&mut connection, beating).await.unwrap();
    assert_eq!(seconds_left(&mut connection, alive.deadline).await, 86400);
}

#[tokio::test]
async fn a_first_heartbeat_and_a_rescue_park_a_run_for_as_long_as_its_job_says() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    dispatcher.finish(&claimed, Outcome::Completed { result: None }).await;
    for rescued in [false, true] {
        enqueue(&mut connection, r#"'k', callback => '{"timeout_ms": 1800000}'"#).await;
        let claimed = dispatcher.claim_one().await;
        assert_eq!(claimed.callback_timeout, Some(Duration::from_mins(30)));
        if rescued {
            let lost = |scan| LostPolicy { wait: Some(HOUR), ..retry_lost(scan) };
            rescue(&mut connection, &[dispatcher.id], &lost, 0.0).await.unwrap();
        } else {
            beat(&mut connection, heartbeat(&claimed, Some(1))).await.unwrap();
        }
        // The same time-out again.
        let alive = beat(&mut connection, heartbeat(&claimed, None)).await.unwrap();
        assert_eq!(seconds_left(&mut connection, alive.deadline).await, 1800, "{rescued}");
        dispatcher.finish(&claimed, Outcome::Completed { result: None }).await;
    }
}

#[tokio::test]
async fn a_heartbeat_tells_that_the_job_was_asked_to_cancel() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    dispatcher.park(&claimed).await;
    assert_eq!(cancel(&mut connection, claimed.job_id, false).await, "waiting");
    assert!(beat(&mut connection, heartbeat(&claimed, None)).await.unwrap().cancel_requested);
}

#[tokio::test]
async fn a_heartbeat_after_the_end_revives_nothing_and_is_told_why() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let beating = heartbeat(&claimed, None);
    beat(&mut connection, beating).await.unwrap();
    dispatcher.finish(&claimed, Outcome::Completed { result: None }).await;
    let before = text(&mut connection, "select deadline_at::text from posthaste.waiting").await;

    assert_eq!(beat(&mut connection, beating).await, None);

    assert_eq!(text(&mut connection, "select deadline_at::text from posthaste.waiting").await, before);
    let told = lost(&mut connection, &[beating.run]).await.unwrap();
    assert!(matches!(told[..], [Told::AlreadyFinalized { state: State::Completed, .. }]), "{told:?}");
}

#[tokio::test]
async fn a_heartbeat_that_meets_a_time_out_waits_and_lives_only_if_it_rolls_back() {
    for commits in [true, false] {
        let (db, mut connection, mut dispatcher, claimed) = setup().await;
        dispatcher.park(&claimed).await;
        let due = sqlx::query_scalar("select now() + interval '2 hours'").fetch_one(&mut connection).await.unwrap();
        let (mut first, mut second) = (db.patient(Role::Settle).await, db.patient(Role::Settle).await);
        let mut tx = first.begin().await.unwrap();
        let swept = time_out(&mut tx, 10, Some(due), &policy, 0.0).await.unwrap();
        assert_eq!(swept, TimedOut { runs: 1, woken: 0, rows: 1 });

        let pid = backend(&mut second).await;
        let beating = heartbeat(&claimed, None);
        let beats = start_blocked(&mut connection, pid, async move { beat(&mut second, beating).await }).await;
        let closed = if commits { tx.commit().await } else { tx.rollback().await };
        closed.unwrap();

        assert_eq!(beats.await.unwrap().is_some(), !commits);
        let expected = if commits { "scheduled" } else { "waiting" };
        assert_eq!(state(&mut connection, claimed.job_id).await, expected);
        assert_each_job_is_in_one_place(&mut connection).await;
    }
}

#[tokio::test]
async fn a_time_out_that_meets_a_heartbeat_passes_the_run_by() {
    let (db, mut connection, mut dispatcher, claimed) = setup().await;
    dispatcher.park(&claimed).await;
    let due = sqlx::query_scalar("select now() + interval '2 hours'").fetch_one(&mut connection).await.unwrap();
    let mut first = db.patient(Role::Settle).await;
    let mut tx = first.begin().await.unwrap();
    beat(&mut tx, heartbeat(&claimed, Some(3 * 3600))).await.unwrap();

    let during = time_out(&mut connection, 10, Some(due), &policy, 0.0).await.unwrap();
    tx.commit().await.unwrap();
    let after = time_out(&mut connection, 10, Some(due), &policy, 0.0).await.unwrap();

    assert_eq!((during, after), (TimedOut::default(), TimedOut::default()));
    assert_eq!(state(&mut connection, claimed.job_id).await, "waiting");
}

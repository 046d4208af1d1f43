//! Rescue: the runs of a dispatcher that went silent, and claims whose answer was lost.

use std::time::Duration;

use chrono::{DateTime, Utc};
use posthaste_engine::{
    floor::Scan,
    lifecycle::Outcome,
    park::{Parked, park},
    promote::promote,
    rescue::{LostPolicy, Rescued, release_unknown, rescue, retry_lost},
    session::Role,
};
use posthaste_tests::{
    FakeDispatcher, HOUR, TestDb,
    sql::{assert_each_job_is_in_one_place, attempts, cancel, count, enqueue, job, run, state, text},
};
use sqlx::PgConnection;

async fn setup() -> (TestDb, PgConnection, FakeDispatcher) {
    let db = TestDb::new().await;
    let connection = db.connect(Role::General).await;
    let dispatcher = FakeDispatcher::start(&db).await;
    (db, connection, dispatcher)
}

/// A time at which everything scheduled is due.
async fn far_future(connection: &mut PgConnection) -> Option<DateTime<Utc>> {
    Some(sqlx::query_scalar("select now() + interval '1000 days'").fetch_one(connection).await.unwrap())
}

#[tokio::test]
async fn the_runs_of_a_dead_dispatcher_count_an_attempt_and_go_again() {
    let (db, mut connection, mut dead) = setup().await;
    let id = enqueue(&mut connection, "'k', priority => 4").await;
    dead.claim_one().await;

    let rescued = rescue(&mut connection, &[dead.id], &retry_lost, 0.0).await.unwrap();

    assert_eq!(rescued, Rescued { leases: 1, runs: 1, parked: 0 });
    let row = "select concat_ws(' ', run_lease, outcome, class, ended_by, attempt, error_code) from posthaste.attempt";
    assert_eq!(text(&mut connection, row).await, "1 rescued unknown rescue 1 dispatcher_lost");
    let row =
        "select concat_ws(' ', run_lease, priority, failures, uncounted, run_at > now()) from posthaste.scheduled";
    assert_eq!(text(&mut connection, row).await, "2 4 1 0 t");
    assert_eq!(count(&mut connection, "lease").await, 0);
    assert_eq!(job(&mut connection, id).await.attempt, 1);
    let due = far_future(&mut connection).await;
    promote(&mut connection, 10, due).await.unwrap();
    let again = FakeDispatcher::start(&db).await.claim_one().await;
    assert_eq!((again.run_lease, again.attempt()), (2, 2));
}

#[tokio::test]
async fn a_job_that_kills_its_dispatcher_every_time_ends_in_the_dead_letters() {
    let (db, mut connection, _) = setup().await;
    let id = enqueue(&mut connection, "'killer', max_attempts => 3").await;
    let due = far_future(&mut connection).await;
    for attempt in 1..=3 {
        let mut victim = FakeDispatcher::start(&db).await;
        assert_eq!(victim.claim_one().await.attempt(), attempt);
        assert_eq!(rescue(&mut connection, &[victim.id], &retry_lost, 0.5).await.unwrap().runs, 1);
        promote(&mut connection, 10, due).await.unwrap();
    }
    assert_eq!(attempts(&mut connection, id).await, ["1:rescued", "2:rescued", "3:dead"]);
    let row = "select concat_ws(' ', reason, error_code, attempt) from posthaste.dead_letter";
    assert_eq!(text(&mut connection, row).await, "attempts_exhausted dispatcher_lost 3");
    assert_eq!(state(&mut connection, id).await, "dead");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn runs_that_had_ended_and_leases_of_the_living_are_left_alone() {
    let (db, mut connection, mut dead) = setup().await;
    let mut alive = FakeDispatcher::start(&db).await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 4)").await;
    let theirs = dead.claim_any(3).await;
    let ours = alive.claim_any(3).await;
    let done = FakeDispatcher::end(&theirs[1], Outcome::Completed { result: None });
    dead.settle(&[done]).await;

    let rescued = rescue(&mut connection, &[dead.id], &retry_lost, 0.0).await.unwrap();

    assert_eq!(rescued, Rescued { leases: 1, runs: 2, parked: 0 });
    assert_eq!(state(&mut connection, theirs[1].job_id).await, "completed");
    assert_eq!(state(&mut connection, ours[0].job_id).await, "running");
    assert_each_job_is_in_one_place(&mut connection).await;
    assert_eq!(rescue(&mut connection, &[dead.id], &retry_lost, 0.0).await.unwrap(), Rescued::default());
}

#[tokio::test]
async fn many_leases_are_rescued_in_several_calls() {
    let (_db, mut connection, mut dead) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 20)").await;
    for _ in 0..10 {
        dead.claim_any(2).await;
    }
    let mut calls = Vec::new();
    loop {
        let rescued = rescue(&mut connection, &[dead.id], &retry_lost, 0.0).await.unwrap();
        if rescued.leases == 0 {
            break;
        }
        calls.push((rescued.leases, rescued.runs));
    }
    assert_eq!(calls, [(8, 16), (2, 4)]);
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_rescued_run_that_somebody_asked_to_cancel_is_cancelled() {
    let (_db, mut connection, mut dead) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    dead.claim_one().await;
    cancel(&mut connection, id, false).await;

    rescue(&mut connection, &[dead.id], &retry_lost, 0.0).await.unwrap();

    assert_eq!(state(&mut connection, id).await, "cancelled");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_lease_whose_jobs_are_past_retention_is_removed() {
    let (_db, mut connection, mut dead) = setup().await;
    enqueue(&mut connection, "'k'").await;
    dead.claim_one().await;
    run(&mut connection, "delete from posthaste.job").await;

    assert_eq!(
        rescue(&mut connection, &[dead.id], &retry_lost, 0.0).await.unwrap(),
        Rescued { leases: 1, runs: 0, parked: 0 }
    );
    assert_eq!(count(&mut connection, "lease").await, 0);
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_back_at_once_and_costs_no_attempt() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let lost = enqueue(&mut connection, "'k', max_attempts => 1").await;
    let lost_run = dispatcher.claim_one().await;
    let kept = enqueue(&mut connection, "'k'").await;
    let kept_run = dispatcher.claim_one().await;

    let released = release_unknown(&mut connection, dispatcher.id, &[kept_run.lease.lease_id], i64::MAX).await.unwrap();

    assert_eq!(released, 1);
    let again = dispatcher.claim_one().await;
    assert_eq!((again.job_id, again.run_lease, again.attempt()), (lost, 2, 1));
    assert!(again.seq > kept_run.seq, "a fresh number: no floor may hide it");
    assert_eq!(attempts(&mut connection, lost).await, ["1:released"]);
    assert_eq!(state(&mut connection, kept).await, "running");
    let class =
        "select count(*)::text from posthaste.attempt where class is null and started_at is null and attempt = 0";
    assert_eq!(text(&mut connection, class).await, "1");
    assert_ne!(lost_run.lease.lease_id, again.lease.lease_id);
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_claim_that_is_being_answered_right_now_is_not_given_back() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let older = dispatcher.claim_one().await;
    let id = enqueue(&mut connection, "'k'").await;
    dispatcher.claim_one().await;

    assert_eq!(release_unknown(&mut connection, dispatcher.id, &[], older.lease.lease_id).await.unwrap(), 1);

    assert_eq!(state(&mut connection, older.job_id).await, "available");
    assert_eq!(state(&mut connection, id).await, "running");
}

#[tokio::test]
async fn a_job_that_is_released_again_and_again_backs_off() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let due = far_future(&mut connection).await;
    for turn in 1..=3 {
        dispatcher.claim_one().await;
        assert_eq!(release_unknown(&mut connection, dispatcher.id, &[], i64::MAX).await.unwrap(), 1);
        let waits = count(&mut connection, "scheduled").await;
        assert_eq!(waits, i64::from(turn > 1), "turn {turn}");
        let next = promote(&mut connection, 10, None).await.unwrap().next;
        assert!(turn == 1 || next.is_some_and(|wait| wait > Duration::from_secs(1)), "turn {turn}: {next:?}");
        promote(&mut connection, 10, due).await.unwrap();
    }
}

fn wait_lost(scan: Scan) -> LostPolicy {
    LostPolicy { wait: Some(HOUR), ..retry_lost(scan) }
}

#[tokio::test]
async fn parked_runs_of_a_silent_dispatcher_are_left_alone_and_their_lease_goes() {
    let (_db, mut connection, mut dead) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 3)").await;
    let runs = dead.claim_any(3).await;
    // The lease was not drained: two of its runs were still being POSTed.
    park(&mut connection, &[FakeDispatcher::accepted(&runs[1])], &[]).await.unwrap();

    let rescued = rescue(&mut connection, &[dead.id], &retry_lost, 0.0).await.unwrap();

    assert_eq!(rescued, Rescued { leases: 1, runs: 2, parked: 0 });
    assert_eq!(count(&mut connection, "lease").await, 0);
    assert_eq!(state(&mut connection, runs[1].job_id).await, "waiting");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_lost_run_whose_endpoint_says_so_waits_for_its_callback() {
    let (_db, mut connection, mut dead) = setup().await;
    let id = enqueue(&mut connection, "'k', priority => 4").await;
    let claimed = dead.claim_one().await;

    let rescued = rescue(&mut connection, &[dead.id], &wait_lost, 0.0).await.unwrap();

    assert_eq!(rescued, Rescued { leases: 1, runs: 0, parked: 1 });
    assert_eq!(state(&mut connection, id).await, "waiting");
    assert_eq!(count(&mut connection, "lease").await, 0);
    assert_each_job_is_in_one_place(&mut connection).await;
    // The dispatcher was only slow: its 202 is added to the wait, and a late answer would end it.
    let late = park(&mut connection, &[FakeDispatcher::accepted(&claimed)], &[]).await.unwrap();
    assert!(matches!(late[..], [Parked::Waits { .. }]), "{late:?}");
    let row = "select concat_ws(' ', http_status, priority, failures) from posthaste.waiting";
    assert_eq!(text(&mut connection, row).await, "202 4 0");
}

#[tokio::test]
async fn a_parked_run_of_a_lease_that_its_dispatcher_forgot_is_not_given_back() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 2)").await;
    let runs = dispatcher.claim_any(2).await;
    park(&mut connection, &[FakeDispatcher::accepted(&runs[0])], &[]).await.unwrap();

    assert_eq!(release_unknown(&mut connection, dispatcher.id, &[], i64::MAX).await.unwrap(), 1);

    assert_eq!(state(&mut connection, runs[0].job_id).await, "waiting");
    assert_eq!(state(&mut connection, runs[1].job_id).await, "available");
    assert_eq!(count(&mut connection, "lease").await, 0);
    assert_each_job_is_in_one_place(&mut connection).await;
}

//! Forced interleavings around a wait: callbacks, time-outs, parks, rescues and cancels that meet in every order. Exactly
//! one ends the run.

use chrono::{DateTime, Utc};
use posthaste_engine::{
    callback::{CallbackEnd, Told, finish},
    claim::ClaimedRun,
    park::{Parked, park},
    rescue::{LostPolicy, Rescued, rescue, retry_lost},
    session::Role,
    sweep::grant_cancels,
    time_out::{TimedOut, time_out},
};
use posthaste_protocol::{action::Action, job::State};
use posthaste_tests::{
    FakeDispatcher, HOUR, TestDb,
    sql::{
        assert_each_job_is_in_one_place, attempts, backend, cancel, count, enqueue, number, run, start_blocked, state,
    },
};
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::callback::{TERMS, callback, policy};

/// A waiting run, one who looks, and two who act.
struct Stage {
    db: TestDb,
    observer: PgConnection,
    first: PgConnection,
    second: PgConnection,
    claimed: ClaimedRun,
    dispatcher: FakeDispatcher,
}

impl Stage {
    async fn running() -> Self {
        let db = TestDb::new().await;
        let mut observer = db.connect(Role::General).await;
        let (first, second) = (db.patient(Role::Settle).await, db.patient(Role::Settle).await);
        let mut dispatcher = FakeDispatcher::start(&db).await;
        enqueue(&mut observer, "'k'").await;
        let claimed = (*dispatcher.claim_one().await).clone();
        Self { db, observer, first, second, claimed, dispatcher }
    }

    async fn waiting() -> Self {
        let mut stage = Self::running().await;
        stage.dispatcher.park(&stage.claimed.clone()).await;
        stage
    }

    async fn ends_as(mut self, expected: &str, ends: &[&str]) {
        assert_eq!(state(&mut self.observer, self.claimed.job_id).await, expected);
        assert_eq!(attempts(&mut self.observer, self.claimed.job_id).await, ends);
        assert_each_job_is_in_one_place(&mut self.observer).await;
    }
}

async fn late(connection: &mut PgConnection) -> Option<DateTime<Utc>> {
    Some(sqlx::query_scalar("select now() + interval '2 hours'").fetch_one(connection).await.unwrap())
}

async fn close(tx: Transaction<'_, Postgres>, commits: bool) {
    let closed = if commits { tx.commit().await } else { tx.rollback().await };
    closed.unwrap();
}

async fn complete(connection: &mut PgConnection, claimed: &ClaimedRun) -> Told {
    finish(connection, &[callback(claimed, Action::Complete, 1)], TERMS, 0.0).await.unwrap().remove(0)
}

const APPLIED: Told = Told::Applied { state: State::Completed };

#[tokio::test]
async fn of_two_callbacks_the_second_waits_and_is_told_what_the_first_did() {
    for commits in [true, false] {
        let mut stage = Stage::waiting().await;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(complete(&mut tx, &stage.claimed).await, APPLIED);

        let pid = backend(&mut stage.second).await;
        let (mut second, claimed) = (stage.second, stage.claimed.clone());
        let fail = callback(&claimed, Action::Fail, 2);
        let work = async move { finish(&mut second, &[fail], TERMS, 0.0).await.unwrap().remove(0) };
        let failing = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        let told = failing.await.unwrap();
        if commits {
            assert!(matches!(told, Told::AlreadyFinalized { state: State::Completed, .. }), "{told:?}");
        } else {
            assert_eq!(told, Told::Applied { state: State::Scheduled });
        }
        let ends: &[&str] = if commits { &["1:completed"] } else { &["1:retried"] };
        assert_eq!(attempts(&mut stage.observer, claimed.job_id).await, ends);
        assert_eq!(count(&mut stage.observer, "waiting").await, 0);
        assert_each_job_is_in_one_place(&mut stage.observer).await;
    }
}

#[tokio::test]
async fn a_time_out_that_meets_a_callback_leaves_the_run_to_it_and_takes_the_row() {
    for commits in [true, false] {
        let mut stage = Stage::waiting().await;
        let due = late(&mut stage.observer).await;
        // The callback holds its end; the time-out locks the row and waits for the end.
        let mut tx = stage.first.begin().await.unwrap();
        run(&mut tx, "savepoint before").await;
        assert_eq!(complete(&mut tx, &stage.claimed).await, APPLIED);

        let pid = backend(&mut stage.second).await;
        let mut second = stage.second;
        let work = async move { time_out(&mut second, 10, due, &policy, 0.0).await.unwrap() };
        // The callback has deleted the row, so that the time-out passes it by at once.
        let swept = work.await;
        assert_eq!(swept, TimedOut::default(), "backend {pid}");
        close(tx, commits).await;

        assert_eq!(count(&mut stage.observer, "waiting").await, i64::from(!commits));
        let (id, observer) = (stage.claimed.job_id, &mut stage.observer);
        assert_eq!(state(observer, id).await, if commits { "completed" } else { "waiting" });
        assert_each_job_is_in_one_place(observer).await;
    }
}

#[tokio::test]
async fn a_callback_that_meets_a_time_out_waits_for_it_and_never_deadlocks() {
    for commits in [true, false] {
        let mut stage = Stage::waiting().await;
        let due = late(&mut stage.observer).await;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(time_out(&mut tx, 10, due, &policy, 0.0).await.unwrap(), TimedOut { runs: 1, woken: 0, rows: 1 });

        let pid = backend(&mut stage.second).await;
        let (mut second, claimed) = (stage.second, stage.claimed.clone());
        let work = async move { complete(&mut second, &claimed).await };
        let completing = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        let told = completing.await.unwrap();
        if commits {
            assert!(matches!(told, Told::AlreadyFinalized { state: State::Scheduled, .. }), "{told:?}");
        } else {
            assert_eq!(told, APPLIED);
        }
        assert_eq!(count(&mut stage.observer, "waiting").await, 0);
        let ends: &[&str] = if commits { &["1:timed_out"] } else { &["1:completed"] };
        assert_eq!(attempts(&mut stage.observer, stage.claimed.job_id).await, ends);
        assert_each_job_is_in_one_place(&mut stage.observer).await;
    }
}

#[tokio::test]
async fn a_callback_whose_row_a_time_out_holds_wins_and_the_time_out_takes_the_row_away() {
    let mut stage = Stage::waiting().await;
    let mut tx = stage.first.begin().await.unwrap();
    // The first statement of a time-out: the row is locked, the end not yet written.
    run(&mut tx, "select from posthaste.waiting for update skip locked").await;
    assert_eq!(complete(&mut stage.second, &stage.claimed).await, APPLIED);
    assert_eq!(count(&mut stage.observer, "waiting").await, 1, "skipped, not waited for");

    let due = late(&mut stage.observer).await;
    assert_eq!(time_out(&mut tx, 10, due, &policy, 0.0).await.unwrap(), TimedOut { runs: 0, woken: 0, rows: 1 });
    tx.commit().await.unwrap();

    assert_eq!(count(&mut stage.observer, "waiting").await, 0);
    stage.ends_as("completed", &["1:completed"]).await;
}

#[tokio::test]
async fn two_time_outs_at_once_share_the_rows_without_waiting() {
    let mut stage = Stage::waiting().await;
    run(&mut stage.observer, "select posthaste.enqueue('k') from generate_series(1, 5)").await;
    let runs = stage.dispatcher.claim_any(10).await;
    let parks: Vec<_> = runs.iter().map(|run| FakeDispatcher::accepted(run)).collect();
    park(&mut stage.second, &parks, &[runs[0].lease.lease_id]).await.unwrap();
    let due = late(&mut stage.observer).await;
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(time_out(&mut tx, 4, due, &policy, 0.0).await.unwrap(), TimedOut { runs: 4, woken: 0, rows: 4 });

    let other = time_out(&mut stage.second, 10, due, &policy, 0.0).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(other, TimedOut { runs: 2, woken: 0, rows: 2 });
    assert_eq!(count(&mut stage.observer, "attempt").await, 6);
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

#[tokio::test]
async fn a_callback_that_ends_while_its_park_is_open_leaves_a_hidden_row_at_most() {
    for commits in [true, false] {
        let mut stage = Stage::running().await;
        let accepted = FakeDispatcher::accepted(&stage.claimed);
        let mut tx = stage.first.begin().await.unwrap();
        let parked = park(&mut tx, &[accepted], &[stage.claimed.lease.lease_id]).await.unwrap();
        assert!(matches!(parked[..], [Parked::Waits { .. }]));

        // The lease is read without a lock, and the park is not seen.
        assert_eq!(complete(&mut stage.second, &stage.claimed).await, APPLIED);
        close(tx, commits).await;

        assert_eq!(count(&mut stage.observer, "waiting").await, i64::from(commits));
        stage.ends_as("completed", &["1:completed"]).await;
    }
}

#[tokio::test]
async fn a_forced_cancel_that_meets_a_callback_is_told_that_the_job_had_ended() {
    for commits in [true, false] {
        let mut stage = Stage::waiting().await;
        let id = stage.claimed.job_id;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(complete(&mut tx, &stage.claimed).await, APPLIED);

        let mut second = stage.db.patient(Role::General).await;
        let pid = backend(&mut second).await;
        let work = async move { cancel(&mut second, id, true).await };
        let cancelling = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        let expected = if commits { "completed" } else { "cancelled" };
        assert_eq!(cancelling.await.unwrap(), expected);
        assert_eq!(count(&mut stage.observer, "waiting").await, 0);
        stage.ends_as(expected, &[if commits { "1:completed" } else { "1:cancelled" }]).await;
    }
}

#[tokio::test]
async fn a_callback_that_meets_a_forced_cancel_is_told_that_the_job_had_ended() {
    for commits in [true, false] {
        let mut stage = Stage::waiting().await;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(cancel(&mut tx, stage.claimed.job_id, true).await, "cancelled");

        let pid = backend(&mut stage.second).await;
        let (mut second, claimed) = (stage.second, stage.claimed.clone());
        let work = async move { complete(&mut second, &claimed).await };
        let completing = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        let told = completing.await.unwrap();
        if commits {
            assert!(matches!(told, Told::AlreadyFinalized { state: State::Cancelled, .. }), "{told:?}");
        } else {
            assert_eq!(told, APPLIED);
        }
        assert_eq!(count(&mut stage.observer, "waiting").await, 0);
        assert_each_job_is_in_one_place(&mut stage.observer).await;
    }
}

#[tokio::test]
async fn a_rescue_that_meets_a_park_passes_the_lease_by() {
    for commits in [true, false] {
        let mut stage = Stage::running().await;
        let accepted = FakeDispatcher::accepted(&stage.claimed);
        let mut tx = stage.first.begin().await.unwrap();
        park(&mut tx, &[accepted], &[]).await.unwrap();

        let silent = [stage.dispatcher.id];
        let rescued = rescue(&mut stage.second, &silent, &retry_lost, 0.0).await.unwrap();
        assert_eq!(rescued, Rescued::default());
        close(tx, commits).await;

        let rescued = rescue(&mut stage.second, &silent, &retry_lost, 0.0).await.unwrap();
        assert_eq!(rescued, Rescued { leases: 1, runs: usize::from(!commits), parked: 0 });
        assert_eq!(count(&mut stage.observer, "lease").await, 0);
        let ends: &[&str] = if commits { &[] } else { &["1:rescued"] };
        stage.ends_as(if commits { "waiting" } else { "scheduled" }, ends).await;
    }
}

#[tokio::test]
async fn a_callback_that_meets_a_rescue_that_parks_ends_the_run_all_the_same() {
    for commits in [true, false] {
        let mut stage = Stage::running().await;
        let wait_lost = |scan| LostPolicy { wait: Some(HOUR), ..retry_lost(scan) };
        let mut tx = stage.first.begin().await.unwrap();
        let rescued = rescue(&mut tx, &[stage.dispatcher.id], &wait_lost, 0.0).await.unwrap();
        assert_eq!(rescued, Rescued { leases: 1, runs: 0, parked: 1 });

        // Nobody waits: the lease is read without a lock.
        assert_eq!(complete(&mut stage.second, &stage.claimed).await, APPLIED);
        close(tx, commits).await;

        stage.ends_as("completed", &["1:completed"]).await;
    }
}

#[tokio::test]
async fn a_202_that_meets_a_rescue_that_parks_is_added_to_the_wait() {
    for commits in [true, false] {
        let mut stage = Stage::running().await;
        let wait_lost = |scan| LostPolicy { wait: Some(HOUR), ..retry_lost(scan) };
        let mut tx = stage.first.begin().await.unwrap();
        rescue(&mut tx, &[stage.dispatcher.id], &wait_lost, 0.0).await.unwrap();

        let pid = backend(&mut stage.second).await;
        let mut second = stage.second;
        let accepted = FakeDispatcher::accepted(&stage.claimed);
        let work = async move { park(&mut second, &[accepted], &[]).await.unwrap() };
        let parking = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        let parked = parking.await.unwrap();
        assert!(matches!(parked[..], [Parked::Waits { .. }]), "{parked:?}");
        assert_eq!(number(&mut stage.observer, "select http_status::bigint from posthaste.waiting").await, 202);
        assert_each_job_is_in_one_place(&mut stage.observer).await;
    }
}

/// 64 callers a wait, on 16 connections, for 200 waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_callers_at_once_exactly_one_is_told_applied() {
    const WAITS: usize = 200;
    let mut stage = Stage::running().await;
    run(&mut stage.observer, &format!("select posthaste.enqueue('k') from generate_series(1, {})", WAITS - 1)).await;
    let mut waits = stage.dispatcher.claim_any(200).await;
    waits.push(std::sync::Arc::new(stage.claimed.clone()));
    let leases: Vec<i64> = waits.iter().map(|run| run.lease.lease_id).collect();
    let parks: Vec<_> = waits.iter().map(|run| FakeDispatcher::accepted(run)).collect();
    park(&mut stage.first, &parks, &leases).await.unwrap();
    let due = late(&mut stage.observer).await;
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(16));
    let mut callers = Vec::new();
    for caller in 0..16_u8 {
        let mut connection = stage.db.connect(Role::Settle).await;
        let (waits, barrier) = (waits.clone(), std::sync::Arc::clone(&barrier));
        callers.push(tokio::spawn(async move {
            let mut applied = Vec::new();
            let mut swept = 0;
            barrier.wait().await;
            for run in &waits {
                for turn in 0..4_u8 {
                    let action = [Action::Complete, Action::Fail, Action::Cancel, Action::Complete][usize::from(turn)];
                    if caller == 15 {
                        swept += sweep(&mut connection, due).await;
                        continue;
                    }
                    let digest = caller.wrapping_mul(4).wrapping_add(turn);
                    let told = call(&mut connection, callback(run, action, digest)).await;
                    if matches!(told, Told::Applied { .. }) {
                        applied.push(run.job_id);
                    }
                }
            }
            (applied, swept)
        }));
    }
    let (mut applied, mut swept) = (Vec::new(), 0);
    for caller in callers {
        let (theirs, timed_out) = caller.await.unwrap();
        applied.extend(theirs);
        swept += timed_out;
    }
    let told = applied.len();
    applied.sort_unstable();
    applied.dedup();
    assert_eq!(applied.len(), told, "two callers were told that they ended one wait");
    assert_eq!(told + swept, WAITS);
    assert_eq!(count(&mut stage.observer, "attempt").await, i64::try_from(WAITS).unwrap());
    time_out(&mut stage.first, 1000, due, &policy, 0.0).await.unwrap();
    assert_eq!(count(&mut stage.observer, "waiting").await, 0);
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

#[tokio::test]
async fn ends_and_the_sweep_of_cancels_that_meet_on_many_jobs_never_wait_for_each_other() {
    let mut stage = Stage::waiting().await;
    enqueue(&mut stage.observer, "'k'").await;
    let other = stage.dispatcher.claim_one().await;
    stage.dispatcher.park(&other).await;
    for job in [stage.claimed.job_id, other.job_id] {
        cancel(&mut stage.observer, job, false).await;
    }
    run(&mut stage.observer, "update posthaste.cancel_request set due_at = now()").await;
    // The functions complete as their grace ends: both attempts are written, and the first request cannot be deleted yet.
    let mut holder = stage.db.patient(Role::General).await;
    run(
        &mut holder,
        &format!("begin; select from posthaste.cancel_request where job_id = {} for update", stage.claimed.job_id),
    )
    .await;
    let ends = [&stage.claimed, &*other].map(|claimed| callback(claimed, Action::Complete, 1));
    let (mut first, mut second) = (stage.first, stage.second);
    let pid = backend(&mut first).await;
    let ending =
        start_blocked(&mut stage.observer, pid, async move { finish(&mut first, &ends, TERMS, 0.0).await }).await;
    let pid = backend(&mut second).await;
    let sweeping = start_blocked(&mut stage.observer, pid, async move { grant_cancels(&mut second).await }).await;

    run(&mut holder, "rollback").await;

    let applied = Told::Applied { state: State::Completed };
    assert_eq!(ending.await.unwrap().unwrap(), [applied.clone(), applied]);
    assert_eq!(sweeping.await.unwrap().unwrap(), 0);
    assert_eq!(count(&mut stage.observer, "cancel_request").await, 0);
}

#[tokio::test]
async fn two_sweeps_of_cancels_at_once_cancel_each_job_once() {
    let mut stage = Stage::waiting().await;
    cancel(&mut stage.observer, stage.claimed.job_id, false).await;
    run(&mut stage.observer, "update posthaste.cancel_request set due_at = now()").await;
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(grant_cancels(&mut tx).await.unwrap(), 1);
    let mut second = stage.second;
    let pid = backend(&mut second).await;
    let sweeping = start_blocked(&mut stage.observer, pid, async move { grant_cancels(&mut second).await }).await;
    tx.commit().await.unwrap();
    assert_eq!(sweeping.await.unwrap().unwrap(), 0);
    assert_eq!(attempts(&mut stage.observer, stage.claimed.job_id).await, ["1:cancelled"]);
    assert_eq!(count(&mut stage.observer, "cancel_request").await, 0);
}

/// One caller's word on one wait. As the product does, a statement that met a lock for too long is issued again.
async fn call(connection: &mut PgConnection, call: CallbackEnd) -> Told {
    loop {
        match finish(connection, std::slice::from_ref(&call), TERMS, 0.0).await {
            Err(error) if error.is_divisible() => {}
            told => return told.unwrap().remove(0),
        }
    }
}

/// One sweep of the deadlines.
async fn sweep(connection: &mut PgConnection, due: Option<DateTime<Utc>>) -> usize {
    loop {
        match time_out(connection, 1, due, &policy, 0.0).await {
            Err(error) if error.is_divisible() => {}
            swept => return swept.unwrap().runs,
        }
    }
}

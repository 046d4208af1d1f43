//! Forced interleavings around suspended runs: whatever meets, the function is woken once, and no signal is lost.

use posthaste_engine::{
    callback::{Told, finish},
    claim::ClaimedRun,
    held::held,
    inbox,
    rescue::{LostPolicy, Rescued, rescue, retry_lost},
    resume::Signalled,
    session::Role,
    suspend::{Suspended, suspend},
    time_out::{TimedOut, time_out},
};
use posthaste_protocol::{action::Action, job::State};
use posthaste_tests::{
    FakeDispatcher, HOUR, TestDb,
    sql::{assert_each_job_is_in_one_place, attempts, backend, cancel, count, run, start_blocked, state},
    storm::{CALLERS_PER_WAIT, storm},
};
use sqlx::{Connection, PgConnection, Postgres, Transaction};

use crate::{
    callback::{TERMS, callback, policy},
    suspend::{ONE, TWO_OF_THREE, after, reference, send, setup, signal, suspend_one},
};

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
        let (db, observer, dispatcher, claimed) = setup().await;
        let (first, second) = (db.patient(Role::Settle).await, db.patient(Role::Settle).await);
        Self { db, observer, first, second, claimed, dispatcher }
    }

    async fn suspended(body: &str) -> Self {
        let mut stage = Self::running().await;
        assert_eq!(suspend_one(&mut stage.observer, &stage.claimed, body).await, Suspended::Waits);
        stage
    }

    /// The job is so, after these ends, and nothing is left of waits.
    async fn ends_as(mut self, expected: &str, ends: &[&str]) {
        assert_eq!(state(&mut self.observer, self.claimed.job_id).await, expected);
        assert_eq!(attempts(&mut self.observer, self.claimed.job_id).await, ends);
        if expected != "waiting" {
            let late = after(&mut self.observer, 100_000.0).await;
            time_out(&mut self.observer, 10, late, &policy, 0.0).await.unwrap();
            assert_eq!((count(&mut self.observer, "waiting").await, count(&mut self.observer, "wait").await), (0, 0));
        }
        assert_each_job_is_in_one_place(&mut self.observer).await;
    }
}

async fn close(tx: Transaction<'_, Postgres>, commits: bool) {
    let closed = if commits { tx.commit().await } else { tx.rollback().await };
    closed.unwrap();
}

async fn complete(connection: &mut PgConnection, claimed: &ClaimedRun) -> Told {
    finish(connection, &[callback(claimed, Action::Complete, 9)], TERMS, 0.0).await.unwrap().remove(0)
}

const WOKEN: Signalled = Signalled::Applied { state: State::Available };

#[tokio::test]
async fn a_signal_that_meets_an_open_suspension_is_seen_by_it_or_sees_it() {
    for commits in [true, false] {
        let mut stage = Stage::running().await;
        // The suspension has written its waits and not committed; the signal does not wait for it.
        let mut tx = stage.first.begin().await.unwrap();
        let body = FakeDispatcher::suspended(&stage.claimed, ONE);
        assert_eq!(suspend(&mut tx, std::slice::from_ref(&body), &[]).await.unwrap(), [Suspended::Waits]);
        let told = send(&mut stage.second, signal(&stage.claimed, None, "1", 1)).await;
        assert_eq!(told, Signalled::Buffered);
        close(tx, commits).await;

        // The product looks after its commit, which this test's transaction kept open.
        let told = suspend(&mut stage.observer, &[body], &[]).await.unwrap();
        assert_eq!(told, [Suspended::Waits]);
        assert_eq!(count(&mut stage.observer, "inbox").await, 0);
        stage.ends_as("available", &["1:suspended"]).await;
    }
}

#[tokio::test]
async fn a_signal_that_is_being_kept_while_its_run_suspends_looks_again() {
    let mut stage = Stage::running().await;
    // Kept by a gateway that has not looked yet: the suspension looks before this commits, and does not see it.
    let mut tx = stage.first.begin().await.unwrap();
    let early = signal(&stage.claimed, None, "1", 1);
    assert_eq!(send(&mut tx, early.clone()).await, Signalled::Buffered);
    assert_eq!(suspend_one(&mut stage.observer, &stage.claimed, ONE).await, Suspended::Waits);
    tx.commit().await.unwrap();
    assert_eq!(state(&mut stage.observer, stage.claimed.job_id).await, "waiting");

    run(&mut stage.observer, "update posthaste.inbox set look_at = now()").await;
    assert_eq!(inbox::sweep(&mut stage.second, 10).await.unwrap().met, 1);
    stage.ends_as("available", &["1:suspended"]).await;
}

#[tokio::test]
async fn a_signal_that_was_held_up_until_its_run_was_suspended_sees_the_wait() {
    let mut stage = Stage::running().await;
    // The same signal is being kept by another gateway, and this one waits for it.
    let mut tx = stage.first.begin().await.unwrap();
    let early = signal(&stage.claimed, None, "1", 1);
    assert_eq!(send(&mut tx, early.clone()).await, Signalled::Buffered);
    let pid = backend(&mut stage.second).await;
    let mut second = stage.second;
    let sending = start_blocked(&mut stage.observer, pid, async move { send(&mut second, early).await }).await;
    assert_eq!(suspend_one(&mut stage.observer, &stage.claimed, ONE).await, Suspended::Waits);
    assert_eq!(state(&mut stage.observer, stage.claimed.job_id).await, "waiting");
    tx.rollback().await.unwrap();

    assert_eq!(sending.await.unwrap(), WOKEN);
    stage.second = stage.db.connect(Role::Settle).await;
    stage.ends_as("available", &["1:suspended"]).await;
}

#[tokio::test]
async fn of_two_signals_for_the_last_wait_the_second_waits_and_is_told() {
    for commits in [true, false] {
        let mut stage = Stage::suspended(ONE).await;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(send(&mut tx, signal(&stage.claimed, None, "1", 1)).await, WOKEN);

        let pid = backend(&mut stage.second).await;
        let (mut second, other) = (stage.second, signal(&stage.claimed, None, "2", 2));
        let sending = start_blocked(&mut stage.observer, pid, async move { send(&mut second, other).await }).await;
        close(tx, commits).await;

        let told = sending.await.unwrap();
        if commits {
            let over = matches!(&told, Signalled::Told(Told::AlreadyFinalized { state: State::Available, winner })
                if winner.as_ref().is_some_and(|winner| winner.outcome == "suspended"));
            assert!(over || matches!(told, Signalled::Told(Told::LeaseSuperseded { .. })), "{told:?}");
        } else {
            assert_eq!(told, WOKEN);
        }
        stage.second = stage.db.connect(Role::Settle).await;
        stage.ends_as("available", &["1:suspended"]).await;
    }
}

#[tokio::test]
async fn two_signals_at_once_that_are_needed_both_wake_once() {
    for commits in [true, false] {
        let mut stage = Stage::suspended(TWO_OF_THREE).await;
        let mut tx = stage.first.begin().await.unwrap();
        let kept = Signalled::Applied { state: State::Waiting };
        assert_eq!(send(&mut tx, signal(&stage.claimed, None, "1", 1)).await, kept);

        let pid = backend(&mut stage.second).await;
        let (mut second, other) = (stage.second, signal(&stage.claimed, None, "2", 2));
        let sending = start_blocked(&mut stage.observer, pid, async move { send(&mut second, other).await }).await;
        close(tx, commits).await;

        assert_eq!(sending.await.unwrap(), if commits { WOKEN } else { kept });
        stage.second = stage.db.connect(Role::Settle).await;
        let ends: &[&str] = if commits { &["1:suspended"] } else { &[] };
        stage.ends_as(if commits { "available" } else { "waiting" }, ends).await;
    }
}

#[tokio::test]
async fn a_time_out_passes_by_what_a_signal_holds_and_a_signal_waits_for_a_time_out() {
    for commits in [true, false] {
        let mut stage = Stage::suspended(ONE).await;
        let due = after(&mut stage.observer, 3601.0).await;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(send(&mut tx, signal(&stage.claimed, None, "1", 1)).await, WOKEN);
        assert_eq!(time_out(&mut stage.second, 10, due, &policy, 0.0).await.unwrap(), TimedOut::default());
        close(tx, commits).await;
        if !commits {
            let mut tx = stage.first.begin().await.unwrap();
            let woken = TimedOut { runs: 0, woken: 1, rows: 1 };
            assert_eq!(time_out(&mut tx, 10, due, &policy, 0.0).await.unwrap(), woken);
            let pid = backend(&mut stage.second).await;
            let (mut second, late) = (stage.second, signal(&stage.claimed, None, "1", 1));
            let sending = start_blocked(&mut stage.observer, pid, async move { send(&mut second, late).await }).await;
            tx.commit().await.unwrap();
            assert!(matches!(sending.await.unwrap(), Signalled::Told(_)));
            stage.second = stage.db.connect(Role::Settle).await;
        }
        assert_eq!(stage.dispatcher.claim_one().await.resume.clone().unwrap().timed_out, !commits);
        stage.ends_as("running", &["1:suspended"]).await;
    }
}

#[tokio::test]
async fn a_signal_that_meets_a_completion_waits_and_is_told() {
    for commits in [true, false] {
        let mut stage = Stage::suspended(ONE).await;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(complete(&mut tx, &stage.claimed).await, Told::Applied { state: State::Completed });

        let pid = backend(&mut stage.second).await;
        let (mut second, late) = (stage.second, signal(&stage.claimed, None, "1", 1));
        let sending = start_blocked(&mut stage.observer, pid, async move { send(&mut second, late).await }).await;
        close(tx, commits).await;

        let told = sending.await.unwrap();
        if commits {
            assert!(matches!(told, Signalled::Told(Told::AlreadyFinalized { .. })), "{told:?}");
        } else {
            assert_eq!(told, WOKEN);
        }
        stage.second = stage.db.connect(Role::Settle).await;
        let (expected, end) = if commits { ("completed", "1:completed") } else { ("available", "1:suspended") };
        stage.ends_as(expected, &[end]).await;
    }
}

#[tokio::test]
async fn a_completion_that_meets_a_wake_waits_and_is_told() {
    for commits in [true, false] {
        let mut stage = Stage::suspended(ONE).await;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(send(&mut tx, signal(&stage.claimed, None, "1", 1)).await, WOKEN);

        let pid = backend(&mut stage.second).await;
        let (mut second, claimed) = (stage.second, stage.claimed.clone());
        let work = async move { complete(&mut second, &claimed).await };
        let completing = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        let told = completing.await.unwrap();
        assert_eq!(matches!(told, Told::Applied { .. }), !commits, "{told:?}");
        stage.second = stage.db.connect(Role::Settle).await;
        let (expected, end) = if commits { ("available", "1:suspended") } else { ("completed", "1:completed") };
        stage.ends_as(expected, &[end]).await;
    }
}

#[tokio::test]
async fn a_completion_that_meets_a_signal_which_wakes_nobody_yet_takes_what_it_left() {
    let mut stage = Stage::suspended(TWO_OF_THREE).await;
    let mut tx = stage.first.begin().await.unwrap();
    send(&mut tx, signal(&stage.claimed, None, "1", 1)).await;
    // Nobody waits: the rows that the signal holds are left to the sweep.
    assert_eq!(complete(&mut stage.second, &stage.claimed).await, Told::Applied { state: State::Completed });
    tx.commit().await.unwrap();
    stage.ends_as("completed", &["1:completed"]).await;
}

#[tokio::test]
async fn a_forced_cancel_that_meets_a_wake_ends_the_run_that_follows() {
    for commits in [true, false] {
        let mut stage = Stage::suspended(ONE).await;
        let id = stage.claimed.job_id;
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(send(&mut tx, signal(&stage.claimed, None, "1", 1)).await, WOKEN);

        let mut other = stage.db.patient(Role::General).await;
        let pid = backend(&mut other).await;
        let work = async move { cancel(&mut other, id, true).await };
        let cancelling = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        assert_eq!(cancelling.await.unwrap(), "cancelled");
        let ends: &[&str] = if commits { &["1:suspended", "2:cancelled"] } else { &["1:cancelled"] };
        stage.ends_as("cancelled", ends).await;
    }
}

#[tokio::test]
async fn a_rescue_that_meets_a_suspension_passes_the_lease_by() {
    for commits in [true, false] {
        let mut stage = Stage::running().await;
        let mut tx = stage.first.begin().await.unwrap();
        suspend(&mut tx, &[FakeDispatcher::suspended(&stage.claimed, ONE)], &[]).await.unwrap();
        let silent = [stage.dispatcher.id];
        assert_eq!(rescue(&mut stage.second, &silent, &retry_lost, 0.0).await.unwrap(), Rescued::default());
        close(tx, commits).await;

        rescue(&mut stage.second, &silent, &retry_lost, 0.0).await.unwrap();
        assert_eq!(count(&mut stage.observer, "lease").await, 0);
        let ends: &[&str] = if commits { &[] } else { &["1:rescued"] };
        stage.ends_as(if commits { "waiting" } else { "scheduled" }, ends).await;
    }
}

#[tokio::test]
async fn a_suspension_that_meets_a_rescue_is_added_to_its_wait_or_finds_the_run_over() {
    for (wait, expected) in [(Some(HOUR), Suspended::Waits), (None, Suspended::Ended)] {
        let mut stage = Stage::running().await;
        let lost = |scan| LostPolicy { wait, ..retry_lost(scan) };
        let mut tx = stage.first.begin().await.unwrap();
        rescue(&mut tx, &[stage.dispatcher.id], &lost, 0.0).await.unwrap();

        let pid = backend(&mut stage.second).await;
        let (mut second, body) = (stage.second, FakeDispatcher::suspended(&stage.claimed, ONE));
        let work = async move { suspend(&mut second, &[body], &[]).await.unwrap().remove(0) };
        let suspending = start_blocked(&mut stage.observer, pid, work).await;
        tx.commit().await.unwrap();

        assert_eq!(suspending.await.unwrap(), expected);
        let waits = i64::from(wait.is_some());
        assert_eq!(count(&mut stage.observer, "wait").await, waits);
        assert_eq!(count(&mut stage.observer, "waiting where need = 1").await, waits);
        assert_eq!(held(&mut stage.observer, &[reference(&stage.claimed)]).await.unwrap()[0].is_some(), wait.is_some());
        assert_each_job_is_in_one_place(&mut stage.observer).await;
    }
}

/// 64 callers a wait, for 200 waits: complete, fail, signals, and time-outs. `make bench` does it for 20,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_callers_at_once_exactly_one_ends_each_wait_and_the_others_are_told_who() {
    const WAITS: usize = 200;
    let db = TestDb::new().await;

    let tally = storm(db.url(), WAITS).await;

    assert_eq!(tally.once, WAITS, "each wait is ended by exactly one: {tally:?}");
    assert_eq!((tally.contradicted, tally.answers), (0, WAITS * CALLERS_PER_WAIT), "{tally:?}");
    assert!(tally.won.len() > 1, "nobody wins always: {tally:?}");
}

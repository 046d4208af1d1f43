//! Forced interleavings: one verb stands in an open transaction while another meets what it did. Whoever wins, each job
//! ends or lives exactly once, and is never nowhere.

use chrono::{DateTime, Utc};
use posthaste_engine::{
    finalize::{EndedBy, Settled, settle},
    lifecycle::Outcome,
    promote::promote,
    rescue::{Rescued, release_unknown, rescue, retry_lost},
    session::Role,
    sweep,
};
use posthaste_tests::{
    FakeDispatcher, TestDb, failed,
    sql::{
        assert_each_job_is_in_one_place, attempts, backend, cancel, count, enqueue, run, start_blocked, state,
        wait_until_blocked,
    },
};
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::task::JoinHandle;

/// A database, one who looks, and two who act: the first in a transaction, the second on its own.
struct Stage {
    db: TestDb,
    observer: PgConnection,
    first: PgConnection,
    second: PgConnection,
    dispatcher: FakeDispatcher,
}

impl Stage {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let observer = db.connect(Role::General).await;
        let first = db.patient(Role::Settle).await;
        let second = db.patient(Role::Settle).await;
        let dispatcher = FakeDispatcher::start(&db).await;
        Self { db, observer, first, second, dispatcher }
    }

    async fn enqueue(&mut self, arguments: &str) -> i64 {
        enqueue(&mut self.observer, arguments).await
    }

    /// Starts a cancel on the second connection, which the first one's transaction blocks.
    async fn blocked_cancel(&mut self, job: i64, force: bool) -> JoinHandle<String> {
        let mut second = self.db.patient(Role::General).await;
        let pid = backend(&mut second).await;
        start_blocked(&mut self.observer, pid, async move { cancel(&mut second, job, force).await }).await
    }

    /// The end of every race.
    async fn ends_as(mut self, job: i64, expected: &str) {
        assert_eq!(state(&mut self.observer, job).await, expected);
        assert_each_job_is_in_one_place(&mut self.observer).await;
    }
}

async fn far_future(connection: &mut PgConnection) -> Option<DateTime<Utc>> {
    Some(sqlx::query_scalar("select now() + interval '1000 days'").fetch_one(connection).await.unwrap())
}

async fn close(tx: Transaction<'_, Postgres>, commits: bool) {
    let closed = if commits { tx.commit().await } else { tx.rollback().await };
    closed.unwrap();
}

const COMPLETED: Outcome = Outcome::Completed { result: None };

#[tokio::test]
async fn a_cancel_that_meets_a_promote_finds_the_job_where_it_went() {
    for commits in [true, false] {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k', delay_ms => 60000").await;
        let due = far_future(&mut stage.observer).await;
        run(&mut stage.first, "begin").await;
        assert_eq!(promote(&mut stage.first, 10, due).await.unwrap().count, 1);

        let cancelling = stage.blocked_cancel(id, false).await;
        run(&mut stage.first, if commits { "commit" } else { "rollback" }).await;

        assert_eq!(cancelling.await.unwrap(), "cancelled");
        assert_eq!(attempts(&mut stage.observer, id).await, ["1:cancelled"]);
        stage.ends_as(id, "cancelled").await;
    }
}

#[tokio::test]
async fn a_promote_that_meets_a_cancel_leaves_the_job_to_it() {
    for (commits, expected) in [(true, "cancelled"), (false, "scheduled")] {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k', delay_ms => 60000").await;
        let due = far_future(&mut stage.observer).await;
        run(&mut stage.first, "begin").await;
        assert_eq!(cancel(&mut stage.first, id, false).await, "cancelled");

        assert_eq!(promote(&mut stage.second, 10, due).await.unwrap().count, 0);
        run(&mut stage.first, if commits { "commit" } else { "rollback" }).await;

        stage.ends_as(id, expected).await;
    }
}

#[tokio::test]
async fn a_cancel_that_meets_a_claim_asks_the_run_to_stop_or_ends_it_by_force() {
    for (force, expected) in [(false, "running"), (true, "cancelled")] {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k'").await;
        run(&mut stage.dispatcher.claims, "begin").await;
        let claimed = stage.dispatcher.claim_one().await;

        let cancelling = stage.blocked_cancel(id, force).await;
        run(&mut stage.dispatcher.claims, "commit").await;

        assert_eq!(cancelling.await.unwrap(), expected);
        // Asked either way, so that the dispatcher drops its open POST.
        assert_eq!(count(&mut stage.observer, "cancel_request").await, 1);
        let end = FakeDispatcher::end(&claimed, failed("http_500"));
        let settled = stage.dispatcher.settle(&[end]).await;
        assert_eq!(settled, [if force { Settled::Superseded } else { Settled::Applied }]);
        assert_eq!(attempts(&mut stage.observer, id).await, ["1:cancelled"]);
        stage.ends_as(id, "cancelled").await;
    }
}

#[tokio::test]
async fn a_cancel_that_meets_a_claim_which_rolls_back_ends_the_job() {
    let mut stage = Stage::new().await;
    let id = stage.enqueue("'k'").await;
    run(&mut stage.dispatcher.claims, "begin").await;
    stage.dispatcher.claim_one().await;

    let cancelling = stage.blocked_cancel(id, false).await;
    run(&mut stage.dispatcher.claims, "rollback").await;

    assert_eq!(cancelling.await.unwrap(), "cancelled");
    stage.ends_as(id, "cancelled").await;
}

#[tokio::test]
async fn a_claim_that_meets_a_cancel_passes_the_job_by() {
    for (commits, expected) in [(true, "cancelled"), (false, "available")] {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k'").await;
        run(&mut stage.first, "begin").await;
        assert_eq!(cancel(&mut stage.first, id, false).await, "cancelled");

        assert!(stage.dispatcher.claim_any(10).await.is_empty());
        run(&mut stage.first, if commits { "commit" } else { "rollback" }).await;

        assert_eq!(stage.dispatcher.claim_any(10).await.len(), usize::from(!commits));
        stage.ends_as(id, if commits { expected } else { "running" }).await;
    }
}

#[tokio::test]
async fn a_forced_cancel_that_meets_a_retry_ends_the_next_run() {
    for commits in [true, false] {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k'").await;
        let claimed = stage.dispatcher.claim_one().await;
        let end = FakeDispatcher::end(&claimed, failed("http_500"));
        let mut tx = stage.first.begin().await.unwrap();
        let settled = settle(&mut tx, &[end], EndedBy::Dispatcher, &[claimed.lease.lease_id]).await.unwrap();
        assert_eq!(settled, [Settled::Applied]);

        let mut second = stage.db.patient(Role::General).await;
        let pid = backend(&mut second).await;
        let work = async move { cancel(&mut second, id, true).await };
        let cancelling = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        assert_eq!(cancelling.await.unwrap(), "cancelled");
        let expected: &[&str] = if commits { &["1:retried", "2:cancelled"] } else { &["1:cancelled"] };
        assert_eq!(attempts(&mut stage.observer, id).await, expected);
        stage.ends_as(id, "cancelled").await;
    }
}

#[tokio::test]
async fn a_request_to_cancel_that_a_retry_did_not_see_is_granted_by_the_sweep() {
    let mut stage = Stage::new().await;
    let id = stage.enqueue("'k'").await;
    let claimed = stage.dispatcher.claim_one().await;
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(cancel(&mut tx, id, false).await, "running");

    stage.dispatcher.finish(&claimed, failed("http_500")).await;
    tx.commit().await.unwrap();

    assert_eq!(state(&mut stage.observer, id).await, "scheduled");
    assert_eq!(sweep::grant_cancels(&mut stage.second).await.unwrap(), 1);
    assert_eq!(attempts(&mut stage.observer, id).await, ["1:retried", "2:cancelled"]);
    assert_eq!(count(&mut stage.observer, "cancel_request").await, 0);
    stage.ends_as(id, "cancelled").await;
}

#[tokio::test]
async fn of_two_cancels_at_once_one_ends_the_job_and_both_say_so() {
    for commits in [true, false] {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k'").await;
        run(&mut stage.first, "begin").await;
        assert_eq!(cancel(&mut stage.first, id, false).await, "cancelled");

        let cancelling = stage.blocked_cancel(id, false).await;
        run(&mut stage.first, if commits { "commit" } else { "rollback" }).await;

        assert_eq!(cancelling.await.unwrap(), "cancelled");
        assert_eq!(attempts(&mut stage.observer, id).await, ["1:cancelled"]);
        stage.ends_as(id, "cancelled").await;
    }
}

#[tokio::test]
async fn a_rescue_that_meets_a_finalize_leaves_the_run_to_it() {
    for (commits, expected, runs) in [(true, "completed", 0), (false, "scheduled", 1)] {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k'").await;
        let claimed = stage.dispatcher.claim_one().await;
        let end = FakeDispatcher::end(&claimed, COMPLETED);
        let mut tx = stage.first.begin().await.unwrap();
        assert_eq!(settle(&mut tx, &[end], EndedBy::Dispatcher, &[]).await.unwrap(), [Settled::Applied]);

        let (silent, pid) = (stage.dispatcher.id, backend(&mut stage.second).await);
        let mut second = stage.second;
        let work = async move { rescue(&mut second, &[silent], &retry_lost, 0.0).await.unwrap() };
        let rescuing = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        assert_eq!(rescuing.await.unwrap(), Rescued { leases: 1, runs, parked: 0 });
        assert_eq!(count(&mut stage.observer, "lease").await, 0);
        assert_eq!(attempts(&mut stage.observer, id).await.len(), 1);
        assert_eq!(state(&mut stage.observer, id).await, expected);
        assert_each_job_is_in_one_place(&mut stage.observer).await;
    }
}

#[tokio::test]
async fn a_finalize_that_meets_a_rescue_is_told_that_it_lost() {
    for (commits, expected, told) in [(true, "scheduled", Settled::Superseded), (false, "completed", Settled::Applied)]
    {
        let mut stage = Stage::new().await;
        let id = stage.enqueue("'k'").await;
        let claimed = stage.dispatcher.claim_one().await;
        let end = FakeDispatcher::end(&claimed, COMPLETED);
        let mut tx = stage.first.begin().await.unwrap();
        let rescued = rescue(&mut tx, &[stage.dispatcher.id], &retry_lost, 0.0).await.unwrap();
        assert_eq!(rescued, Rescued { leases: 1, runs: 1, parked: 0 });

        let pid = backend(&mut stage.second).await;
        let mut second = stage.second;
        let work = async move { settle(&mut second, &[end], EndedBy::Dispatcher, &[]).await.unwrap() };
        let settling = start_blocked(&mut stage.observer, pid, work).await;
        close(tx, commits).await;

        assert_eq!(settling.await.unwrap(), [told]);
        assert_eq!(attempts(&mut stage.observer, id).await.len(), 1);
        assert_eq!(state(&mut stage.observer, id).await, expected);
        assert_each_job_is_in_one_place(&mut stage.observer).await;
    }
}

#[tokio::test]
async fn two_rescues_at_once_share_the_leases_without_waiting() {
    let mut stage = Stage::new().await;
    for _ in 0..10 {
        stage.enqueue("'k'").await;
        stage.dispatcher.claim_one().await;
    }
    let silent = [stage.dispatcher.id];
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(rescue(&mut tx, &silent, &retry_lost, 0.0).await.unwrap(), Rescued { leases: 8, runs: 8, parked: 0 });

    assert_eq!(
        rescue(&mut stage.second, &silent, &retry_lost, 0.0).await.unwrap(),
        Rescued { leases: 2, runs: 2, parked: 0 }
    );
    assert_eq!(rescue(&mut stage.second, &silent, &retry_lost, 0.0).await.unwrap(), Rescued::default());
    tx.commit().await.unwrap();

    assert_eq!(count(&mut stage.observer, "attempt").await, 10);
    assert_eq!(count(&mut stage.observer, "lease").await, 0);
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

#[tokio::test]
async fn a_forced_cancel_that_meets_a_rescue_ends_the_rescued_run() {
    let mut stage = Stage::new().await;
    let id = stage.enqueue("'k'").await;
    stage.dispatcher.claim_one().await;
    let silent = [stage.dispatcher.id];
    let mut second = stage.db.patient(Role::General).await;
    let pid = backend(&mut second).await;
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(rescue(&mut tx, &silent, &retry_lost, 0.0).await.unwrap().runs, 1);

    let work = async move { cancel(&mut second, id, true).await };
    let cancelling = start_blocked(&mut stage.observer, pid, work).await;
    tx.commit().await.unwrap();

    assert_eq!(cancelling.await.unwrap(), "cancelled");
    assert_eq!(attempts(&mut stage.observer, id).await, ["1:rescued", "2:cancelled"]);
    stage.ends_as(id, "cancelled").await;
}

#[tokio::test]
async fn a_late_end_of_a_run_that_was_given_back_is_told_that_it_lost() {
    let mut stage = Stage::new().await;
    let id = stage.enqueue("'k'").await;
    let claimed = stage.dispatcher.claim_one().await;
    let end = FakeDispatcher::end(&claimed, COMPLETED);
    let pid = backend(&mut stage.second).await;
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(release_unknown(&mut tx, stage.dispatcher.id, &[], i64::MAX).await.unwrap(), 1);

    let mut second = stage.second;
    let work = async move { settle(&mut second, &[end], EndedBy::Dispatcher, &[]).await.unwrap() };
    let settling = start_blocked(&mut stage.observer, pid, work).await;
    tx.commit().await.unwrap();

    assert_eq!(settling.await.unwrap(), [Settled::Superseded]);
    assert_eq!(attempts(&mut stage.observer, id).await, ["1:released"]);
    assert_eq!(stage.dispatcher.claim_one().await.run_lease, 2);
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

#[tokio::test]
async fn a_give_back_that_meets_a_late_end_leaves_the_run_to_it() {
    let mut stage = Stage::new().await;
    let id = stage.enqueue("'k'").await;
    let claimed = stage.dispatcher.claim_one().await;
    let end = FakeDispatcher::end(&claimed, COMPLETED);
    let (owner, pid) = (stage.dispatcher.id, backend(&mut stage.second).await);
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(settle(&mut tx, &[end], EndedBy::Dispatcher, &[]).await.unwrap(), [Settled::Applied]);

    let mut second = stage.second;
    let work = async move { release_unknown(&mut second, owner, &[], i64::MAX).await.unwrap() };
    let releasing = start_blocked(&mut stage.observer, pid, work).await;
    tx.commit().await.unwrap();

    assert_eq!(releasing.await.unwrap(), 0);
    assert_eq!(count(&mut stage.observer, "lease").await, 0);
    assert_eq!(state(&mut stage.observer, id).await, "completed");
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

#[tokio::test]
async fn two_promotes_at_once_move_each_run_once_without_waiting() {
    let mut stage = Stage::new().await;
    for _ in 0..6 {
        stage.enqueue("'k', delay_ms => 60000").await;
    }
    let due = far_future(&mut stage.observer).await;
    run(&mut stage.first, "begin").await;
    assert_eq!(promote(&mut stage.first, 4, due).await.unwrap().count, 4);
    assert_eq!(promote(&mut stage.second, 10, due).await.unwrap().count, 2);
    run(&mut stage.first, "commit").await;

    assert_eq!((count(&mut stage.observer, "ready").await, count(&mut stage.observer, "scheduled").await), (6, 0));
    assert_eq!(stage.dispatcher.claim_any(10).await.len(), 6);
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

#[tokio::test]
async fn a_promote_that_commits_late_is_claimed_although_claims_went_past_it() {
    let mut stage = Stage::new().await;
    let late = stage.enqueue("'k', delay_ms => 60000").await;
    let due = far_future(&mut stage.observer).await;
    run(&mut stage.first, "begin").await;
    assert_eq!(promote(&mut stage.first, 10, due).await.unwrap().count, 1);
    for _ in 0..4 {
        let id = stage.enqueue("'k'").await;
        assert_eq!(stage.dispatcher.claim_one().await.job_id, id);
    }
    run(&mut stage.first, "commit").await;

    assert_eq!(stage.dispatcher.claim_one().await.job_id, late);
    stage.ends_as(late, "running").await;
}

#[tokio::test]
async fn a_retry_that_commits_late_is_claimed_although_claims_went_past_it() {
    let mut stage = Stage::new().await;
    let late = stage.enqueue("'k'").await;
    let claimed = stage.dispatcher.claim_one().await;
    let end = FakeDispatcher::end(&claimed, Outcome::Released);
    let mut tx = stage.first.begin().await.unwrap();
    assert_eq!(settle(&mut tx, &[end], EndedBy::Dispatcher, &[]).await.unwrap(), [Settled::Applied]);
    for _ in 0..4 {
        let id = enqueue(&mut stage.observer, "'k'").await;
        assert_eq!(stage.dispatcher.claim_one().await.job_id, id);
    }
    tx.commit().await.unwrap();

    let again = stage.dispatcher.claim_one().await;
    assert_eq!((again.job_id, again.run_lease), (late, 2));
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

#[tokio::test]
async fn a_finalize_gives_up_its_batch_when_one_run_of_it_is_held_by_an_open_cancel() {
    let mut stage = Stage::new().await;
    run(&mut stage.observer, "select posthaste.enqueue('k') from generate_series(1, 3)").await;
    let runs = stage.dispatcher.claim_any(10).await;
    run(&mut stage.first, "begin").await;
    assert_eq!(cancel(&mut stage.first, runs[1].job_id, true).await, "cancelled");
    let ends: Vec<_> = runs.iter().map(|run| FakeDispatcher::end(run, COMPLETED)).collect();

    // As in the product: 100 ms, and then in halves, so that the innocent do not wait.
    let refused = settle(&mut stage.dispatcher.settles, &ends, EndedBy::Dispatcher, &[]).await.unwrap_err();
    assert!(refused.is_divisible(), "{refused:?}");
    assert_eq!(stage.dispatcher.settle(&ends[..1]).await, [Settled::Applied]);
    assert_eq!(stage.dispatcher.settle(&ends[2..]).await, [Settled::Applied]);
    let pid = backend(&mut stage.second).await;
    let (mut second, guilty) = (stage.second, ends[1].clone());
    let waiting = tokio::spawn(async move { settle(&mut second, &[guilty], EndedBy::Dispatcher, &[]).await.unwrap() });
    wait_until_blocked(&mut stage.observer, pid).await;
    run(&mut stage.first, "commit").await;

    assert_eq!(waiting.await.unwrap(), [Settled::Superseded]);
    assert_eq!(count(&mut stage.observer, "attempt").await, 3);
    assert_each_job_is_in_one_place(&mut stage.observer).await;
}

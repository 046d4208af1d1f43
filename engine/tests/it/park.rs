//! Park: what a 202 writes, and every order in which it meets the end of its run.

use std::time::Duration;

use posthaste_engine::{
    claim::Lease,
    finalize::{EndedBy, Settled, settle},
    held::{RunRef, held},
    lifecycle::{Outcome, wait::WaitTimes},
    park::{Park, Parked, park},
    rescue::{Rescued, rescue, retry_lost},
    session::Role,
};
use posthaste_tests::{
    FakeDispatcher, TestDb, failed,
    sql::{assert_each_job_is_in_one_place, attempts, backend, count, enqueue, job, run, start_blocked, state, text},
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const COMPLETED: Outcome = Outcome::Completed { result: None };
/// The one parked run: its deadline and hard end, as seconds after the park.
const DEADLINES: &str =
    "select concat_ws(' ', run_lease, http_status, extract(epoch from deadline_at - parked_at)::int,
    extract(epoch from hard_at - parked_at)::int) from posthaste.waiting";

async fn setup() -> (TestDb, PgConnection, FakeDispatcher) {
    let db = TestDb::new().await;
    let connection = db.connect(Role::General).await;
    let dispatcher = FakeDispatcher::start(&db).await;
    (db, connection, dispatcher)
}

fn silent(mut parked: Park) -> Park {
    parked.run.http_status = None;
    parked
}

#[tokio::test]
async fn a_parked_run_waits_and_its_lease_is_gone() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k', priority => 3").await;
    let claimed = dispatcher.claim_one().await;

    dispatcher.park(&claimed).await;

    assert_eq!(count(&mut connection, "lease").await, 0);
    let shown = job(&mut connection, id).await;
    assert_eq!((shown.state.as_str(), shown.attempt, shown.run_lease), ("waiting", 1, 1));
    assert_eq!(text(&mut connection, DEADLINES).await, "1 202 3600 86400");
    let run = RunRef { lease: claimed.lease, job_id: id, run_lease: 1 };
    let found = held(&mut connection, &[run]).await.unwrap().remove(0).unwrap();
    assert_eq!((found.scan, found.spent.failures, found.max_attempts), (claimed.scan, 0, 25));
    assert!(found.waits && found.http_status == Some(202));
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn the_silence_that_the_function_asked_for_is_the_deadline_and_never_past_the_hard_end() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    for (heartbeat, max_run, deadline) in [(60, 600, "1 202 60 600"), (700, 600, "1 202 600 600")] {
        run(&mut connection, "truncate posthaste.waiting").await;
        enqueue(&mut connection, "'k'").await;
        let claimed = dispatcher.claim_one().await;
        let times = WaitTimes {
            callback: Duration::from_hours(1),
            heartbeat: Some(Duration::from_secs(heartbeat)),
            max_run: Duration::from_secs(max_run),
        };
        let parked = Park { times, ..FakeDispatcher::accepted(&claimed) };
        park(&mut connection, &[parked], &[]).await.unwrap();
        assert_eq!(text(&mut connection, DEADLINES).await, deadline);
    }
}

#[tokio::test]
async fn a_batch_tells_what_became_of_each() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 4)").await;
    let runs = dispatcher.claim_any(10).await;
    let lease = runs[0].lease;
    dispatcher.settle(&[FakeDispatcher::end(&runs[1], COMPLETED)]).await;
    let mut parks: Vec<Park> = runs.iter().rev().map(|run| FakeDispatcher::accepted(run)).collect();
    parks[0].run.run.lease = Lease { nonce: Uuid::nil(), ..lease };

    let parked = park(&mut connection, &parks, &[]).await.unwrap();

    assert_eq!(parked[0], Parked::Refused, "another nonce");
    assert!(matches!(parked[1], Parked::Waits { .. }) && matches!(parked[3], Parked::Waits { .. }));
    assert_eq!(parked[2], Parked::Ended);
    assert_eq!(state(&mut connection, runs[1].job_id).await, "completed");
    assert_eq!(state(&mut connection, runs[3].job_id).await, "running", "the lease still holds it");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_park_whose_answer_was_lost_says_the_same_again() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let claimed = dispatcher.claim_one().await;
    dispatcher.park(&claimed).await;
    let again = park(&mut connection, &[FakeDispatcher::accepted(&claimed)], &[]).await.unwrap();
    assert!(matches!(again[..], [Parked::Waits { .. }]), "{again:?}");
    assert_eq!(count(&mut connection, "waiting").await, 1);
}

#[tokio::test]
async fn a_park_of_a_run_that_has_ended_waits_for_nobody_who_holds_its_lease() {
    let (db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 2)").await;
    let runs = dispatcher.claim_any(2).await;
    dispatcher.finish(&runs[0], COMPLETED).await;
    let mut rescuer = db.connect(Role::General).await;
    run(&mut rescuer, "begin; select from posthaste.lease for update").await;

    let parked = park(&mut connection, &[FakeDispatcher::accepted(&runs[0])], &[]).await.unwrap();

    assert_eq!(parked, [Parked::Ended]);
}

#[tokio::test]
async fn an_older_run_never_replaces_a_newer_one() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let older = dispatcher.claim_one().await;
    dispatcher.settle(&[FakeDispatcher::end(&older, Outcome::Released)]).await;
    let newer = dispatcher.claim_one().await;
    // The older lease was not drained, and its end is hidden from this look: the worst that a race can bring.
    dispatcher.park(&newer).await;
    run(&mut connection, "delete from posthaste.attempt").await;

    let parked = park(&mut connection, &[FakeDispatcher::accepted(&older)], &[]).await.unwrap();

    assert_eq!(parked, [Parked::Refused]);
    assert_eq!(text(&mut connection, DEADLINES).await, "2 202 3600 86400");
}

#[tokio::test]
async fn a_newer_run_replaces_the_row_that_an_older_one_left_behind() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    let older = dispatcher.claim_one().await;
    // Parked by a heartbeat while its POST was open; then the dispatcher ends it, and does not look for the wait.
    park(&mut connection, &[silent(FakeDispatcher::accepted(&older))], &[]).await.unwrap();
    assert_eq!(state(&mut connection, id).await, "waiting");
    dispatcher.finish(&older, Outcome::Released).await;
    assert_eq!(state(&mut connection, id).await, "available", "its end hides the row");
    assert_each_job_is_in_one_place(&mut connection).await;

    let newer = dispatcher.claim_one().await;
    dispatcher.park(&newer).await;

    assert_eq!(text(&mut connection, DEADLINES).await, "2 202 3600 86400");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_202_after_a_heartbeat_keeps_the_further_deadline() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    for (first, expected) in [(7200, "1 202 7200 86400"), (60, "1 202 3600 86400")] {
        run(&mut connection, "truncate posthaste.waiting").await;
        enqueue(&mut connection, "'k'").await;
        let claimed = dispatcher.claim_one().await;
        let mut alive = silent(FakeDispatcher::accepted(&claimed));
        alive.times.callback = Duration::from_secs(first);
        park(&mut connection, &[alive.clone()], &[]).await.unwrap();
        dispatcher.park(&claimed).await;
        // And a heartbeat's park that comes late changes nothing.
        park(&mut connection, &[alive], &[]).await.unwrap();
        assert_eq!(text(&mut connection, DEADLINES).await, expected);
    }
}

#[tokio::test]
async fn a_park_that_meets_an_end_leaves_at_most_a_hidden_row() {
    for commits in [true, false] {
        let (db, mut observer, mut dispatcher) = setup().await;
        let id = enqueue(&mut observer, "'k'").await;
        let claimed = dispatcher.claim_one().await;
        let mut first = db.patient(Role::Settle).await;
        let mut tx = first.begin().await.unwrap();
        let end = FakeDispatcher::end(&claimed, failed("http_500"));
        assert_eq!(settle(&mut tx, &[end], EndedBy::Dispatcher, &[]).await.unwrap(), [Settled::Applied]);

        dispatcher.park(&claimed).await;
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }

        let expected = if commits { "scheduled" } else { "waiting" };
        assert_eq!(state(&mut observer, id).await, expected);
        assert_eq!(count(&mut observer, "waiting").await, 1);
        assert_each_job_is_in_one_place(&mut observer).await;
    }
}

#[tokio::test]
async fn a_park_that_meets_a_rescue_finds_its_run_ended_or_parks_it() {
    for commits in [true, false] {
        let (db, mut observer, mut dispatcher) = setup().await;
        let id = enqueue(&mut observer, "'k'").await;
        let claimed = dispatcher.claim_one().await;
        let (mut first, mut second) = (db.patient(Role::Settle).await, db.patient(Role::Settle).await);
        let mut tx = first.begin().await.unwrap();
        let rescued = rescue(&mut tx, &[dispatcher.id], &retry_lost, 0.0).await.unwrap();
        assert_eq!(rescued, Rescued { leases: 1, runs: 1, parked: 0 });

        let pid = backend(&mut second).await;
        let accepted = FakeDispatcher::accepted(&claimed);
        let work = async move { park(&mut second, &[accepted], &[]).await.unwrap() };
        let parking = start_blocked(&mut observer, pid, work).await;
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }

        let parked = parking.await.unwrap();
        assert!(if commits { parked == [Parked::Ended] } else { matches!(parked[..], [Parked::Waits { .. }]) });
        assert_eq!(state(&mut observer, id).await, if commits { "scheduled" } else { "waiting" });
        assert_eq!(attempts(&mut observer, id).await.len(), usize::from(commits));
        assert_each_job_is_in_one_place(&mut observer).await;
    }
}

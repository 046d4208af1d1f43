//! The end of a run: what each transition writes, and who is told what when it comes second.

use std::time::Duration;

use posthaste_engine::{
    claim::{ClaimedRun, Lease},
    finalize::{EndedBy, RunEnd, Settled, settle},
    lifecycle::{Outcome, RunError},
    session::Role,
};
use posthaste_tests::{
    FakeDispatcher, TestDb, failed,
    sql::{
        assert_each_job_is_in_one_place, attempts, backend, cancel, count, enqueue, job, number, run, start_blocked,
        state, text,
    },
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

async fn setup() -> (TestDb, PgConnection, FakeDispatcher) {
    let db = TestDb::new().await;
    let connection = db.connect(Role::General).await;
    let dispatcher = FakeDispatcher::start(&db).await;
    (db, connection, dispatcher)
}

/// A job that runs.
async fn running(connection: &mut PgConnection, dispatcher: &mut FakeDispatcher, arguments: &str) -> ClaimedRun {
    enqueue(connection, arguments).await;
    (*dispatcher.claim_one().await).clone()
}

fn completed() -> Outcome {
    Outcome::Completed { result: Some(r#"{"b": 1,  "a": 2.50}"#.to_owned()) }
}

fn error(code: &'static str) -> RunError {
    RunError::new(code, "as the test wants it")
}

/// The last attempt of the one job, but for its times.
const ATTEMPT: &str =
    "select concat_ws(' ', run_lease, outcome, class, ended_by, attempt, http_status, headers_us, body_us,
    error_code, started_at < finished_at) from posthaste.attempt order by run_lease desc limit 1";

#[tokio::test]
async fn a_completed_run_is_an_attempt_with_its_result_and_nothing_else() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;

    dispatcher.finish(&run, completed()).await;

    let shown = job(&mut connection, run.job_id).await;
    assert_eq!((shown.state.as_str(), shown.attempt, shown.run_lease), ("completed", 1, 1));
    assert_eq!(shown.result.as_deref(), Some(r#"{"b": 1,  "a": 2.50}"#), "the result passes unparsed");
    assert_eq!(text(&mut connection, ATTEMPT).await, "1 completed responded dispatcher 1 200 900 100 t");
    for table in ["ready", "scheduled", "lease", "dead_letter"] {
        assert_eq!(count(&mut connection, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_failed_run_is_scheduled_again_with_its_failure_counted() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k', priority => 3").await;

    dispatcher.finish(&run, failed("http_500")).await;

    let row = "select concat_ws(' ', run_lease, lane_id, priority, failures, uncounted, uncounted_since,
        run_at - (select finished_at from posthaste.attempt)) from posthaste.scheduled";
    assert_eq!(text(&mut connection, row).await, format!("2 {} 3 1 0 00:00:10", run.scan.lane_id));
    assert_eq!(text(&mut connection, ATTEMPT).await, "1 retried responded dispatcher 1 200 900 100 http_500 t");
    let shown = job(&mut connection, run.job_id).await;
    assert_eq!((shown.state.as_str(), shown.attempt, shown.run_lease), ("scheduled", 1, 1));
    assert_eq!(shown.error_code.as_deref(), Some("http_500"));
}

#[tokio::test]
async fn a_released_run_is_ready_again_at_once_with_a_new_number() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;

    dispatcher.finish(&run, Outcome::Released).await;

    let row = "select concat_ws(' ', run_lease, failures, uncounted, uncounted_since is not null, seq > job_id)
        from posthaste.ready";
    assert_eq!(text(&mut connection, row).await, "2 0 1 f t", "a release starts no clock");
    let again = dispatcher.claim_one().await;
    assert_eq!((again.job_id, again.run_lease, again.attempt()), (run.job_id, 2, 1));
}

#[tokio::test]
async fn what_costs_no_attempt_waits_and_is_counted_apart() {
    for (outcome, word) in [
        (Outcome::Throttled { error: error("http_429"), retry_after: None, charged: false }, "throttled"),
        (Outcome::Snoozed { after: Duration::from_secs(5) }, "snoozed"),
        (Outcome::NotSent { error: error("refused") }, "retried"),
        (Outcome::Misconfigured { error: error("http_404"), retry_after: None }, "retried"),
    ] {
        let (_db, mut connection, mut dispatcher) = setup().await;
        let run = running(&mut connection, &mut dispatcher, "'k', max_attempts => 1").await;
        dispatcher.finish(&run, outcome).await;
        assert_eq!(attempts(&mut connection, run.job_id).await, [format!("1:{word}")]);
        let row = "select concat_ws(' ', failures, uncounted, uncounted_since is not null) from posthaste.scheduled";
        let count = if word == "snoozed" { -1 } else { 1 };
        assert_eq!(text(&mut connection, row).await, format!("0 {count} t"), "{word}");
        assert_eq!(job(&mut connection, run.job_id).await.attempt, 0, "{word}");
    }
}

#[tokio::test]
async fn a_dead_run_has_its_own_copy_in_the_dead_letters() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let arguments = r#"'k', '{"a": 1}', queue => 'q', endpoint => 'e', max_attempts => 1, timeout_ms => 5, priority => 1,
        tags => '{t}', metadata => '{"m": 1}', headers => '{"x": "y"}'"#;
    let run = running(&mut connection, &mut dispatcher, arguments).await;

    dispatcher.finish(&run, failed("http_500")).await;

    let row =
        "select concat_ws(' ', run_lease, timeout_ms, attempt, max_attempts, priority, reason, queue, kind, endpoint,
        error_code, args, tags, metadata, headers) from posthaste.dead_letter";
    let expected = r#"1 5 1 1 1 attempts_exhausted q k e http_500 {"a": 1} {t} {"m": 1} {"x": "y"}"#;
    assert_eq!(text(&mut connection, row).await, expected);
    assert_eq!(state(&mut connection, run.job_id).await, "dead");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn who_gives_up_is_dead_with_the_function_s_own_reason_and_who_cancels_is_not_dead() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    dispatcher.finish(&run, Outcome::GaveUp { error: error("bad_address") }).await;
    let other = running(&mut connection, &mut dispatcher, "'k'").await;
    dispatcher.finish(&other, Outcome::Cancelled { reason: Some("not needed".to_owned()) }).await;

    assert_eq!(text(&mut connection, "select reason from posthaste.dead_letter").await, "bad_address");
    assert_eq!(state(&mut connection, other.job_id).await, "cancelled");
    let message = "select error_message from posthaste.attempt where outcome = 'cancelled'";
    assert_eq!(text(&mut connection, message).await, "not needed");
}

#[tokio::test]
async fn the_same_end_again_is_a_duplicate_and_changes_nothing() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    let end = FakeDispatcher::end(&run, failed("http_500"));
    assert_eq!(dispatcher.settle(std::slice::from_ref(&end)).await, [Settled::Applied]);

    // Its answer was lost, and the lease has gone since.
    run_sql(&mut connection, "delete from posthaste.lease").await;
    assert_eq!(dispatcher.settle(&[end]).await, [Settled::Duplicate]);

    assert_eq!(attempts(&mut connection, run.job_id).await, ["1:retried"]);
    assert_eq!(count(&mut connection, "scheduled").await, 1);
}

async fn run_sql(connection: &mut PgConnection, sql: &str) {
    run(connection, sql).await;
}

#[tokio::test]
async fn another_end_of_a_run_that_has_ended_is_told_so() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    let first = FakeDispatcher::end(&run, completed());
    let second = FakeDispatcher::end(&run, failed("http_500"));

    assert_eq!(dispatcher.settle(&[first]).await, [Settled::Applied]);
    assert_eq!(dispatcher.settle(&[second]).await, [Settled::Superseded]);

    assert_eq!(state(&mut connection, run.job_id).await, "completed");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn an_end_by_another_lease_or_party_supersedes() {
    for (lease, by) in
        [("lease_id + 1", "dispatcher"), ("lease_id", "rescue"), ("lease_id", "operator"), ("null", "producer")]
    {
        let (_db, mut connection, mut dispatcher) = setup().await;
        let run = running(&mut connection, &mut dispatcher, "'k'").await;
        let end = FakeDispatcher::end(&run, completed());
        dispatcher.settle(std::slice::from_ref(&end)).await;
        let theirs = format!("update posthaste.attempt set lease_id = {lease}, ended_by = '{by}'");
        run_sql(&mut connection, &theirs).await;

        assert_eq!(dispatcher.settle(&[end]).await, [Settled::Superseded], "{lease} {by}");
    }
}

#[tokio::test]
async fn a_run_that_nobody_holds_and_nobody_ended_is_refused() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    run_sql(&mut connection, "delete from posthaste.lease").await;

    let settled = dispatcher.settle(&[FakeDispatcher::end(&run, completed())]).await;

    assert_eq!(settled, [Settled::Refused]);
    assert_eq!(count(&mut connection, "attempt").await, 0);
}

#[tokio::test]
async fn a_wrong_nonce_ends_nothing() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    let mut forged = FakeDispatcher::end(&run, completed());
    forged.lease = Lease { nonce: Uuid::from_u128(7), ..forged.lease };

    assert_eq!(dispatcher.settle(&[forged]).await, [Settled::Refused]);

    assert_eq!(count(&mut connection, "attempt").await, 0);
    assert_eq!(state(&mut connection, run.job_id).await, "running");
}

#[tokio::test]
async fn one_refused_run_keeps_no_other_of_its_batch_back() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 5)").await;
    let runs = dispatcher.claim_any(10).await;
    let mut ends: Vec<RunEnd> = runs.iter().rev().map(|run| FakeDispatcher::end(run, completed())).collect();
    ends[1].lease.nonce = Uuid::from_u128(7);
    dispatcher.settle(&ends[3..4]).await;

    let settled = dispatcher.settle(&ends).await;

    let (applied, lost) = (Settled::Applied, Settled::Duplicate);
    assert_eq!(settled, [applied, Settled::Refused, applied, lost, applied]);
}

#[tokio::test]
async fn a_drained_lease_is_removed_and_one_that_a_rescue_holds_is_left_to_it() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    let other = running(&mut connection, &mut dispatcher, "'k'").await;
    let drained = [run.lease.lease_id, other.lease.lease_id];
    let ends = [FakeDispatcher::end(&run, completed()), FakeDispatcher::end(&other, completed())];
    let mut rescue = connection.begin().await.unwrap();
    run_sql(&mut rescue, &format!("select from posthaste.lease where lease_id = {} for update", drained[1])).await;

    let settled = settle(&mut dispatcher.settles, &ends, EndedBy::Dispatcher, &drained).await.unwrap();

    assert_eq!(settled, [Settled::Applied, Settled::Applied], "nobody waits for the lease");
    assert_eq!(number(&mut rescue, "select lease_id from posthaste.lease").await, drained[1]);
    rescue.rollback().await.unwrap();
}

#[tokio::test]
async fn a_request_to_cancel_turns_a_retry_into_the_end() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    assert_eq!(cancel(&mut connection, run.job_id, false).await, "running");
    let end = FakeDispatcher::end(&run, failed("http_500"));

    assert_eq!(dispatcher.settle(std::slice::from_ref(&end)).await, [Settled::Applied]);

    assert_eq!(state(&mut connection, run.job_id).await, "cancelled");
    assert_eq!(count(&mut connection, "cancel_request").await, 0);
    assert_eq!(dispatcher.settle(&[end]).await, [Settled::Duplicate], "the answer of that end was lost");
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_function_that_completes_in_spite_of_a_request_to_cancel_has_completed() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    cancel(&mut connection, run.job_id, false).await;

    dispatcher.finish(&run, completed()).await;

    assert_eq!(state(&mut connection, run.job_id).await, "completed");
    assert_eq!(count(&mut connection, "cancel_request").await, 0);
}

#[tokio::test]
async fn finalizes_at_once_do_not_take_each_other_for_waiters() {
    let (db, mut connection, mut dispatcher) = setup().await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    let mut other = db.connect(Role::General).await;
    run_sql(&mut other, "begin; select pg_try_advisory_xact_lock_shared(28776, 2)").await;
    let mut listener = sqlx::postgres::PgListener::connect(db.url()).await.unwrap();
    listener.listen("posthaste_done").await.unwrap();
    dispatcher.finish(&run, completed()).await;

    // With a waiter, the end is told; only its notification comes, not one of the first end.
    run_sql(&mut other, "rollback; begin; select pg_advisory_xact_lock(28776, 2)").await;
    let run = running(&mut connection, &mut dispatcher, "'k'").await;
    dispatcher.finish(&run, completed()).await;

    let told = tokio::time::timeout(posthaste_tests::WAIT_LIMIT, listener.recv()).await.unwrap().unwrap();
    assert_eq!(told.payload(), run.job_id.to_string());
}

#[tokio::test]
async fn a_batch_with_requests_to_cancel_takes_its_fences_in_order() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run_sql(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 200)").await;
    let runs = dispatcher.claim_any(200).await;
    for job in [runs[150].job_id, runs[90].job_id] {
        cancel(&mut connection, job, false).await;
    }
    let ends: Vec<RunEnd> = runs.iter().map(|run| FakeDispatcher::end(run, failed("late"))).collect();

    dispatcher.settle(&ends).await;

    let in_order =
        "select (array_agg(job_id order by ctid) = array_agg(job_id order by job_id))::text from posthaste.attempt";
    assert_eq!(text(&mut connection, in_order).await, "true", "the order of the inserts is the order of the locks");
    assert_eq!(number(&mut connection, "select count(*) from posthaste.attempt where outcome = 'cancelled'").await, 2);
}

#[tokio::test]
async fn batches_in_opposite_orders_take_the_fences_in_one_order() {
    let (db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 3)").await;
    let runs = dispatcher.claim_any(3).await;
    let forth: Vec<RunEnd> = runs.iter().map(|run| FakeDispatcher::end(run, completed())).collect();
    let back: Vec<RunEnd> = forth.iter().rev().cloned().collect();
    // Somebody holds the fence in the middle until both batches have come as far as they can.
    let mut holder = db.patient(Role::Settle).await;
    let mut tx = holder.begin().await.unwrap();
    settle(&mut tx, &forth[1..2], EndedBy::Dispatcher, &[]).await.unwrap();
    let mut tasks = Vec::new();
    for batch in [forth, back] {
        let mut settles = db.patient(Role::Settle).await;
        let pid = backend(&mut settles).await;
        let work = async move { settle(&mut settles, &batch, EndedBy::Dispatcher, &[]).await.unwrap() };
        tasks.push(start_blocked(&mut connection, pid, work).await);
    }
    tx.rollback().await.unwrap();

    let mut applied = 0;
    for task in tasks {
        applied += task.await.unwrap().into_iter().filter(|settled| *settled == Settled::Applied).count();
    }
    assert_eq!(applied, 3);
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_batches_at_once_end_each_run_once() {
    let (db, mut connection, mut dispatcher) = setup().await;
    for _ in 0..6 {
        run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 60)").await;
        let runs = dispatcher.claim_any(200).await;
        let forth: Vec<RunEnd> = runs.iter().map(|run| FakeDispatcher::end(run, completed())).collect();
        let back: Vec<RunEnd> = forth.iter().rev().cloned().collect();
        let mut tasks = Vec::new();
        for batch in [forth[..50].to_vec(), back[..50].to_vec(), forth[20..].to_vec()] {
            let mut connection = db.patient(Role::Settle).await;
            let work = async move { settle(&mut connection, &batch, EndedBy::Dispatcher, &[]).await.unwrap() };
            tasks.push(tokio::spawn(work));
        }
        let mut applied = 0;
        for task in tasks {
            applied += task.await.unwrap().into_iter().filter(|settled| *settled == Settled::Applied).count();
        }
        assert_eq!(applied, 60);
    }
    assert_each_job_is_in_one_place(&mut connection).await;
}

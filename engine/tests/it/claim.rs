//! The claim: what it takes, in which order, what it leaves, and what its lease holds.

use std::{collections::BTreeSet, time::Duration};

use posthaste_engine::{floor::Scan, lifecycle::Outcome, probe::probe, session::Role};
use posthaste_tests::{
    FakeDispatcher, TestDb, failed,
    sql::{all_lanes, all_scans, assert_each_job_is_in_one_place, attempts, count, enqueue, job, number, run, text},
};
use sqlx::PgConnection;

async fn setup() -> (TestDb, PgConnection, FakeDispatcher) {
    let db = TestDb::new().await;
    let connection = db.connect(Role::General).await;
    let dispatcher = FakeDispatcher::start(&db).await;
    (db, connection, dispatcher)
}

#[tokio::test]
async fn a_claim_takes_at_most_its_limit_and_leaves_the_rest() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 10)").await;

    assert_eq!(dispatcher.claim_any(4).await.len(), 4);
    assert_eq!(count(&mut connection, "ready").await, 6);
    assert_eq!(dispatcher.claim_any(4).await.len(), 4);
    assert_eq!(dispatcher.claim_any(4).await.len(), 2);
    assert!(dispatcher.claim_any(4).await.is_empty());
}

#[tokio::test]
async fn a_claim_never_takes_more_than_a_lease_row_holds() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 300)").await;
    assert_eq!(dispatcher.claim_any(1_000).await.len(), 200);
}

#[tokio::test]
async fn urgent_jobs_go_first_and_equals_in_the_order_of_their_enqueue() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let mut ids = Vec::new();
    for arguments in
        ["'a', priority => 3", "'b'", "'a', priority => 1", "'a'", "'a', priority => 4", "'a', priority => 1"]
    {
        ids.push(enqueue(&mut connection, arguments).await);
    }
    let mut order = Vec::new();
    for _ in &ids {
        order.push(dispatcher.claim_any(1).await[0].job_id);
    }
    // Within a priority the lanes come as the caller names them: `a` before `b`.
    assert_eq!(order, [ids[2], ids[5], ids[3], ids[1], ids[0], ids[4]]);
}

#[tokio::test]
async fn one_batch_comes_in_the_order_of_dispatch() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let mut ids = Vec::new();
    for arguments in ["'a', priority => 3", "'b'", "'a', priority => 1", "'a'"] {
        ids.push(enqueue(&mut connection, arguments).await);
    }
    let order: Vec<i64> = dispatcher.claim_any(10).await.iter().map(|run| run.job_id).collect();
    assert_eq!(order, [ids[2], ids[1], ids[3], ids[0]]);
}

#[tokio::test]
async fn only_the_lanes_that_are_named_are_claimed() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'dead'").await;
    let wanted = enqueue(&mut connection, "'alive', priority => 3").await;
    let lane = all_lanes(&mut connection).await.into_iter().find(|lane| lane.kind == "alive").unwrap();

    let scan = Scan { lane_id: lane.lane_id, priority: 3 };
    let runs = dispatcher.claim(&[Scan { priority: 2, ..scan }, scan], 10).await;

    assert_eq!(runs.iter().map(|run| run.job_id).collect::<Vec<_>>(), [wanted]);
    assert!(dispatcher.claim(&[scan], 10).await.is_empty());
    assert!(dispatcher.claim(&[], 10).await.is_empty());
}

#[tokio::test]
async fn rows_that_a_neighbour_holds_are_skipped_without_waiting() {
    let (db, mut connection, mut dispatcher) = setup().await;
    let mut neighbour = FakeDispatcher::start(&db).await;
    run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 10)").await;

    run(&mut neighbour.claims, "begin").await;
    let theirs = neighbour.claim_any(4).await;
    let ours = dispatcher.claim_any(10).await;
    run(&mut neighbour.claims, "commit").await;

    let all: BTreeSet<i64> = theirs.iter().chain(&ours).map(|run| run.job_id).collect();
    assert_eq!((theirs.len(), ours.len(), all.len()), (4, 6, 10));
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn dispatchers_that_claim_at_once_never_share_a_run() {
    let (db, mut connection, _) = setup().await;
    run(&mut connection, "select posthaste.enqueue('k', priority => 1 + g % 4) from generate_series(1, 600) g").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let mut dispatcher = FakeDispatcher::start(&db).await;
        tasks.push(tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let runs = dispatcher.claim_any(7).await;
                if runs.is_empty() {
                    return taken;
                }
                taken.extend(runs.iter().map(|run| run.job_id));
            }
        }));
    }
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap());
    }
    let distinct: BTreeSet<i64> = taken.iter().copied().collect();
    // A claimer may find the rest locked by the others and leave early; the rest is for whoever comes next.
    let rest = usize::try_from(count(&mut connection, "ready").await).unwrap();
    assert_eq!((distinct.len(), taken.len()), (600 - rest, 600 - rest));
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_row_whose_run_has_ended_is_dropped_and_not_started() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let ended = enqueue(&mut connection, "'k'").await;
    let alive = enqueue(&mut connection, "'k'").await;
    run(
        &mut connection,
        &format!(
            "update posthaste.ready set run_lease = 2 where job_id = {ended};
             insert into posthaste.attempt (job_id, run_lease, outcome, ended_by, attempt)
             values ({ended}, 1, 'retried', 'dispatcher', 1), ({ended}, 2, 'cancelled', 'operator', 1)"
        ),
    )
    .await;

    let runs = dispatcher.claim_any(10).await;

    assert_eq!(runs.iter().map(|run| run.job_id).collect::<Vec<_>>(), [alive]);
    assert_eq!(count(&mut connection, "ready").await, 0);
    assert_eq!(text(&mut connection, "select job_ids::text from posthaste.lease").await, format!("{{{alive}}}"));
}

#[tokio::test]
async fn a_claim_that_takes_nothing_writes_no_lease() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k', delay_ms => 60000").await;
    assert!(dispatcher.claim_any(10).await.is_empty());
    assert_eq!(count(&mut connection, "lease").await, 0);
}

#[tokio::test]
async fn the_lease_holds_what_the_runs_have_used_up() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k', max_attempts => 7").await;
    let first = dispatcher.claim_one().await;
    assert_eq!((first.run_lease, first.attempt(), first.max_attempts), (1, 1, 7));
    dispatcher.finish(&first, failed("first")).await;
    run(&mut connection, "update posthaste.scheduled set run_at = now()").await;
    posthaste_engine::promote::promote(&mut connection, 10, None).await.unwrap();

    let second = dispatcher.claim_one().await;

    assert_eq!((second.job_id, second.run_lease, second.attempt(), second.spent.failures), (id, 2, 2, 1));
    let lease = "select concat_ws(' ', lease_id, dispatcher_id, nonce, job_ids, run_leases, failures, uncounted,
        expires_at - claimed_at) from posthaste.lease";
    let expected = format!(
        "{} {} {} {{{id}}} {{2}} {{1}} {{0}} 00:01:00",
        second.lease.lease_id, dispatcher.id, second.lease.nonce
    );
    assert_eq!(text(&mut connection, lease).await, expected);
    assert_eq!(attempts(&mut connection, id).await, ["1:retried"]);
    let shown = job(&mut connection, id).await;
    assert_eq!((shown.state.as_str(), shown.attempt, shown.run_lease), ("running", 2, 2));
    assert_eq!(shown.error_code.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_claim_tells_how_old_a_job_is_and_whether_it_has_expired() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let old = enqueue(&mut connection, "'k', expires_at => now() + interval '1 h'").await;
    run(
        &mut connection,
        &format!(
            "update posthaste.job set created_at = now() - interval '2 h', expires_at = now() - interval '1 s'
             where job_id = {old}"
        ),
    )
    .await;
    enqueue(&mut connection, "'k', expires_at => now() + interval '1 h'").await;

    let runs = dispatcher.claim_any(10).await;

    assert_eq!(runs.iter().map(|run| run.expired).collect::<Vec<_>>(), [true, false]);
    assert!(runs[0].age >= Duration::from_hours(2) && runs[1].age < Duration::from_mins(1), "{runs:?}");
}

#[tokio::test]
async fn a_claim_that_rolls_back_gives_its_runs_back() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    let id = enqueue(&mut connection, "'k'").await;
    run(&mut dispatcher.claims, "begin").await;
    dispatcher.claim_one().await;
    run(&mut dispatcher.claims, "rollback").await;
    dispatcher.floors.clear();

    assert_eq!(dispatcher.claim_one().await.job_id, id);
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_row_of_uncounted_ends_tells_since_when_it_lasts() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let first = dispatcher.claim_one().await;
    assert_eq!(first.uncounted_since, None);
    dispatcher.finish(&first, Outcome::Snoozed { after: Duration::from_secs(5) }).await;
    run(&mut connection, "update posthaste.scheduled set run_at = now(), uncounted_since = now() - interval '3 h'")
        .await;
    posthaste_engine::promote::promote(&mut connection, 10, None).await.unwrap();

    let second = dispatcher.claim_one().await;

    assert_eq!((second.spent.failures, second.spent.uncounted, second.run_lease), (0, 1, 2));
    assert!(second.spent.uncounted_for >= Duration::from_hours(3), "{:?}", second.spent);
    dispatcher.finish(&second, Outcome::Snoozed { after: Duration::from_secs(5) }).await;
    let kept =
        "select count(*) from posthaste.scheduled where uncounted = -2 and uncounted_since < now() - interval '2 h'";
    assert_eq!(number(&mut connection, kept).await, 1);
}

#[tokio::test]
async fn a_probe_names_the_lanes_that_have_something_above_their_floors() {
    let (_db, mut connection, mut dispatcher) = setup().await;
    enqueue(&mut connection, "'empty', delay_ms => 60000").await;
    enqueue(&mut connection, "'full', priority => 1").await;
    let id = enqueue(&mut connection, "'full', priority => 4").await;
    let scans = all_scans(&mut connection).await;
    let full = all_lanes(&mut connection).await.into_iter().find(|lane| lane.kind == "full").unwrap();

    let found = probe(&mut dispatcher.claims, &scans, &dispatcher.floors).await.unwrap();

    assert_eq!(found, [full.lane_id]);
    dispatcher.claim_any(10).await;
    assert!(probe(&mut dispatcher.claims, &scans, &dispatcher.floors).await.unwrap().is_empty());
    assert!(id > 0);
}

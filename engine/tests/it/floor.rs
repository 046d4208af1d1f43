//! No live row is ever below a claim's floor: forced interleavings, then a storm.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError,
    finalize::{EndedBy, RunEnd, settle},
    floor::Scan,
    lifecycle::{Next, Outcome},
    promote::promote,
    session::Role,
};
use posthaste_tests::{
    FakeDispatcher, TestDb, failed,
    sql::{
        all_scans, assert_each_job_is_in_one_place, backend, count, enqueue, number, run, start_blocked,
        wait_until_older_transactions_ended,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{AssertSqlSafe, PgConnection};

const SCAN: Scan = Scan { lane_id: 1, priority: 2 };

/// Claims of one row each, of the one lane.
async fn claim(dispatcher: &mut FakeDispatcher) -> Option<i64> {
    dispatcher.claim(&[SCAN], 1).await.first().map(|run| run.job_id)
}

#[tokio::test]
async fn a_floor_rises_to_what_was_claimed_before_and_claims_go_on_above_it() {
    let db = TestDb::new().await;
    let mut producer = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let first = enqueue(&mut producer, "'k'").await;
    let second = enqueue(&mut producer, "'k'").await;
    let third = enqueue(&mut producer, "'k'").await;

    assert_eq!(claim(&mut dispatcher).await, Some(first));
    assert_eq!(dispatcher.floors.floor(SCAN), 0, "a claim alone raises nothing");
    wait_until_older_transactions_ended(&mut producer).await;
    assert_eq!(claim(&mut dispatcher).await, Some(second));
    assert_eq!(dispatcher.floors.floor(SCAN), first);
    assert_eq!(claim(&mut dispatcher).await, Some(third));
}

#[tokio::test]
async fn a_job_that_commits_late_below_a_candidate_is_claimed() {
    let db = TestDb::new().await;
    let mut late = db.connect(Role::General).await;
    let mut producer = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let earlier = enqueue(&mut producer, "'k'").await;
    assert_eq!(claim(&mut dispatcher).await, Some(earlier));
    dispatcher.floors.clear();
    run(&mut late, "begin").await;
    let low = enqueue(&mut late, "'k'").await;
    let mut above = Vec::new();
    for _ in 0..3 {
        above.push(enqueue(&mut producer, "'k'").await);
    }

    // The first makes a candidate above `low`; the others see nothing below it, and must not trust that.
    for expected in above {
        assert_eq!(claim(&mut dispatcher).await, Some(expected));
    }
    assert!(dispatcher.floors.floor(SCAN) < low, "{:?}", dispatcher.floors);
    run(&mut late, "commit").await;

    assert_eq!(claim(&mut dispatcher).await, Some(low));
}

#[tokio::test]
async fn a_row_that_a_neighbour_holds_keeps_the_floor_below_it() {
    let db = TestDb::new().await;
    let mut producer = db.connect(Role::General).await;
    let mut early = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let held = enqueue(&mut producer, "'k'").await;
    let lock = format!("begin; select from posthaste.ready where seq = {held} for update");
    run(&mut early, &lock).await;
    let above = enqueue(&mut producer, "'k'").await;
    let last = enqueue(&mut producer, "'k'").await;
    assert_eq!(claim(&mut dispatcher).await, Some(above));
    run(&mut early, "rollback").await;

    wait_until_older_transactions_ended(&mut producer).await;
    // A neighbour younger than our claim: the snapshot's xmin says nothing against a floor, only the row itself does.
    run(&mut early, &lock).await;
    assert_eq!(claim(&mut dispatcher).await, Some(last));
    assert_eq!(dispatcher.floors.floor(SCAN), 0);
    run(&mut early, "rollback").await;

    assert_eq!(claim(&mut dispatcher).await, Some(held));
}

#[tokio::test]
async fn a_retry_comes_back_above_every_floor() {
    let db = TestDb::new().await;
    let mut producer = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let id = enqueue(&mut producer, "'k'").await;
    let first = dispatcher.claim(&[SCAN], 1).await.remove(0);
    for _ in 0..3 {
        enqueue(&mut producer, "'k'").await;
        claim(&mut dispatcher).await.unwrap();
        wait_until_older_transactions_ended(&mut producer).await;
    }
    assert!(dispatcher.floors.floor(SCAN) > first.seq);

    dispatcher.finish(&first, Outcome::Released).await;

    let again = dispatcher.claim(&[SCAN], 1).await.remove(0);
    assert_eq!((again.job_id, again.run_lease), (id, 2));
    assert!(again.seq > dispatcher.floors.floor(SCAN));
}

#[tokio::test]
async fn a_producer_draws_its_number_only_once_its_transaction_has_an_xid() {
    for enqueue in ["select posthaste.enqueue('k')", "select * from posthaste.enqueue_many('[{\"kind\": \"k\"}]')"] {
        let db = TestDb::new().await;
        let mut observer = db.connect(Role::General).await;
        let mut holder = db.connect(Role::General).await;
        let mut producer = db.connect(Role::General).await;
        let pid = backend(&mut producer).await;
        // The first number of a sequence is logged, which takes an xid by itself; the next thirty are not.
        run(&mut holder, "select nextval('posthaste.seq')").await;
        // It looks for its lane after it has drawn the number (or just before): held there, it must have its xid.
        run(&mut holder, "begin; lock table posthaste.lane").await;

        let producing = start_blocked(&mut observer, pid, async move { run(&mut producer, enqueue).await }).await;

        let xids = format!("pg_stat_activity where pid = {pid} and backend_xid is not null");
        assert_eq!(number(&mut observer, &format!("select count(*) from {xids}")).await, 1, "{enqueue}");
        run(&mut holder, "rollback").await;
        producing.await.unwrap();
    }
}

/// What the storm's tasks share.
#[derive(Default)]
struct Storm {
    producing: AtomicUsize,
    settled: AtomicBool,
    floors_seen: AtomicUsize,
}

const STEPS: usize = 500;
const PRODUCERS: u64 = 3;
const STORM_LIMIT: Duration = Duration::from_secs(30);

/// Enqueues in transactions that overlap and commit in random order; returns what it committed.
async fn produce(db: Arc<TestDb>, storm: Arc<Storm>, seed: u64) -> Vec<i64> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut open: Vec<(PgConnection, Option<Vec<i64>>)> = Vec::new();
    for _ in 0..3 {
        open.push((db.connect(Role::General).await, None));
    }
    let mut committed = Vec::new();
    for step in 0..STEPS + 3 {
        let which = if step < STEPS { rng.random_range(0..open.len()) } else { step - STEPS };
        let (connection, ids) = &mut open[which];
        match ids {
            Some(_) if step >= STEPS || rng.random_bool(0.3) => {
                let keep = rng.random_bool(0.95);
                run(connection, if keep { "commit" } else { "rollback" }).await;
                committed.extend(ids.take().into_iter().flatten().filter(|_| keep));
            }
            None if step >= STEPS => {}
            _ => {
                if ids.is_none() {
                    run(connection, "begin").await;
                }
                let kind = if rng.random_bool(0.5) { "a" } else { "b" };
                let later = if rng.random_bool(0.1) { ", delay_ms => 1" } else { "" };
                ids.get_or_insert_default().push(enqueue(connection, &format!("'{kind}'{later}")).await);
            }
        }
    }
    storm.producing.fetch_sub(1, Ordering::SeqCst);
    committed
}

/// Claims, ends and gives back until nothing is left; returns the runs it claimed.
async fn consume(db: Arc<TestDb>, storm: Arc<Storm>, seed: u64) -> Vec<(i64, i64)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let mut witness = db.connect(Role::General).await;
    let scans: Vec<Scan> = all_scans(&mut witness).await.into_iter().filter(|scan| scan.priority == 2).collect();
    let started = Instant::now();
    let mut claimed = Vec::new();
    loop {
        let last_look = storm.settled.load(Ordering::SeqCst);
        let runs = dispatcher.claim(&scans, rng.random_range(1..15)).await;
        assert_nothing_below(&mut witness, &dispatcher, &scans, &storm).await;
        claimed.extend(runs.iter().map(|run| (run.job_id, run.run_lease)));
        let ends: Vec<RunEnd> = runs
            .iter()
            .map(|run| {
                let again = run.run_lease < 3 && rng.random_bool(0.2);
                let outcome = if again { failed("again") } else { Outcome::Completed { result: None } };
                let mut end = FakeDispatcher::end(run, outcome);
                if let Next::Again { delay, .. } = &mut end.transition.next {
                    *delay = Duration::from_millis(rng.random_range(0..2));
                }
                end
            })
            .collect();
        settle(&mut dispatcher.settles, &ends, EndedBy::Dispatcher, &[]).await.unwrap();
        if last_look && runs.is_empty() {
            return claimed;
        }
        assert!(started.elapsed() < STORM_LIMIT, "the storm does not end: some job is stranded");
    }
}

/// The invariant: at no time is a row visible at or below a floor.
async fn assert_nothing_below(witness: &mut PgConnection, dispatcher: &FakeDispatcher, scans: &[Scan], storm: &Storm) {
    for scan in scans {
        let floor = dispatcher.floors.floor(*scan);
        if floor == 0 {
            continue;
        }
        storm.floors_seen.fetch_add(1, Ordering::SeqCst);
        let query = format!(
            "select array_agg(seq order by seq) from posthaste.ready
             where lane_id = {} and priority = {} and seq <= {floor}",
            scan.lane_id, scan.priority
        );
        let below: Option<Vec<i64>> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut *witness).await.unwrap();
        assert_eq!(below, None, "live rows at or below the floor {floor} of {scan:?}");
    }
}

/// Promotes what is due and cancels jobs at random, until the producers are done and nothing waits; returns what it
/// cancelled before it ran.
async fn meddle(db: Arc<TestDb>, storm: Arc<Storm>, seed: u64) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut settles = db.connect(Role::Settle).await;
    let mut connection = db.connect(Role::General).await;
    let mut cancelled = 0;
    loop {
        let producing = storm.producing.load(Ordering::SeqCst) > 0;
        promote(&mut settles, rng.random_range(1..20), None).await.unwrap();
        let top = count(&mut connection, "seq where is_called").await;
        if producing && top > 0 {
            let query = "select job_id from posthaste.ready order by seq desc offset $1 limit 1";
            let victim: Option<i64> = sqlx::query_scalar(query)
                .bind(rng.random_range(0..10_i64))
                .fetch_optional(&mut connection)
                .await
                .unwrap();
            if let Some(id) = victim {
                let state =
                    posthaste_engine::cancel::cancel(&mut connection, posthaste_protocol::id::JobId(id), None, false);
                match state.await {
                    Ok(state) => cancelled += usize::from(state == posthaste_protocol::job::State::Cancelled),
                    // A job that keeps moving may be tried again; here another one is.
                    Err(EngineError::Refused { code, .. }) if code == "40001" => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        if !producing && count(&mut connection, "scheduled").await + count(&mut connection, "ready").await == 0 {
            let running = "job j where not exists (select from posthaste.attempt a where a.job_id = j.job_id
                and a.outcome in ('completed', 'cancelled', 'dead'))";
            if count(&mut connection, running).await == 0 {
                storm.settled.store(true, Ordering::SeqCst);
                return cancelled;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_live_row_is_ever_below_a_floor_and_every_run_is_claimed_once() {
    let db = Arc::new(TestDb::new().await);
    let mut connection = db.connect(Role::General).await;
    run(&mut connection, "select posthaste.enqueue('a'), posthaste.enqueue('b')").await;
    let storm = Arc::new(Storm::default());
    storm.producing.store(usize::try_from(PRODUCERS).unwrap(), Ordering::SeqCst);

    let producers: Vec<_> =
        (0..PRODUCERS).map(|n| tokio::spawn(produce(Arc::clone(&db), Arc::clone(&storm), n))).collect();
    let consumers: Vec<_> = (10..13).map(|n| tokio::spawn(consume(Arc::clone(&db), Arc::clone(&storm), n))).collect();
    let meddler = tokio::spawn(meddle(Arc::clone(&db), Arc::clone(&storm), 20));
    let mut jobs = BTreeSet::new();
    for producer in producers {
        jobs.extend(producer.await.unwrap());
    }
    let cancelled = tokio::time::timeout(STORM_LIMIT, meddler).await.expect("a job is stranded").unwrap();
    let mut runs = Vec::new();
    for consumer in consumers {
        runs.extend(consumer.await.unwrap());
    }

    let distinct: BTreeSet<(i64, i64)> = runs.iter().copied().collect();
    assert_eq!(distinct.len(), runs.len(), "a run was claimed twice");
    assert_eq!(count(&mut connection, "job").await, i64::try_from(jobs.len()).unwrap() + 2);
    let ended = count(&mut connection, "attempt where outcome in ('completed', 'cancelled')").await;
    assert_eq!(ended, i64::try_from(jobs.len()).unwrap() + 2);
    assert_each_job_is_in_one_place(&mut connection).await;
    let floors = storm.floors_seen.load(Ordering::SeqCst);
    assert!(floors > 100 && jobs.len() > 500, "{floors} floors, {} jobs, {cancelled} cancelled", jobs.len());
}

//! Chaos: a fleet of real dispatcher processes, killed and restarted, on a Postgres that crashes.
//!
//! Every acknowledged job must end exactly once, and nothing stale may be accepted. Executions that happened twice are
//! counted, and each must be explained by a recorded run. `POSTHASTE_CHAOS_JOBS` sets the size (10,000).

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic; the lint's exception covers test functions only")]

mod fleet;
mod function;
mod ledger;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fleet::Fleet;
use function::Function;
use posthaste_service::postgres::StopMode;

/// Jobs of one producer's batch.
const BATCH: usize = 200;

/// How many jobs.
#[expect(clippy::disallowed_methods, reason = "a test's size is set where it is started")]
fn jobs() -> usize {
    std::env::var("POSTHASTE_CHAOS_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(10_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_acknowledged_job_ends_once_while_dispatchers_are_killed_and_postgres_crashes() {
    let jobs = jobs();
    let function = Function::start().await;
    let mut fleet = Fleet::start(&function.url()).await;
    let producing = Arc::new(AtomicBool::new(true));
    let acked = Arc::new(Mutex::new(Vec::with_capacity(jobs)));
    let producer = tokio::spawn(produce(fleet.url(), jobs, Arc::clone(&acked), Arc::clone(&producing)));
    let (mut kills, mut crashes) = (0, 0);
    let mut last_kill = Instant::now();
    while producing.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let share = acked.lock().unwrap().len() * 3 / jobs;
        if crashes < 2 && share > crashes {
            fleet.postgres(StopMode::Immediate).await;
            crashes += 1;
        }
        if last_kill.elapsed() > Duration::from_secs(3) {
            fleet.kill_one();
            kills += 1;
            last_kill = Instant::now();
        }
    }
    producer.await.unwrap();
    let acked = std::mem::take(&mut *acked.lock().unwrap());
    assert_eq!((acked.len(), crashes), (jobs, 2), "all jobs acknowledged, two crashes");
    assert!(kills >= 2, "{kills} kills are no chaos");
    let report = ledger::check(&fleet.url(), &acked, &function).await;
    println!("chaos: {jobs} jobs, {kills} SIGKILLs, {crashes} Postgres crashes: {report}");
    fleet.stop().await;
}

/// Enqueues until so many jobs are acknowledged. A batch whose answer is lost is not acknowledged; it may exist.
async fn produce(url: String, jobs: usize, acked: Arc<Mutex<Vec<i64>>>, producing: Arc<AtomicBool>) {
    let one = r#"{"kind":"chaos","args":{"n":1},"max_attempts":100}"#;
    let batch = format!("[{}]", vec![one; BATCH].join(","));
    // Slow enough that kills and crashes fall into the run.
    let mut pace = tokio::time::interval(Duration::from_millis(150));
    while acked.lock().unwrap().len() < jobs {
        pace.tick().await;
        let ids = ledger::enqueue(&url, &batch).await.unwrap_or_default();
        acked.lock().unwrap().extend(ids);
    }
    acked.lock().unwrap().truncate(jobs);
    producing.store(false, Ordering::Release);
}

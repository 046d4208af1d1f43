//! A storm: many callers complete, fail and resume the same suspended run at once, while a time-out sweeps it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use posthaste_engine::{
    callback::{CallbackEnd, EndTerms, LaneTerms, Told, Winner, finish},
    claim::ClaimedRun,
    floor::Scan,
    held::RunRef,
    lifecycle::Outcome,
    resume::{Signal, Signalled, resume},
    retry::RetryPolicy,
    session::Role,
    suspend::{Suspended, suspend},
    time_out::time_out,
};
use posthaste_protocol::action::Action;
use sqlx::PgConnection;
use tokio::sync::Barrier;

use crate::{FakeDispatcher, RETRY, database::patient, failed, sql};

/// Callers of each wait: four on each connection, one after the other.
pub const CALLERS_PER_WAIT: usize = 4 * CONNECTIONS;
/// Callers of a wait at the same moment.
pub const CONNECTIONS: usize = 16;
/// Runs that are claimed and suspended in one statement.
const BATCH: usize = 200;

/// What became of the waits, and how that compares with what their callers were told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Waits that exactly one caller, or the time-out, was told to have ended.
    pub once: usize,
    /// Answers to callers, and sweeps.
    pub answers: usize,
    /// Answers that the ledger contradicts: of who won, or that one's own call did.
    pub contradicted: usize,
    /// How often each won: `complete`, `fail`, `resume`, and the time-out as `none`.
    pub won: BTreeMap<String, usize>,
    /// From the first answer to the last.
    pub elapsed: Duration,
}

/// Outcome, party and action, as the ledger has them.
type WonBy = (String, String, Option<String>);

/// What the callers of one connection were told.
#[derive(Debug, Default)]
struct Heard {
    answers: usize,
    /// Who was told to have ended a wait: an action, or none for the time-out.
    applied: Vec<(i64, Option<&'static str>)>,
    /// How many losers of a job were told of each winner.
    winners: HashMap<(i64, WonBy), usize>,
}

/// A suspended run, and a moment when its wait has timed out, but not yet that of the next one.
struct Wait {
    run: Arc<ClaimedRun>,
    due: DateTime<Utc>,
}

/// Enqueues `count` jobs, at most 20,000, in this database, suspends them, and lets the storm loose on one wait after the other.
/// Panics when a caller is told what no caller of a suspended run may be told, or a job is in no place or in two.
pub async fn storm(url: &str, count: usize) -> Tally {
    let mut connection = patient(url, Role::Settle).await;
    let waits = Arc::new(prepare(&mut connection, url, count).await);
    let barrier = Arc::new(Barrier::new(CONNECTIONS));
    let mut callers = Vec::with_capacity(CONNECTIONS);
    for caller in 0..CONNECTIONS {
        // The product gives up a lock after 100 ms and tries again; here everybody waits for their turn.
        let connection = patient(url, Role::Settle).await;
        callers.push(tokio::spawn(call_all(connection, Arc::clone(&waits), caller, Arc::clone(&barrier))));
    }
    let begun = Instant::now();
    let mut heard = Vec::with_capacity(CONNECTIONS);
    for caller in callers {
        heard.push(caller.await.expect("a caller"));
    }
    let elapsed = begun.elapsed();
    let last = waits.last().map(|wait| wait.due);
    time_out(&mut connection, 1_000, last, &policy, 0.0).await.expect("a sweep of what ended runs left");
    sql::assert_each_job_is_in_one_place(&mut connection).await;
    Tally { elapsed, ..compare(&heard, &recorded(&mut connection).await) }
}

/// Suspends so many jobs. Each waits a second longer than the one before, so that a sweep can be made to see one alone.
async fn prepare(connection: &mut PgConnection, url: &str, count: usize) -> Vec<Wait> {
    let mut dispatcher = FakeDispatcher::start_at(url).await;
    let mut waits = Vec::with_capacity(count);
    while waits.len() < count {
        let batch = BATCH.min(count - waits.len());
        sql::run(connection, &format!("select posthaste.enqueue('storm') from generate_series(1, {batch})")).await;
        let runs = dispatcher.claim_any(i64::try_from(batch).unwrap_or(i64::MAX)).await;
        assert_eq!(runs.len(), batch, "runs to suspend");
        let body =
            |n| format!(r#"{{"wait": {{"name": "storm", "for": "callback", "timeout_ms": {}}}}}"#, timeout_ms(n));
        let bodies: Vec<_> =
            (waits.len()..).zip(&runs).map(|(n, run)| FakeDispatcher::suspended(run, &body(n))).collect();
        let leases: Vec<i64> = runs.iter().map(|run| run.lease.lease_id).collect();
        let suspended = suspend(connection, &bodies, &leases).await.expect("a suspension");
        assert!(suspended.iter().all(|one| *one == Suspended::Waits), "{suspended:?}");
        for run in runs {
            waits.push(Wait { due: deadline(connection, run.job_id).await, run });
        }
    }
    waits.sort_by_key(|wait| wait.due);
    waits
}

/// An hour and `n` seconds.
fn timeout_ms(n: usize) -> usize {
    3_600_000 + n * 1_000
}

async fn deadline(connection: &mut PgConnection, job: i64) -> DateTime<Utc> {
    let query = "select deadline_at from posthaste.waiting where job_id = $1";
    sqlx::query_scalar(query).bind(job).fetch_one(connection).await.expect(query)
}

fn policy(_scan: Scan) -> RetryPolicy {
    RETRY
}

/// One connection's part: at each wait it calls four times, or, the last one, sweeps.
async fn call_all(mut connection: PgConnection, waits: Arc<Vec<Wait>>, caller: usize, barrier: Arc<Barrier>) -> Heard {
    let mut heard = Heard::default();
    for wait in waits.iter() {
        barrier.wait().await;
        for turn in 0..4 {
            if caller + 1 == CONNECTIONS {
                sweep(&mut connection, wait, &mut heard).await;
            } else {
                call(&mut connection, &wait.run, caller * 4 + turn, &mut heard).await;
            }
        }
    }
    heard
}

async fn sweep(connection: &mut PgConnection, wait: &Wait, heard: &mut Heard) {
    // Those before it have ended; their rows may still be there.
    let done = time_out(connection, 100, Some(wait.due), &policy, 0.0).await.expect("a sweep");
    heard.answers += 1;
    heard.applied.extend((0..done.runs + done.woken).map(|_| (wait.run.job_id, None)));
}

/// Completes, fails, or resumes (every second caller) the run, with a body of its own.
async fn call(connection: &mut PgConnection, run: &ClaimedRun, caller: usize, heard: &mut Heard) {
    let reference = RunRef { lease: run.lease, job_id: run.job_id, run_lease: run.run_lease };
    let digest = [u8::try_from(caller).unwrap_or(u8::MAX); 16];
    // Connections begin with different actions.
    let (action, outcome) = match (caller / 4 + caller % 4) % 4 {
        0 => (Action::Complete, Some(Outcome::Completed { result: None })),
        1 => (Action::Fail, Some(failed("callback"))),
        _ => (Action::Resume, None),
    };
    let told = if let Some(outcome) = outcome {
        let call = CallbackEnd { run: reference, outcome, action, digest, judged: true };
        let of = |scan| Some(EndTerms { retry: policy(scan), has_cel: false });
        let terms = LaneTerms { of: &of, plain: &[1] };
        finish(connection, &[call], terms, 0.0).await.expect("a callback").remove(0)
    } else {
        let signal = Signal { run: reference, wait: None, payload: None, digest, via: "storm".to_owned() };
        match resume(connection, &[signal]).await.expect("a signal").remove(0) {
            Signalled::Applied { state } => Told::Applied { state },
            Signalled::Told(told) => told,
            other => panic!("a signal of its own was told {other:?}"),
        }
    };
    heard.add(run.job_id, action.as_str(), told);
}

impl Heard {
    fn add(&mut self, job: i64, action: &'static str, told: Told) {
        self.answers += 1;
        match told {
            Told::Applied { .. } => self.applied.push((job, Some(action))),
            Told::AlreadyFinalized { winner: Some(Winner { outcome, ended_by, action }), .. } => {
                *self.winners.entry((job, (outcome, ended_by, action))).or_default() += 1;
            }
            other => panic!("job {job}: a caller was told {other:?}"),
        }
    }
}

/// How each job's run ended, as the ledger has it.
async fn recorded(connection: &mut PgConnection) -> HashMap<i64, WonBy> {
    let query = "select job_id, outcome::text, ended_by::text, action::text from posthaste.attempt";
    let rows: Vec<(i64, String, String, Option<String>)> =
        sqlx::query_as(query).fetch_all(connection).await.expect(query);
    let count = rows.len();
    let ends: HashMap<_, _> = rows.into_iter().map(|(job, outcome, by, action)| (job, (outcome, by, action))).collect();
    assert_eq!(ends.len(), count, "a run ends once");
    ends
}

/// Holds what was told against what is recorded.
fn compare(heard: &[Heard], recorded: &HashMap<i64, WonBy>) -> Tally {
    let mut tally = Tally::default();
    let mut applied: HashMap<i64, usize> = HashMap::new();
    for one in heard {
        tally.answers += one.answers;
        for (job, action) in &one.applied {
            *applied.entry(*job).or_default() += 1;
            if recorded.get(job).is_none_or(|(_, _, won)| won.as_deref() != *action) {
                tally.contradicted += 1;
            }
        }
        let others = one.winners.iter().filter(|((job, winner), _)| recorded.get(job) != Some(winner));
        tally.contradicted += others.map(|(_, answers)| answers).sum::<usize>();
    }
    tally.once = applied.values().filter(|times| **times == 1).count();
    for (_, _, action) in recorded.values() {
        *tally.won.entry(action.clone().unwrap_or_else(|| "none".to_owned())).or_default() += 1;
    }
    tally
}

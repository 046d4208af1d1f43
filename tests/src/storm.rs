//! A storm: many callers complete, fail and resume the same suspended runs at once, while time-outs sweep them.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use posthaste_engine::{
    callback::{CallbackEnd, EndTerms, Told, Winner, finish},
    claim::ClaimedRun,
    floor::Scan,
    held::RunRef,
    lifecycle::Outcome,
    resume::{Signal, Signalled, resume},
    retry::RetryPolicy,
    session::{self, Role},
    time_out::time_out,
};
use posthaste_protocol::action::Action;
use sqlx::{Connection, PgConnection};
use tokio::sync::Barrier;

use crate::{RETRY, failed};

/// Callers of each wait: four for each connection.
pub const CALLERS_PER_WAIT: usize = 4 * CONNECTIONS;
const CONNECTIONS: usize = 16;

/// What all callers together were told.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls that were told that they ended a run, and runs that a time-out ended.
    pub ended: usize,
    /// Calls that were told that they lost.
    pub lost: usize,
    /// For each run that any loser was told of, who won; one for each run, if all were told the truth.
    pub winners: HashSet<(i64, WonBy)>,
}

/// Outcome, party and action, as the ledger has them.
pub type WonBy = (String, String, Option<String>);

/// Lets the storm loose on these suspended runs, each of which waits for one callback that has timed out at `due`.
pub async fn storm(url: &str, runs: &[Arc<ClaimedRun>], due: Option<DateTime<Utc>>) -> Tally {
    let barrier = Arc::new(Barrier::new(CONNECTIONS));
    let mut callers = Vec::with_capacity(CONNECTIONS);
    for caller in 0..CONNECTIONS {
        let options = session::options(url, Role::Settle).expect("the URL of a database");
        let mut connection = PgConnection::connect_with(&options).await.expect("connecting");
        // The product gives up after 100 ms and tries again; here everybody waits for their turn.
        sqlx::query("set lock_timeout = 0").execute(&mut connection).await.expect("set lock_timeout");
        let (runs, barrier) = (runs.to_vec(), Arc::clone(&barrier));
        callers.push(tokio::spawn(async move {
            let mut tally = Tally::default();
            barrier.wait().await;
            for run in &runs {
                if caller + 1 == CONNECTIONS {
                    sweep(&mut connection, due, &mut tally).await;
                } else {
                    call_all(&mut connection, run, caller, &mut tally).await;
                }
            }
            tally
        }));
    }
    let mut all = Tally::default();
    for caller in callers {
        let tally = caller.await.expect("a caller");
        all.ended += tally.ended;
        all.lost += tally.lost;
        all.winners.extend(tally.winners);
    }
    all
}

fn policy(_scan: Scan) -> RetryPolicy {
    RETRY
}

async fn sweep(connection: &mut PgConnection, due: Option<DateTime<Utc>>, tally: &mut Tally) {
    for _ in 0..4 {
        let done = time_out(connection, 1, due, &policy, 0.0).await.expect("a sweep");
        tally.ended += done.runs + done.woken;
    }
}

/// Completes, fails, and resumes the run twice, each with a body of its own.
async fn call_all(connection: &mut PgConnection, run: &ClaimedRun, caller: usize, tally: &mut Tally) {
    let reference = RunRef { lease: run.lease, job_id: run.job_id, run_lease: run.run_lease };
    for turn in 0..4 {
        let digest = [u8::try_from(caller * 4 + turn).unwrap_or(u8::MAX); 16];
        let outcome = match turn {
            0 => Some((Action::Complete, Outcome::Completed { result: None })),
            1 => Some((Action::Fail, failed("callback"))),
            _ => None,
        };
        let told = if let Some((action, outcome)) = outcome {
            let call = CallbackEnd { run: reference, outcome, action, digest, judged: true };
            let terms = |scan| Some(EndTerms { retry: policy(scan), has_cel: false });
            finish(connection, &[call], &terms, 0.0).await.expect("a callback").remove(0)
        } else {
            let via = "storm".to_owned();
            let signal = Signal { run: reference, wait: None, payload: None, digest, via };
            match resume(connection, &[signal]).await.expect("a signal").remove(0) {
                Signalled::Applied { state } => Told::Applied { state },
                Signalled::Told(told) => told,
                other => panic!("a signal of its own was told {other:?}"),
            }
        };
        tally.add(run.job_id, told);
    }
}

impl Tally {
    fn add(&mut self, job: i64, told: Told) {
        match told {
            Told::Applied { .. } => self.ended += 1,
            Told::AlreadyFinalized { winner: Some(Winner { outcome, ended_by, action }), .. } => {
                self.lost += 1;
                self.winners.insert((job, (outcome, ended_by, action)));
            }
            Told::LeaseSuperseded { .. } => self.lost += 1,
            other => panic!("job {job}: a caller was told {other:?}"),
        }
    }
}

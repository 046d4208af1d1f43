//! Resume: signals from outside wake suspended functions; those that come early are kept.
//!
//! A signal that finds its run without a wait is kept in the inbox, and then looks again; a suspension writes its waits, and
//! then looks into the inbox. Whichever commits first, the other sees it.

use std::collections::{HashMap, HashSet};

use posthaste_protocol::{action::Action, callback::Digest, job::State};
use sqlx::{Connection, PgConnection};

use crate::{
    EngineError,
    callback::{Told, told},
    held::{RunRef, held},
    inbox,
    wake::{Answer, Came, Clock, advance, lock, look_at},
};

/// How often a signal is looked at before it is told that its run is over.
const TURNS: usize = 3;

/// One signal.
#[derive(Debug, Clone)]
pub struct Signal {
    /// The run that its token names.
    pub run: RunRef,
    /// The wait that it is for; `None`: the first open callback wait, in the order given, unless one that is open has
    /// expressions. Whoever takes webhooks has judged them for this wait, by its expressions and its signature: here nobody does.
    pub wait: Option<String>,
    /// JSON text, at most 1 MiB; `None` for null.
    pub payload: Option<String>,
    /// What recognises it when it comes again.
    pub digest: Digest,
    /// How it came: `callback:resume`, `hook`, `source:<name>`.
    pub via: String,
}

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signalled {
    /// It met a wait, durably.
    Applied {
        /// `available` where it woke the function, `waiting` where more must come, `cancelled` where somebody asked for that.
        state: State,
    },
    /// The same signal met a wait of this run before.
    Duplicate {
        /// The job after that.
        state: State,
    },
    /// The run goes on, and waits for nothing yet: kept, durably, until it or a later run of its job waits.
    Buffered,
    /// As `Buffered`, but as many as may be kept are: nothing was. To be sent again later.
    TooMany,
    /// It has no effect. `AlreadyFinalized` without a winner: none of the run's waits takes it.
    Told(Told),
}

/// Gives these signals to their runs, in the order of the batch, and wakes those whose function has what it needs; tells
/// what became of each, in order.
pub async fn resume(connection: &mut PgConnection, signals: &[Signal]) -> Result<Vec<Signalled>, EngineError> {
    let mut answers: Vec<Option<Signalled>> = vec![None; signals.len()];
    let mut states = vec![State::Running; signals.len()];
    for _ in 0..TURNS {
        let open: Vec<usize> = (0..signals.len()).filter(|&n| answers[n].is_none()).collect();
        if open.is_empty() {
            break;
        }
        for (n, answer) in apply(connection, signals, &open).await? {
            answers[n] = answer;
        }
        let early: Vec<usize> = open.into_iter().filter(|&n| answers[n].is_none()).collect();
        for (n, answer) in keep(connection, signals, &early).await? {
            answers[n] = answer;
        }
        let lost: Vec<usize> = early.into_iter().filter(|&n| answers[n].is_none()).collect();
        for (n, verdict, now) in verdicts(connection, signals, &lost).await? {
            (answers[n], states[n]) = (verdict, now);
        }
    }
    let over = |state| Signalled::Told(Told::LeaseSuperseded { state });
    Ok(answers.into_iter().zip(states).map(|(answer, state)| answer.unwrap_or_else(|| over(state))).collect())
}

/// Gives these signals to those of their runs that are suspended.
async fn apply(
    connection: &mut PgConnection,
    signals: &[Signal],
    open: &[usize],
) -> Result<Vec<(usize, Option<Signalled>)>, EngineError> {
    let mut tx = connection.begin().await?;
    let mut jobs: Vec<i64> = open.iter().map(|&n| signals[n].run.job_id).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let mut locked = lock(&mut tx, &jobs).await?;
    // A token of another run, or of a lost claim with the same number, is no key to this one.
    let held: HashMap<i64, RunRef> = locked.iter().map(|run| (run.held.run.job_id, run.held.run)).collect();
    let is_held = |n: &usize| held.get(&signals[*n].run.job_id) == Some(&signals[*n].run);
    let ours: Vec<usize> = open.iter().copied().filter(is_held).collect();
    let named: HashSet<i64> = ours.iter().map(|&n| signals[n].run.job_id).collect();
    locked.retain(|run| named.contains(&run.held.run.job_id));
    let came = ours.iter().map(|&n| signals[n].came()).collect();
    let advanced = advance(&mut tx, &locked, came, &[], Clock::Stopped).await?;
    tx.commit().await?;
    let answers = advanced.answers.into_iter().filter(|(signal, _)| signal.inbox.is_none());
    Ok(ours.into_iter().zip(answers).map(|(n, (_, answer))| (n, answer.map(signalled))).collect())
}

impl Signal {
    fn came(&self) -> Came {
        let Self { run, wait, payload, digest, .. } = self;
        Came { job_id: run.job_id, wait: wait.clone(), payload: payload.clone(), digest: *digest, inbox: None }
    }
}

fn signalled(answer: Answer) -> Signalled {
    let state = State::Waiting;
    match answer {
        Answer::Applied(state) => Signalled::Applied { state },
        Answer::Duplicate => Signalled::Duplicate { state },
        Answer::NoWait => Signalled::Told(Told::AlreadyFinalized { state, winner: None }),
    }
}

/// Keeps those of these signals whose runs go on, and looks again: a suspension that did not see them is seen.
async fn keep(
    connection: &mut PgConnection,
    signals: &[Signal],
    which: &[usize],
) -> Result<Vec<(usize, Option<Signalled>)>, EngineError> {
    let runs: Vec<RunRef> = which.iter().map(|&n| signals[n].run).collect();
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let held = held(connection, &runs).await?;
    let early: Vec<usize> = which.iter().zip(held).filter(|(_, held)| held.is_some()).map(|(&n, _)| n).collect();
    let batch: Vec<&Signal> = early.iter().map(|&n| &signals[n]).collect();
    let kept = inbox::keep_early(connection, &batch).await?;
    let mut jobs: Vec<i64> = batch.iter().map(|signal| signal.run.job_id).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let mut found: HashMap<(i64, Digest, Option<String>), Signalled> = HashMap::new();
    for (came, answer) in look_at(connection, &jobs, Clock::Stopped).await?.answers {
        if let Some(answer @ Answer::Applied(_)) = answer {
            found.insert((came.job_id, came.digest, came.wait), signalled(answer));
        }
    }
    let answer = |n: usize, kept: bool| {
        let signal = &signals[n];
        let found = found.get(&(signal.run.job_id, signal.digest, signal.wait.clone()));
        found.cloned().unwrap_or(if kept { Signalled::Buffered } else { Signalled::TooMany })
    };
    Ok(early.into_iter().zip(kept).map(|(n, kept)| (n, Some(answer(n, kept.is_some())))).collect())
}

/// What signals for runs that do not go on are told. `None`: nothing holds the run, and nothing has ended it.
async fn verdicts(
    connection: &mut PgConnection,
    signals: &[Signal],
    which: &[usize],
) -> Result<Vec<(usize, Option<Signalled>, State)>, EngineError> {
    if which.is_empty() {
        return Ok(Vec::new());
    }
    let marks = which.iter().map(|&n| (signals[n].run, Action::Resume.as_str(), signals[n].digest.to_vec()));
    let told = told(connection, &marks.collect::<Vec<_>>()).await?;
    let verdict = |(&n, (told, state)): (&usize, (Option<Told>, State))| {
        let answer = told.map(|told| match told {
            Told::Duplicate { state } => Signalled::Duplicate { state },
            told => Signalled::Told(told),
        });
        (n, answer, state)
    };
    Ok(which.iter().zip(told).map(verdict).collect())
}

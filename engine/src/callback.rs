//! Callback: ends runs as their callbacks say, each once, and tells every other caller the recorded truth.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use posthaste_protocol::{action::Action, callback::Digest, job::State};
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    complete::{Completion, complete},
    finalize::{CallbackMark, EndedBy, RunEnd, finalize_any},
    floor::Scan,
    held::{HeldRun, RunRef, held},
    lifecycle::{self, Next, Outcome, Policy},
    retry::RetryPolicy,
};

/// How often a callback is looked at before it is told that it lost: a run that neither lease, wait nor end knows may be
/// on its way from one to the other.
const TURNS: usize = 3;

/// A callback that ends its run.
#[derive(Debug, Clone)]
pub struct CallbackEnd {
    /// The run that its token names.
    pub run: RunRef,
    /// What the run came to, as the callback says.
    pub outcome: Outcome,
    /// What it does: one of those that end a run.
    pub action: Action,
    /// Of its action and body.
    pub digest: Digest,
    /// Expressions have been asked, or it is none of those that they are asked about.
    pub judged: bool,
}

/// What the endpoint of a lane gives the ends of its runs.
#[derive(Debug, Clone)]
pub struct EndTerms {
    /// How its jobs are tried again.
    pub retry: RetryPolicy,
    /// It has expressions that judge callbacks.
    pub has_cel: bool,
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This callback ended the run, durably.
    Applied {
        /// The job after it.
        state: State,
    },
    /// The same callback ended the run before.
    Duplicate {
        /// The job after that, as it was recorded.
        state: State,
    },
    /// The run ended otherwise, and nothing newer holds the job.
    AlreadyFinalized {
        /// The job now.
        state: State,
        /// Who won, in the words of the ledger; `None` when it is not known.
        winner: Option<Winner>,
    },
    /// A newer run holds the job, or another lease had this one.
    LeaseSuperseded {
        /// The job now.
        state: State,
    },
    /// Nothing is known of the job any more.
    PastRetention,
    /// Nothing was done: expressions of the job or its endpoint are to be asked first.
    Unjudged,
    /// Nothing was done: the caller does not know the lane of the run.
    LaneUnknown,
}

/// The end that came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    /// `completed`, `retried`, `timed_out` …
    pub outcome: String,
    /// `callback`, `dispatcher`, `rescue`, `maintenance`, `producer` or `operator`.
    pub ended_by: String,
    /// The callback's action, if it was one.
    pub action: Option<String>,
}

/// What the endpoints of lanes give the ends of their runs.
#[derive(Clone, Copy)]
pub struct LaneTerms<'a> {
    /// Of this lane; `None`: it is not known.
    pub of: &'a (dyn Fn(Scan) -> Option<EndTerms> + Sync),
    /// Lanes whose endpoints have no expressions: all of them, or those that count.
    pub plain: &'a [i32],
}

/// Ends the runs of these callbacks, in a transaction of its own, and tells what became of each, in order. Of two for
/// one run, the first of the batch is tried first. `jitter` is drawn in `[0, 1)`. Where the job or the endpoint has
/// expressions, a callback that was not judged is left alone, and told so.
pub async fn finish(
    connection: &mut PgConnection,
    callbacks: &[CallbackEnd],
    terms: LaneTerms<'_>,
    jitter: f64,
) -> Result<Vec<Told>, EngineError> {
    let mut told: Vec<Option<Told>> = vec![None; callbacks.len()];
    for n in completed(connection, callbacks, terms.plain).await? {
        told[n] = Some(Told::Applied { state: State::Completed });
    }
    let mut state = vec![State::Running; callbacks.len()];
    for turn in 1..=TURNS {
        let open: Vec<usize> = (0..callbacks.len()).filter(|&n| told[n].is_none()).collect();
        if open.is_empty() {
            break;
        }
        for (n, answer) in apply(connection, callbacks, &open, terms.of, jitter).await? {
            told[n] = Some(answer);
        }
        let lost: Vec<usize> = open.into_iter().filter(|&n| told[n].is_none()).collect();
        for (n, verdict, now) in verdicts(connection, callbacks, &lost).await? {
            (told[n], state[n]) = (verdict, now);
            if turn == TURNS && told[n].is_none() {
                told[n] = Some(Told::LeaseSuperseded { state: now });
            }
        }
    }
    let told = told.into_iter().zip(state);
    Ok(told.map(|(told, state)| told.unwrap_or(Told::LeaseSuperseded { state })).collect())
}

/// Those that bring the results of their runs, and ended them: most do, and these need nothing looked up.
async fn completed(
    connection: &mut PgConnection,
    callbacks: &[CallbackEnd],
    plain: &[i32],
) -> Result<Vec<usize>, EngineError> {
    let mut places = HashMap::new();
    let mut completions = Vec::new();
    let mut seen = HashSet::new();
    for (n, callback) in callbacks.iter().enumerate().filter(|(_, callback)| seen.insert(key(callback.run))) {
        let Outcome::Completed { result } = &callback.outcome else { continue };
        places.insert(key(callback.run), n);
        completions.push(Completion {
            run: callback.run,
            action: callback.action.as_str(),
            digest: &callback.digest,
            result: result.as_deref(),
            judged: callback.judged,
        });
    }
    if completions.is_empty() {
        return Ok(Vec::new());
    }
    let ended = complete(connection, &completions, plain).await?;
    Ok(ended.iter().filter_map(|run| places.get(run).copied()).collect())
}

/// Ends those of the `open` callbacks whose runs are held, at most one for each run: a token of a lost claim is another run.
/// Returns what these are told, and those that are left alone.
async fn apply(
    connection: &mut PgConnection,
    callbacks: &[CallbackEnd],
    open: &[usize],
    terms_of: &(dyn Fn(Scan) -> Option<EndTerms> + Sync),
    jitter: f64,
) -> Result<Vec<(usize, Told)>, EngineError> {
    let mut seen = HashSet::new();
    let firsts: Vec<usize> = open.iter().copied().filter(|&n| seen.insert(callbacks[n].run)).collect();
    let runs: Vec<RunRef> = firsts.iter().map(|&n| callbacks[n].run).collect();
    let mut ends = Vec::with_capacity(firsts.len());
    let mut places = HashMap::with_capacity(firsts.len());
    let mut told = Vec::new();
    for (first, held) in firsts.into_iter().zip(held(connection, &runs).await?) {
        let Some(held) = held else { continue };
        let of_run = || open.iter().copied().filter(|&n| callbacks[n].run == held.run);
        let Some(EndTerms { retry, has_cel }) = terms_of(held.scan) else {
            told.extend(of_run().map(|n| (n, Told::LaneUnknown)));
            continue;
        };
        let mut next = Some(first);
        if has_cel || held.has_cel {
            told.extend(of_run().filter(|&n| !callbacks[n].judged).map(|n| (n, Told::Unjudged)));
            next = of_run().find(|&n| callbacks[n].judged);
        }
        if let Some(n) = next {
            ends.push(end(&held, &callbacks[n], retry, jitter));
            places.insert(key(held.run), n);
        }
    }
    if !ends.is_empty() {
        let ended = finalize_any(connection, &ends, EndedBy::Callback).await?;
        told.extend(ended.into_iter().filter_map(|run| {
            let n = places.get(&(run.job_id, run.run_lease))?;
            Some((*n, Told::Applied { state: state_after(&run.outcome) }))
        }));
    }
    Ok(told)
}

fn key(run: RunRef) -> (i64, i64) {
    (run.job_id, run.run_lease)
}

fn end(held: &HeldRun, callback: &CallbackEnd, retry: RetryPolicy, jitter: f64) -> RunEnd {
    let policy = Policy { max_attempts: held.max_attempts, retry };
    let mut transition = lifecycle::decide(callback.outcome.clone(), held.spent, &policy, jitter);
    if let Next::Again { delay, .. } = &mut transition.next {
        // Never at once: a job that goes again is `scheduled`, so that the recorded answer can be told again.
        *delay = (*delay).max(Duration::from_millis(1));
    }
    let mark = CallbackMark { action: callback.action, digest: callback.digest };
    RunEnd { callback: Some(mark), ..held.end(transition, Some("responded")) }
}

/// The state of a job right after a callback ended its run so.
pub(crate) fn state_after(outcome: &str) -> State {
    match outcome {
        "completed" => State::Completed,
        "cancelled" => State::Cancelled,
        "dead" => State::Dead,
        "suspended" => State::Available,
        _ => State::Scheduled,
    }
}

/// Why these runs do not go on, in order: for a callback that does not end its run and found it over.
pub async fn lost(connection: &mut PgConnection, runs: &[RunRef]) -> Result<Vec<Told>, EngineError> {
    let marks: Vec<_> = runs.iter().map(|run| (*run, "", Vec::new())).collect();
    let told = told(connection, &marks).await?.into_iter();
    Ok(told.map(|(told, state)| told.unwrap_or(Told::LeaseSuperseded { state })).collect())
}

/// What whoever sends this again is told of a run that is over, in order: as `Duplicate` if one of these actions with this
/// digest ended it.
pub async fn recorded(
    connection: &mut PgConnection,
    runs: &[(RunRef, Digest)],
    actions: &[Action],
) -> Result<Vec<Told>, EngineError> {
    let mut told_best: Vec<Option<Told>> = vec![None; runs.len()];
    for action in actions {
        let marks: Vec<_> = runs.iter().map(|(run, digest)| (*run, action.as_str(), digest.to_vec())).collect();
        for (best, (now, state)) in told_best.iter_mut().zip(told(connection, &marks).await?) {
            if !matches!(best, Some(Told::Duplicate { .. })) {
                *best = Some(now.unwrap_or(Told::LeaseSuperseded { state }));
            }
        }
    }
    Ok(told_best.into_iter().map(|told| told.unwrap_or(Told::PastRetention)).collect())
}

/// What these callbacks are told, as the ledger stands, and the states of their jobs. `None`: nothing holds the run, and
/// nothing has ended it.
async fn verdicts(
    connection: &mut PgConnection,
    callbacks: &[CallbackEnd],
    which: &[usize],
) -> Result<Vec<(usize, Option<Told>, State)>, EngineError> {
    if which.is_empty() {
        return Ok(Vec::new());
    }
    let marks = which.iter().map(|&n| &callbacks[n]);
    let marks: Vec<_> = marks.map(|call| (call.run, call.action.as_str(), call.digest.to_vec())).collect();
    let told = told(connection, &marks).await?;
    Ok(which.iter().zip(told).map(|(&n, (told, state))| (n, told, state)).collect())
}

/// What these calls, each with its action and digest, are told, and the states of their jobs. `None` as in [`verdicts`].
pub(crate) async fn told(
    connection: &mut PgConnection,
    marks: &[(RunRef, &str, Vec<u8>)],
) -> Result<Vec<(Option<Told>, State)>, EngineError> {
    let rows = sqlx::query(include_str!("sql/told.sql"))
        .bind(marks.iter().map(|(run, ..)| run.job_id).collect::<Vec<_>>())
        .bind(marks.iter().map(|(run, ..)| run.run_lease).collect::<Vec<_>>())
        .bind(marks.iter().map(|(run, ..)| run.lease.lease_id).collect::<Vec<_>>())
        .bind(marks.iter().map(|(_, action, _)| *action).collect::<Vec<_>>())
        .bind(marks.iter().map(|(.., digest)| digest.as_slice()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    marks.iter().zip(&rows).map(|((run, ..), row)| verdict(row, run.run_lease)).collect()
}

fn verdict(row: &PgRow, run_lease: i64) -> Result<(Option<Told>, State), EngineError> {
    let Some(state) = row.try_get::<Option<&str>, _>("state")? else {
        return Ok((Some(Told::PastRetention), State::Dead));
    };
    let state: State = state.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let superseded = row.try_get::<i64, _>("newest_run")? > run_lease && !state.is_terminal();
    let winner = match row.try_get::<Option<String>, _>("outcome")? {
        Some(outcome) => Some(Winner { outcome, ended_by: row.try_get("ended_by")?, action: row.try_get("action")? }),
        None => None,
    };
    let told = match winner {
        Some(_) if !row.try_get::<bool, _>("same_lease")? => Some(Told::LeaseSuperseded { state }),
        Some(winner) if row.try_get::<Option<bool>, _>("same_callback")? == Some(true) => {
            Some(Told::Duplicate { state: state_after(&winner.outcome) })
        }
        _ if superseded => Some(Told::LeaseSuperseded { state }),
        Some(winner) => Some(Told::AlreadyFinalized { state, winner: Some(winner) }),
        None if state.is_terminal() => Some(Told::AlreadyFinalized { state, winner: None }),
        None => None,
    };
    Ok((told, state))
}

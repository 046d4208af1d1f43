//! Committing a batch: each verb in turn, one statement and one commit for all who want it.

use std::{collections::HashSet, ops::Range};

use posthaste_engine::{
    EngineError,
    callback::{self, CallbackEnd},
    extend::{Heartbeat, extend},
    held::{RunRef, held},
    progress::{Reported, report},
};
use posthaste_protocol::{callback::Progress, problem::FieldError};
use posthaste_service::entropy;
use sqlx::PgConnection;

use crate::{
    refusal::Refusal,
    terms::{AllTerms, DEFAULT_TIMES},
    work::{Beat, Done, Work},
};

/// What became of one callback.
pub type Answer = Result<Done, Refusal>;

/// What became of a batch: an answer for each callback, in order; `None` for those that must wait for the next batch, since a
/// verb takes one callback per job at a time.
pub struct Committed {
    /// The answers.
    pub answers: Vec<Option<Answer>>,
    /// Whether the connection broke on the way and must not be used again.
    pub broken: bool,
}

/// The callbacks of a batch that want the same verb.
enum Verb {
    Extend(Vec<Beat>),
    Report(Vec<(RunRef, Progress)>),
    End(Vec<CallbackEnd>),
}

impl Verb {
    /// Does what these of them want, in one commit.
    async fn run(
        &self,
        connection: &mut PgConnection,
        part: Range<usize>,
        terms: &AllTerms,
    ) -> Result<Vec<Done>, EngineError> {
        match self {
            Self::Extend(beats) => heartbeats(connection, &beats[part], terms).await,
            Self::Report(reports) => progress(connection, &reports[part]).await,
            Self::End(ends) => end(connection, &ends[part], terms).await,
        }
    }
}

/// Commits these callbacks. Only where one of them spoils its statement is its verb divided, until that one stands alone.
pub async fn commit(connection: &mut PgConnection, batch: &[&Work], terms: &AllTerms) -> Committed {
    let mut committed = Committed { answers: batch.iter().map(|_| None).collect(), broken: false };
    let (mut ends, mut beats, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    let (mut beating, mut reporting) = (HashSet::new(), HashSet::new());
    for (n, work) in batch.iter().enumerate() {
        match work {
            Work::End(end) => ends.push((n, end.clone())),
            Work::Heartbeat(beat) if beating.insert(beat.run.job_id) => beats.push((n, *beat)),
            Work::Progress(run, progress) if reporting.insert(run.job_id) => reports.push((n, (*run, progress.clone()))),
            Work::Heartbeat(_) | Work::Progress(..) => {}
        }
    }
    let (places, beats) = beats.into_iter().unzip();
    // Signs of life first: a function that beats and ends at once has done both.
    committed.divided(connection, places, &Verb::Extend(beats), terms).await;
    let (places, reports) = reports.into_iter().unzip();
    committed.divided(connection, places, &Verb::Report(reports), terms).await;
    let (places, ends) = ends.into_iter().unzip();
    committed.divided(connection, places, &Verb::End(ends), terms).await;
    committed
}

impl Committed {
    /// Runs a verb for all callbacks that want it, whose places in the batch these are, or for halves of them when one is at
    /// fault.
    async fn divided(&mut self, connection: &mut PgConnection, places: Vec<usize>, verb: &Verb, terms: &AllTerms) {
        let mut parts: Vec<Range<usize>> = if places.is_empty() { Vec::new() } else { vec![0..places.len()] };
        while let Some(part) = parts.pop() {
            if self.broken {
                self.refuse(&places[part], Refusal::database_unavailable);
                continue;
            }
            match verb.run(connection, part.clone(), terms).await {
                Ok(done) => {
                    for (place, done) in places[part].iter().zip(done) {
                        self.answers[*place] = Some(Ok(done));
                    }
                }
                Err(error) if error.is_divisible() && part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(error) => {
                    self.broken |= error.is_unavailable();
                    tracing::warn!(%error, callbacks = part.len(), "callbacks could not be committed");
                    self.refuse(&places[part], || refusal(&error));
                }
            }
        }
    }

    fn refuse(&mut self, places: &[usize], why: impl Fn() -> Refusal) {
        for place in places {
            self.answers[*place] = Some(Err(why()));
        }
    }
}

async fn end(connection: &mut PgConnection, ends: &[CallbackEnd], terms: &AllTerms) -> Result<Vec<Done>, EngineError> {
    let jitter = entropy::jitter();
    let told = callback::finish(connection, ends, &|scan| terms.of(scan).retry.clone(), jitter).await?;
    Ok(told.into_iter().map(Done::Told).collect())
}

async fn heartbeats(
    connection: &mut PgConnection,
    beats: &[Beat],
    terms: &AllTerms,
) -> Result<Vec<Done>, EngineError> {
    let runs: Vec<RunRef> = beats.iter().map(|beat| beat.run).collect();
    // A first heartbeat parks its run, which then has the time that its endpoint gives.
    let held = held(connection, &runs).await?;
    let beats = beats.iter().zip(held).map(|(&Beat { run, wait_number, extend }, held)| {
        let times = held.map_or(DEFAULT_TIMES, |held| terms.of(held.scan).times);
        Heartbeat { run, wait_number, extend, times }
    });
    let beats: Vec<Heartbeat> = beats.collect();
    let alive = extend(connection, &beats).await?;
    or_lost(connection, &runs, alive.into_iter().map(|alive| alive.map(Done::Alive)).collect()).await
}

async fn progress(connection: &mut PgConnection, reports: &[(RunRef, Progress)]) -> Result<Vec<Done>, EngineError> {
    let runs: Vec<RunRef> = reports.iter().map(|(run, _)| *run).collect();
    let reported = report(connection, reports).await?.into_iter().map(|reported| match reported {
        Reported::Kept { waits, cancel_requested } => Some(Done::Reported { waits, cancel_requested }),
        Reported::TooLarge => Some(Done::MetadataTooLarge),
        Reported::Over => None,
    });
    let reported = reported.collect();
    or_lost(connection, &runs, reported).await
}

/// Those who found their run over are told why.
async fn or_lost(
    connection: &mut PgConnection,
    runs: &[RunRef],
    done: Vec<Option<Done>>,
) -> Result<Vec<Done>, EngineError> {
    let over: Vec<RunRef> = runs.iter().zip(&done).filter(|(_, done)| done.is_none()).map(|(run, _)| *run).collect();
    let mut lost = if over.is_empty() { Vec::new() } else { callback::lost(connection, &over).await? }.into_iter();
    Ok(done.into_iter().filter_map(|done| done.or_else(|| lost.next().map(Done::Told))).collect())
}

/// Why a callback, standing alone, was not committed. Never 500: whoever calls back must try again.
fn refusal(error: &EngineError) -> Refusal {
    match error {
        EngineError::Unavailable(_) => Refusal::database_unavailable(),
        EngineError::Refused { code, .. } if code.starts_with("22") || code.starts_with("54") => {
            Refusal::faults(vec![FieldError::new("", "invalid_value", "the body holds a value that Postgres cannot store")])
        }
        _ => Refusal::overloaded(),
    }
}

//! Verbs: the callbacks of a batch that want the same of the engine, and how it is done for all of them at once.

use std::{ops::Range, sync::Arc};

use arc_swap::ArcSwap;
use posthaste_engine::{
    EngineError,
    callback::{self, CallbackEnd, LaneTerms, Told, finish},
    checkpoint::{Checkpoint, checkpoint},
    extend::{Heartbeat, extend},
    held::{RunRef, held},
    inbox::{self, Quarantine},
    judging,
    progress::{Reported, report},
    resume::{Signal, resume},
    standing::standing,
    waiting_on,
};
use posthaste_protocol::{
    action::Action,
    callback::{Digest, Progress},
};
use posthaste_service::entropy;
use sqlx::PgConnection;

use crate::{
    terms::{AllTerms, DEFAULT_TIMES, Terms, renew},
    work::{Beat, Done, Work},
};

/// The actions that a webhook may come to.
pub const OF_WEBHOOKS: &[Action] = &[Action::Complete, Action::Fail, Action::Resume];

/// One verb, and all that want it.
pub enum Verb {
    Extend(Vec<Beat>),
    Report(Vec<(RunRef, Progress)>),
    Checkpoint(Vec<Checkpoint>),
    Find(Vec<(i64, Digest)>),
    LookUp(Vec<RunRef>),
    Resume(Vec<Signal>),
    End(Vec<CallbackEnd>),
    Recorded(Vec<(RunRef, Digest)>),
    KeepEarly(Vec<Quarantine>),
    Quarantine(Vec<Quarantine>),
}

/// The callbacks of a batch by verb, each with its place in the batch.
#[derive(Default)]
pub struct Verbs {
    beats: Vec<(usize, Beat)>,
    reports: Vec<(usize, (RunRef, Progress))>,
    checkpoints: Vec<(usize, Checkpoint)>,
    finds: Vec<(usize, (i64, Digest))>,
    look_ups: Vec<(usize, RunRef)>,
    signals: Vec<(usize, Signal)>,
    ends: Vec<(usize, CallbackEnd)>,
    recorded: Vec<(usize, (RunRef, Digest))>,
    early: Vec<(usize, Quarantine)>,
    quarantined: Vec<(usize, Quarantine)>,
}

impl Verbs {
    /// Adds the callback at this place of the batch.
    pub fn add(&mut self, n: usize, work: &Work) {
        match work {
            Work::Heartbeat(beat) => self.beats.push((n, *beat)),
            Work::Progress(run, progress) => self.reports.push((n, (*run, progress.clone()))),
            Work::Checkpoint(checkpoint) => self.checkpoints.push((n, checkpoint.clone())),
            Work::Find(job, digest) => self.finds.push((n, (*job, *digest))),
            Work::LookUp(run) => self.look_ups.push((n, *run)),
            Work::Resume(signal) => self.signals.push((n, signal.clone())),
            Work::End(end) => self.ends.push((n, end.clone())),
            Work::Recorded(run, digest) => self.recorded.push((n, (*run, *digest))),
            Work::Keep { delivery, early: true } => self.early.push((n, delivery.clone())),
            Work::Keep { delivery, early: false } => self.quarantined.push((n, delivery.clone())),
        }
    }

    /// The verbs in the order in which they are done, each with its places. Signs of life come before ends: a function that
    /// beats and ends at once has done both.
    pub fn in_turn(self) -> impl Iterator<Item = (Vec<usize>, Verb)> {
        [
            of(self.beats, Verb::Extend),
            of(self.reports, Verb::Report),
            of(self.checkpoints, Verb::Checkpoint),
            of(self.finds, Verb::Find),
            of(self.look_ups, Verb::LookUp),
            of(self.signals, Verb::Resume),
            of(self.ends, Verb::End),
            of(self.recorded, Verb::Recorded),
            of(self.early, Verb::KeepEarly),
            of(self.quarantined, Verb::Quarantine),
        ]
        .into_iter()
    }
}

fn of<T>(items: Vec<(usize, T)>, verb: fn(Vec<T>) -> Verb) -> (Vec<usize>, Verb) {
    let (places, items) = items.into_iter().unzip();
    (places, verb(items))
}

impl Verb {
    /// Does it for this part of those who want it, and tells each what came of it.
    pub async fn run(
        &self,
        connection: &mut PgConnection,
        part: Range<usize>,
        terms: &ArcSwap<AllTerms>,
    ) -> Result<Vec<Done>, EngineError> {
        match self {
            Self::Extend(beats) => heartbeats(connection, &beats[part], terms).await,
            Self::Report(reports) => progress(connection, &reports[part]).await,
            Self::Checkpoint(checkpoints) => steps(connection, &checkpoints[part]).await,
            Self::Find(jobs) => Ok(standing(connection, &jobs[part]).await?.into_iter().map(Done::Stands).collect()),
            Self::LookUp(runs) => look_ups(connection, &runs[part], terms).await,
            Self::Resume(signals) => {
                Ok(resume(connection, &signals[part]).await?.into_iter().map(Done::Signalled).collect())
            }
            Self::End(callbacks) => ends(connection, &callbacks[part], terms).await,
            Self::Recorded(runs) => {
                let told = callback::recorded(connection, &runs[part], OF_WEBHOOKS).await?;
                Ok(told.into_iter().map(Done::Told).collect())
            }
            Self::KeepEarly(deliveries) => {
                Ok(judging::keep_early(connection, &deliveries[part]).await?.into_iter().map(Done::Kept).collect())
            }
            Self::Quarantine(deliveries) => {
                Ok(inbox::keep(connection, &deliveries[part]).await?.into_iter().map(Done::Kept).collect())
            }
        }
    }
}

async fn look_ups(
    connection: &mut PgConnection,
    runs: &[RunRef],
    terms: &ArcSwap<AllTerms>,
) -> Result<Vec<Done>, EngineError> {
    let found = waiting_on::look_up(connection, runs).await?;
    let mut terms_now = terms.load_full();
    // Of an endpoint that is new since they were read nobody knows the expressions.
    let is_new = |name: &str| !terms_now.knows_endpoint(name);
    if found.iter().flatten().filter_map(|run| run.endpoint.as_deref()).any(is_new) {
        terms_now = renew(connection, terms).await?;
    }
    Ok(found.into_iter().map(|run| Done::Found(run.map(Box::new), Arc::clone(&terms_now))).collect())
}

async fn ends(
    connection: &mut PgConnection,
    callbacks: &[CallbackEnd],
    terms: &ArcSwap<AllTerms>,
) -> Result<Vec<Done>, EngineError> {
    let known = terms.load_full();
    let of = |scan| known.known(scan).map(Terms::of_ends);
    let terms_of = LaneTerms { of: &of, plain: &known.plain };
    let mut told = finish(connection, callbacks, terms_of, entropy::jitter()).await?;
    let new: Vec<usize> = (0..told.len()).filter(|&n| told[n] == Told::LaneUnknown).collect();
    if !new.is_empty() {
        let now = renew(connection, terms).await?;
        let again: Vec<CallbackEnd> = new.iter().map(|&n| callbacks[n].clone()).collect();
        let of = |scan| Some(now.of(scan).of_ends());
        let terms_of = LaneTerms { of: &of, plain: &now.plain };
        for (n, answer) in new.into_iter().zip(finish(connection, &again, terms_of, entropy::jitter()).await?) {
            told[n] = answer;
        }
    }
    Ok(told.into_iter().map(Done::Told).collect())
}

async fn heartbeats(
    connection: &mut PgConnection,
    beats: &[Beat],
    terms: &ArcSwap<AllTerms>,
) -> Result<Vec<Done>, EngineError> {
    let runs: Vec<RunRef> = beats.iter().map(|beat| beat.run).collect();
    // A first heartbeat parks its run, which then has the time that its endpoint gives.
    let held = held(connection, &runs).await?;
    let mut terms_now = terms.load_full();
    if held.iter().flatten().any(|held| terms_now.known(held.scan).is_none()) {
        terms_now = renew(connection, terms).await?;
    }
    let beats = beats.iter().zip(held).map(|(&Beat { run, extend }, held)| {
        let times = held.map_or(DEFAULT_TIMES, |held| terms_now.of(held.scan).times);
        Heartbeat { run, extend, times }
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

async fn steps(connection: &mut PgConnection, checkpoints: &[Checkpoint]) -> Result<Vec<Done>, EngineError> {
    let runs: Vec<RunRef> = checkpoints.iter().map(|checkpoint| checkpoint.run).collect();
    let told = checkpoint(connection, checkpoints).await?.into_iter();
    let told = told.map(|told| Some(Done::Checkpointed(told)).filter(|done| !done.is_over())).collect();
    or_lost(connection, &runs, told).await
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

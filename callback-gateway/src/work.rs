//! Work: what a callback asks the engine to do, and what came of it.

use std::{sync::Arc, time::Duration};

use posthaste_engine::{
    callback::{CallbackEnd, Told},
    checkpoint::{Checkpoint, Checkpointed},
    claim::Lease,
    extend::Alive,
    held::RunRef,
    inbox::Quarantine,
    lifecycle::{Outcome, RunError},
    resume::{Signal, Signalled},
    standing::Standing,
    waiting_on::WaitingOn,
};
use posthaste_protocol::{
    action::Action,
    callback::{Callback, CallbackAnswer, CallbackOutcome, CallbackRequest, Digest, Progress},
    excerpt::{ERROR_BYTES, clean},
    id::JobId,
    job::{JobRef, State},
    problem::{Code, FieldError},
    token::Claims,
};
use uuid::Uuid;

use crate::{refusal::Refusal, terms::AllTerms, told};

/// When a function that snoozes without saying how long is asked again.
const DEFAULT_SNOOZE: Duration = Duration::from_mins(1);
/// What a signal is told that no open wait of its run takes.
const NO_WAIT: Told = Told::AlreadyFinalized { state: State::Waiting, winner: None };
/// The same, for people.
const NO_WAIT_DETAIL: &str = "the function waits for no callback, or for none that takes this";
/// Why what came early was not kept.
const TOO_MANY_KEPT: &str = "as many as may be kept of this job wait already; try again";

/// One verb on one run.
#[derive(Debug, Clone)]
pub enum Work {
    /// End it.
    End(CallbackEnd),
    /// Move its deadline.
    Heartbeat(Beat),
    /// Keep what it reports.
    Progress(RunRef, Progress),
    /// Keep what it has done so far.
    Checkpoint(Checkpoint),
    /// Wake its function.
    Resume(Signal),
    /// Look where this job is, and whether this came before.
    Find(i64, Digest),
    /// Look what it waits for.
    LookUp(RunRef),
    /// Look what became of it, and whether this came before.
    Recorded(RunRef, Digest),
    /// Keep what came for it: before it waits, or because nobody can judge it.
    Keep {
        /// What came.
        delivery: Quarantine,
        /// It came before its wait was known.
        early: bool,
    },
}

/// A sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    /// Of which run.
    pub run: RunRef,
    /// The deadline becomes so much from now; `None`: the same time-out again.
    pub extend: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Done {
    /// The run was ended, now or before, or is over otherwise.
    Told(Told),
    /// It lives on.
    Alive(Alive),
    /// Its report was kept.
    Reported {
        /// It is parked; else it is running.
        waits: bool,
        /// The function is asked to end.
        cancel_requested: bool,
    },
    /// Together with what was reported before, its metadata is too large.
    MetadataTooLarge,
    /// What became of its steps; never `Over`.
    Checkpointed(Checkpointed),
    /// What became of a signal.
    Signalled(Signalled),
    /// Where the job is.
    Stands(Standing),
    /// What it waits for, and terms that were read when its endpoint was there; `None`: it does not go on.
    Found(Option<Box<WaitingOn>>, Arc<AllTerms>),
    /// Under which number it was kept; `None`: too many are.
    Kept(Option<i64>),
}

/// The run that a token names.
pub fn run_of(claims: &Claims) -> RunRef {
    RunRef {
        lease: Lease { lease_id: claims.lease_id, nonce: Uuid::from_bytes(claims.nonce) },
        job_id: claims.job_id.0,
        run_lease: claims.run_lease,
    }
}

impl Work {
    /// What this callback asks for; `None` for a resume, for which is looked first what its run waits for.
    pub fn of(claims: &Claims, action: Action, request: CallbackRequest) -> Option<Self> {
        let run = run_of(claims);
        let outcome = match request.callback {
            Callback::Complete { result } => {
                Outcome::Completed { result: result.map(|json| Box::<str>::from(json).into()) }
            }
            Callback::Fail { error, retryable, retry_after_ms } => {
                let error = RunError::new("callback_failed", cleaned(error, "the function called back that it failed"));
                if retryable {
                    Outcome::Failed { error, retry_after: wish(retry_after_ms) }
                } else {
                    Outcome::GaveUp { error }
                }
            }
            Callback::Retry { after_ms } => {
                let error = RunError::new("callback_retry", "the function called back to be tried again");
                Outcome::Failed { error, retry_after: wish(after_ms) }
            }
            Callback::Snooze { after_ms } => {
                Outcome::Snoozed { after: after_ms.map_or(DEFAULT_SNOOZE, Duration::from_millis) }
            }
            Callback::Cancel { reason } => Outcome::Cancelled {
                reason: reason.map(|text| clean(text.as_bytes(), ERROR_BYTES)).filter(|text| !text.is_empty()),
            },
            Callback::Heartbeat { extend_ms } => {
                let extend = extend_ms.map(Duration::from_millis);
                return Some(Self::Heartbeat(Beat { run, extend }));
            }
            Callback::Progress(progress) => return Some(Self::Progress(run, progress)),
            Callback::Checkpoint { seq, steps } => {
                return Some(Self::Checkpoint(Checkpoint { run, seq: Some(seq), steps }));
            }
            Callback::Resume { .. } => return None,
        };
        // Expressions say what a completion means; whoever says anything else is believed.
        let judged = action != Action::Complete;
        Some(Self::End(CallbackEnd { run, outcome, action, digest: request.digest, judged }))
    }

    /// The sign of life, if it is one.
    pub const fn beat(&self) -> Option<Beat> {
        if let Self::Heartbeat(beat) = self { Some(*beat) } else { None }
    }

    /// What only one callback of a batch may do: this verb to this job. `None`: any number may, or one for all.
    pub const fn alone(&self) -> Option<(&'static str, i64)> {
        match self {
            Self::Progress(run, _) => Some(("progress", run.job_id)),
            Self::Checkpoint(checkpoint) => Some(("checkpoint", checkpoint.run.job_id)),
            _ => None,
        }
    }

    /// Roughly what it takes in memory.
    pub fn kib(&self) -> u32 {
        let bytes = match self {
            Self::End(CallbackEnd { outcome: Outcome::Completed { result: Some(result) }, .. }) => result.len(),
            Self::Progress(_, progress) => progress.metadata.as_ref().map_or(0, |json| json.get().len()),
            Self::Checkpoint(checkpoint) => checkpoint.steps.get().len(),
            Self::Resume(signal) => signal.payload.as_ref().map_or(0, String::len),
            Self::Keep { delivery, .. } => delivery.payload.len(),
            Self::End(_) | Self::Heartbeat(_) | Self::Find(..) | Self::LookUp(_) | Self::Recorded(..) => 0,
        };
        u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
    }
}

impl Done {
    /// Whether all that is known is that the run does not go on.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Checkpointed(Checkpointed::Over))
    }

    /// Whether another signal met the wait that this one was judged for.
    pub const fn is_overtaken(&self) -> bool {
        matches!(self, Self::Signalled(Signalled::Told(NO_WAIT)))
    }

    /// What the caller is told of it.
    pub fn answer(self, job: JobId) -> Result<CallbackAnswer, Refusal> {
        let job_is = |state| JobRef { id: job, state };
        match self {
            Self::Told(told) => told::answer(job, &told),
            Self::Alive(alive) => Ok(CallbackAnswer::applied(job_is(State::Waiting))
                .with_deadline(alive.deadline)
                .with_cancel_requested(alive.cancel_requested)),
            Self::Reported { waits, cancel_requested } => {
                let state = if waits { State::Waiting } else { State::Running };
                Ok(CallbackAnswer::applied(job_is(state)).with_cancel_requested(cancel_requested))
            }
            Self::Checkpointed(checkpointed) => checkpoint_answer(&checkpointed, job),
            Self::Signalled(signalled) => signal_answer(&signalled, job),
            // Nobody who calls back by token asks for these.
            Self::Found(..) | Self::Stands(_) => Ok(CallbackAnswer::of(CallbackOutcome::Ignored)),
            Self::Kept(Some(_)) => Ok(CallbackAnswer::of(CallbackOutcome::Buffered)),
            Self::Kept(None) => Err(Refusal::rate_limited(TOO_MANY_KEPT)),
            Self::MetadataTooLarge => Err(Refusal::faults(vec![FieldError::new(
                "metadata",
                "too_large",
                "is too large together with what was reported before: nothing of it was kept",
            )])),
        }
    }
}

fn checkpoint_answer(checkpointed: &Checkpointed, job: JobId) -> Result<CallbackAnswer, Refusal> {
    let job_is = |waits| JobRef { id: job, state: if waits { State::Waiting } else { State::Running } };
    match *checkpointed {
        Checkpointed::Kept { seq, waits, cancel_requested } => {
            let applied = CallbackAnswer::applied(job_is(waits));
            Ok(applied.with_cancel_requested(cancel_requested).with_seq(seq))
        }
        Checkpointed::Conflict { seq, waits, .. } => Err(Refusal::late_checkpoint(seq, job_is(waits))),
        Checkpointed::TooLarge => Err(Refusal::faults(vec![FieldError::new(
            "steps",
            "too_large",
            "is too large together with the steps that are stored: nothing of it was kept",
        )])),
        Checkpointed::Over => told::answer(job, &Told::PastRetention),
    }
}

fn signal_answer(signalled: &Signalled, job: JobId) -> Result<CallbackAnswer, Refusal> {
    let job_is = |state: &State| JobRef { id: job, state: *state };
    match signalled {
        Signalled::Applied { state } => Ok(CallbackAnswer::applied(job_is(state))),
        Signalled::Duplicate { state } => Ok(CallbackAnswer::duplicate(job_is(state))),
        Signalled::Buffered => Ok(CallbackAnswer::of(CallbackOutcome::Buffered)),
        Signalled::TooMany => Err(Refusal::rate_limited(TOO_MANY_KEPT)),
        Signalled::Told(NO_WAIT) => Err(Refusal::conflict(Code::Conflict, NO_WAIT_DETAIL, job_is(&State::Waiting))),
        Signalled::Told(told) => told::answer(job, told),
    }
}

/// What a function said of its failure, fit to be stored and shown.
fn cleaned(text: Option<String>, otherwise: &str) -> String {
    let text = text.map(|text| clean(text.as_bytes(), ERROR_BYTES)).filter(|text| !text.is_empty());
    text.unwrap_or_else(|| otherwise.to_owned())
}

/// Zero is no wish.
fn wish(ms: Option<u64>) -> Option<Duration> {
    ms.filter(|ms| *ms > 0).map(Duration::from_millis)
}

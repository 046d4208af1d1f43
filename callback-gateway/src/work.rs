//! Work: what a callback asks the engine to do, and what came of it.

use std::time::Duration;

use posthaste_engine::{
    callback::{CallbackEnd, Told},
    claim::Lease,
    extend::Alive,
    held::RunRef,
    lifecycle::{Outcome, RunError},
};
use posthaste_protocol::{
    action::Action,
    callback::{Callback, CallbackAnswer, CallbackRequest, Progress},
    excerpt::{ERROR_BYTES, clean},
    id::JobId,
    job::{JobRef, State},
    problem::FieldError,
    token::Claims,
};
use uuid::Uuid;

use crate::{refusal::Refusal, told};

/// When a function that snoozes without saying how long is asked again.
const DEFAULT_SNOOZE: Duration = Duration::from_mins(1);

/// One verb on one run.
#[derive(Debug, Clone)]
pub enum Work {
    /// End it.
    End(CallbackEnd),
    /// Move its deadline.
    Heartbeat(Beat),
    /// Keep what it reports.
    Progress(RunRef, Progress),
}

/// A sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    /// Of which run.
    pub run: RunRef,
    /// The number of the wait that the token names.
    pub wait_number: i32,
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
    /// What this callback asks for. `None`: an action that nothing here does yet.
    pub fn of(claims: &Claims, action: Action, request: CallbackRequest) -> Option<Self> {
        let run = run_of(claims);
        let outcome = match request.callback {
            Callback::Complete { result } => Outcome::Completed { result: result.map(|json| Box::<str>::from(json).into()) },
            Callback::Fail { error, retryable, retry_after_ms } => {
                let error = RunError::new("callback_fail", cleaned(error, "the function called back that it failed"));
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
                return Some(Self::Heartbeat(Beat { run, wait_number: claims.wait, extend }));
            }
            Callback::Progress(progress) => return Some(Self::Progress(run, progress)),
            Callback::Checkpoint { .. } | Callback::Resume { .. } => return None,
        };
        Some(Self::End(CallbackEnd { run, outcome, action, digest: request.digest }))
    }

    /// Roughly what it takes in memory.
    pub fn kib(&self) -> u32 {
        let bytes = match self {
            Self::End(CallbackEnd { outcome: Outcome::Completed { result: Some(result) }, .. }) => result.len(),
            Self::Progress(_, progress) => progress.metadata.as_ref().map_or(0, |json| json.get().len()),
            Self::End(_) | Self::Heartbeat(_) => 0,
        };
        u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
    }
}

impl Done {
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
            Self::MetadataTooLarge => Err(Refusal::faults(vec![FieldError::new(
                "metadata",
                "too_large",
                "is too large together with what was reported before: nothing of it was kept",
            )])),
        }
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

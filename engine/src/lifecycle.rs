//! What becomes of a job: an outcome and a policy in, a transition out. The only decision code there is.
//!
//! Pure and exhaustive. Dispatcher, rescue, time-outs and the callback gateway all decide here, and the
//! tests of the database use it as their oracle.

pub mod suspended;
pub mod wait;

use std::{borrow::Cow, time::Duration};

use crate::retry::{self, RetryPolicy};

/// How long a job may be held back without an attempt being counted (throttles, unreachable endpoints).
pub const HOLD_BUDGET: Duration = Duration::from_hours(24);
/// How long a job may snooze in a row.
pub const SNOOZE_BUDGET: Duration = Duration::from_hours(24 * 30);
/// How many uncounted ends in a row a job may have before it is dead as `churning`.
pub const MAX_UNCOUNTED: u32 = 1_000;
/// Throttles after which a job is charged an attempt while others of its endpoint succeed.
pub const THROTTLES_BEFORE_CHARGE: u32 = 10;
/// How long a misconfigured endpoint costs its jobs no attempt: time to notice and roll back a bad deploy.
pub const MISCONFIGURED_GRACE: Duration = Duration::from_hours(1);
/// The shortest wait after an answer that says the endpoint itself is wrong.
pub const MISCONFIGURED_BACKOFF: Duration = Duration::from_mins(1);
/// Bounds of every `retry-after`.
pub const RETRY_AFTER_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(24));

/// Why a run did not complete: a stable code and a cleaned message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    /// Stable, lower snake case: `http_500`, `timeout`, `refused`, or the function's own.
    pub code: Cow<'static, str>,
    /// For people: at most 4 KiB, no control characters, no secrets.
    pub message: String,
}

impl RunError {
    /// An error with this code and message.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The function is done; the result is JSON text, `None` for null.
    Completed {
        /// JSON text.
        result: Option<String>,
    },
    /// The attempt failed and is counted; retried by policy, not before `retry_after`.
    Failed {
        /// Why.
        error: RunError,
        /// The function's wish.
        retry_after: Option<Duration>,
    },
    /// The endpoint is overloaded; not counted, unless `charged`.
    Throttled {
        /// Why.
        error: RunError,
        /// The endpoint's wish.
        retry_after: Option<Duration>,
        /// Others of this endpoint succeed while this job keeps being throttled.
        charged: bool,
    },
    /// The function wants to be asked again; not counted.
    Snoozed {
        /// When.
        after: Duration,
    },
    /// The function (or its answer) says that trying again is useless.
    GaveUp {
        /// Why; its code is the dead letter's reason.
        error: RunError,
    },
    /// The function, or an operator, cancelled the job.
    Cancelled {
        /// Why, in their words.
        reason: Option<String>,
    },
    /// The answer says that the endpoint itself is wrong; counted after a grace.
    Misconfigured {
        /// Why.
        error: RunError,
        /// The answer's wish.
        retry_after: Option<Duration>,
    },
    /// The POST certainly never reached the function; not counted.
    NotSent {
        /// Why.
        error: RunError,
    },
    /// Nobody knows whether the function ran; counted.
    Unknown {
        /// Why.
        error: RunError,
        /// The endpoint's `on_unknown` is `fail`: do not risk running it twice.
        fail: bool,
    },
    /// A parked run gave no sign of life; counted.
    TimedOut(wait::TimeOut),
    /// The job's `expires_at` passed before it was sent.
    Expired,
    /// Claimed but never sent by this dispatcher; goes back at once, not counted.
    Released,
}

/// What a job has used up before this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Counted failures so far.
    pub failures: u32,
    /// Uncounted ends in a row so far.
    pub uncounted: u32,
    /// How long ago the first of these uncounted ends was.
    pub uncounted_for: Duration,
    /// They are snoozes, not holds: each kind has its own budget of time, and the count is common.
    pub snoozing: bool,
}

impl Spent {
    /// How long the job has been held back by its endpoint.
    fn held_for(&self) -> Duration {
        if self.snoozing { Duration::ZERO } else { self.uncounted_for }
    }
}

/// What the job's owner allows.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Counted failures after which the job is dead, 1–1000.
    pub max_attempts: u32,
    /// How the wait grows.
    pub retry: RetryPolicy,
}

/// How a run is recorded; the words of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Ended with a result.
    Completed,
    /// Failed, will run again.
    Retried,
    /// Held back by its endpoint, will run again.
    Throttled,
    /// Asked to be called later.
    Snoozed,
    /// Waited for something, which has come or timed out; will run again.
    Suspended,
    /// Ended by a cancel.
    Cancelled,
    /// Ended in the dead letters.
    Dead,
    /// Claimed and given back unsent.
    Released,
    /// Its dispatcher was lost, will run again.
    Rescued,
    /// No callback or heartbeat came, will run again.
    TimedOut,
}

impl Recorded {
    /// The word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retried => "retried",
            Self::Throttled => "throttled",
            Self::Snoozed => "snoozed",
            Self::Suspended => "suspended",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Released => "released",
            Self::Rescued => "rescued",
            Self::TimedOut => "timed_out",
        }
    }
}

/// What the database must now do with the job.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Nothing more: it is completed.
    Completed,
    /// Nothing more: it is cancelled.
    Cancelled,
    /// Into the dead letters.
    Dead {
        /// The dead letter's reason.
        reason: Cow<'static, str>,
    },
    /// A new run.
    Again {
        /// After this long; zero means at once.
        delay: Duration,
        /// Counted failures, this run included.
        failures: u32,
        /// Uncounted ends in a row, this run included; 0 closes the row of them.
        uncounted: u32,
        /// The last of them is a snooze. When this changes, the clock of the row starts anew.
        snoozing: bool,
    },
}

/// The end of a run: how it is recorded and what comes next.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The attempt's outcome.
    pub recorded: Recorded,
    /// What follows.
    pub next: Next,
    /// The result, JSON text, when completed.
    pub result: Option<String>,
    /// Why, for everything that did not complete.
    pub error: Option<RunError>,
}

/// Decides what becomes of a job whose run came to `outcome`. `jitter` is in `[0, 1)`.
pub fn decide(outcome: Outcome, spent: Spent, policy: &Policy, jitter: f64) -> Transition {
    match outcome {
        Outcome::Completed { result } => {
            Transition { recorded: Recorded::Completed, next: Next::Completed, result, error: None }
        }
        Outcome::Failed { error, retry_after } | Outcome::Throttled { error, retry_after, charged: true } => {
            counted(error, retry_after, spent, policy, jitter)
        }
        Outcome::Throttled { error, retry_after, charged: false } => {
            hold(Recorded::Throttled, "throttled_out", error, retry_after, spent, jitter)
        }
        Outcome::Snoozed { after } => snooze(after, spent, jitter),
        Outcome::GaveUp { error } => dead(error.code.clone(), error),
        Outcome::Cancelled { reason } => Transition {
            recorded: Recorded::Cancelled,
            next: Next::Cancelled,
            result: None,
            error: Some(RunError::new("cancelled", reason.unwrap_or_default())),
        },
        Outcome::Misconfigured { error, retry_after } => misconfigured(error, retry_after, spent, policy, jitter),
        Outcome::NotSent { error } => hold(Recorded::Retried, "unreachable", error, None, spent, jitter),
        Outcome::Unknown { error, fail: true } => dead("unknown".into(), error),
        Outcome::Unknown { error, fail: false } => counted(error, None, spent, policy, jitter),
        Outcome::TimedOut(which) => counted_as(Recorded::TimedOut, which.error(), spent, policy, jitter),
        Outcome::Expired => {
            dead("expired".into(), RunError::new("expired", "expires_at passed before the job could be sent"))
        }
        Outcome::Released => release(spent),
    }
}

/// What becomes of a run whose dispatcher was lost: the attempt counts, so that a job which kills its
/// dispatcher every time ends in the dead letters.
///
/// `fail`: the endpoint's `on_unknown` is `fail`, so the job is dead rather than run twice.
pub fn rescue(spent: Spent, policy: &Policy, fail: bool, jitter: f64) -> Transition {
    let error = RunError::new("dispatcher_lost", "the dispatcher that held this run went silent");
    if fail {
        return dead("unknown".into(), error);
    }
    counted_as(Recorded::Rescued, error, spent, policy, jitter)
}

/// A failure with a word of its own, unless it was the last one.
fn counted_as(recorded: Recorded, error: RunError, spent: Spent, policy: &Policy, jitter: f64) -> Transition {
    let mut transition = counted(error, None, spent, policy, jitter);
    if transition.recorded == Recorded::Retried {
        transition.recorded = recorded;
    }
    transition
}

fn counted(error: RunError, retry_after: Option<Duration>, spent: Spent, policy: &Policy, jitter: f64) -> Transition {
    let failures = spent.failures.saturating_add(1);
    if failures >= policy.max_attempts {
        return dead("attempts_exhausted".into(), error);
    }
    let delay = not_before(retry::backoff(&policy.retry, failures, jitter), retry_after, jitter);
    again(Recorded::Retried, error, delay, failures, 0)
}

fn misconfigured(
    error: RunError,
    retry_after: Option<Duration>,
    spent: Spent,
    policy: &Policy,
    jitter: f64,
) -> Transition {
    let mut transition = if spent.held_for() < MISCONFIGURED_GRACE {
        hold(Recorded::Retried, "misconfigured", error, retry_after, spent, jitter)
    } else {
        counted(error, retry_after, spent, policy, jitter)
    };
    if let Next::Again { delay, uncounted, .. } = &mut transition.next {
        *delay = (*delay).max(MISCONFIGURED_BACKOFF.mul_f64(1.0 + 0.25 * jitter));
        // The grace is over for good: the row of uncounted ends stays open.
        *uncounted = spent.uncounted.saturating_add(1);
    }
    transition
}

/// An end that costs no attempt: it backs off all the same, and its budget is bounded.
fn hold(
    recorded: Recorded,
    exhausted: &'static str,
    error: RunError,
    retry_after: Option<Duration>,
    spent: Spent,
    jitter: f64,
) -> Transition {
    let uncounted = spent.uncounted.saturating_add(1);
    if spent.held_for() >= HOLD_BUDGET {
        let message =
            format!("held back for {} h; last: {}: {}", HOLD_BUDGET.as_secs() / 3600, error.code, error.message);
        return dead(exhausted.into(), RunError::new(exhausted, message));
    }
    if uncounted > MAX_UNCOUNTED {
        return churning(&error.message);
    }
    let delay = not_before(uncounted_backoff(uncounted, Duration::from_mins(10), jitter), retry_after, jitter);
    again(recorded, error, delay, spent.failures, uncounted)
}

fn snooze(after: Duration, spent: Spent, jitter: f64) -> Transition {
    let uncounted = spent.uncounted.saturating_add(1);
    if spent.snoozing && spent.uncounted_for >= SNOOZE_BUDGET {
        return dead("snoozed_out".into(), RunError::new("snoozed_out", "snoozed for 30 days in a row"));
    }
    if uncounted > MAX_UNCOUNTED {
        return churning("snoozed");
    }
    // Backing off to an hour, 30 days of the shortest snoozes stay below `MAX_UNCOUNTED`.
    let backoff = uncounted_backoff(uncounted, Duration::from_hours(1), jitter);
    let delay = not_before(backoff, Some(after), jitter);
    Transition {
        recorded: Recorded::Snoozed,
        next: Next::Again { delay, failures: spent.failures, uncounted, snoozing: true },
        result: None,
        error: None,
    }
}

fn release(spent: Spent) -> Transition {
    let uncounted = spent.uncounted.saturating_add(1);
    if uncounted > MAX_UNCOUNTED {
        return churning("released");
    }
    // The first release goes back at once; a job that is released again and again backs off.
    let delay = if uncounted == 1 { Duration::ZERO } else { Duration::from_secs(u64::from(uncounted.min(60))) };
    Transition {
        recorded: Recorded::Released,
        next: Next::Again { delay, failures: spent.failures, uncounted, snoozing: spent.snoozing },
        result: None,
        error: None,
    }
}

/// The wait after the `uncounted`-th uncounted end in a row: from about a second, doubling up to `max`.
fn uncounted_backoff(uncounted: u32, max: Duration, jitter: f64) -> Duration {
    let policy = RetryPolicy::Exponential { base: Duration::from_millis(500), max, jitter: 0.25 };
    retry::backoff(&policy, uncounted, jitter)
}

/// The later of the backoff and what the other side asked for; jitter only upwards.
fn not_before(backoff: Duration, retry_after: Option<Duration>, jitter: f64) -> Duration {
    retry_after.map_or(backoff, |wish| {
        let wish = clamp_retry_after(wish);
        backoff.max(wish + wish.mul_f64(0.1 * jitter).min(Duration::from_secs(10)))
    })
}

/// `wish` within the bounds of the contract: 1 s to 24 h.
pub fn clamp_retry_after(wish: Duration) -> Duration {
    wish.clamp(RETRY_AFTER_BOUNDS.0, RETRY_AFTER_BOUNDS.1)
}

fn again(recorded: Recorded, error: RunError, delay: Duration, failures: u32, uncounted: u32) -> Transition {
    Transition {
        recorded,
        next: Next::Again { delay, failures, uncounted, snoozing: false },
        result: None,
        error: Some(error),
    }
}

fn churning(last: &str) -> Transition {
    let message = format!("{MAX_UNCOUNTED} runs in a row ended without counting; last: {last}");
    dead("churning".into(), RunError::new("churning", message))
}

fn dead(reason: Cow<'static, str>, error: RunError) -> Transition {
    Transition { recorded: Recorded::Dead, next: Next::Dead { reason }, result: None, error: Some(error) }
}

#[cfg(test)]
mod tests;

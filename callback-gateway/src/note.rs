//! Notes: what the delivery log hears of a request.

use std::time::Duration;

use posthaste_engine::{
    delivery::{Delivery, DeliveryVerdict},
    held::RunRef,
};
use posthaste_protocol::{
    action::Action,
    callback::{CallbackAnswer, CallbackOutcome},
    job::State,
    problem::Code,
};

use crate::{aim::NO_JOB, came::Came, gateway::Gateway, refusal::Refusal};

/// A `resume` met a wait, and its function waits on for others.
fn is_waited_on(said: Option<Action>, answer: &Result<CallbackAnswer, Refusal>) -> bool {
    let state = answer.as_ref().ok().and_then(|answer| answer.job).map(|job| job.state);
    said == Some(Action::Resume) && state == Some(State::Waiting)
}

/// The word for what came of a request.
pub fn word(answer: &Result<CallbackAnswer, Refusal>) -> &'static str {
    answer.as_ref().map_or_else(|refusal| refusal.code().as_str(), |answer| answer.outcome.as_str())
}

/// The verdict for the log; `None` where we had no time for it: it will come again.
fn verdict(answer: &Result<CallbackAnswer, Refusal>) -> Option<DeliveryVerdict> {
    match answer {
        Ok(answer) => Some(match answer.outcome {
            CallbackOutcome::Applied => DeliveryVerdict::Applied,
            CallbackOutcome::Duplicate => DeliveryVerdict::Duplicate,
            CallbackOutcome::Ignored => DeliveryVerdict::Ignored,
            CallbackOutcome::Buffered => DeliveryVerdict::Buffered,
            CallbackOutcome::Quarantined => DeliveryVerdict::Quarantined,
        }),
        Err(refusal) if matches!(refusal.code(), Code::Overloaded | Code::DatabaseUnavailable) => None,
        Err(_) => Some(DeliveryVerdict::Rejected),
    }
}

/// Logs a webhook, or a callback; but not one that simply ended or woke its run: that is in the ledger already. What is for no
/// run, and what came too often, is logged some times a minute. `reason` is why it was kept or ignored, `inbox_id` under which
/// number it was kept.
pub fn note(
    gateway: &Gateway,
    came: &Came,
    run: Option<RunRef>,
    bytes: usize,
    answer: &Result<CallbackAnswer, Refusal>,
    reason: Option<&str>,
    inbox_id: Option<i64>,
) {
    let word = word(answer);
    tracing::debug!(job.id = run.map(|run| run.job_id), via = %came, answer = word, "delivery");
    let said = came.action();
    let in_ledger = said.is_some() && !is_waited_on(said, answer);
    let Some(verdict) = verdict(answer).filter(|verdict| !in_ledger || *verdict != DeliveryVerdict::Applied) else {
        return;
    };
    let is_limited = answer.as_ref().is_err_and(|refusal| refusal.code() == Code::RateLimited);
    if (run.is_none() || is_limited) && !gateway.limits.logs_stranger() {
        return;
    }
    gateway.deliveries.log(Delivery {
        ago: Duration::ZERO,
        job_id: run.map(|run| run.job_id).filter(|job| *job != NO_JOB),
        run_lease: run.filter(|run| !run.is_whichever()).map(|run| run.run_lease),
        inbox_id,
        bytes,
        via: came.via(),
        verdict,
        action: said.map(Action::as_str),
        reason: reason.map(str::to_owned).or_else(|| answer.as_ref().err().map(Refusal::reason)),
        source: came.source().map(str::to_owned),
    });
}

//! The body of an answer that suspends its function → what it waits for.

use posthaste_engine::{
    filter,
    lifecycle::{Outcome, RunError},
};
use posthaste_protocol::{
    endpoint::{WEBHOOK_ENV, WEBHOOK_FOLDER},
    excerpt,
    suspend::{Suspension, Wait, WaitFor},
};

use super::{AnswerContext, AnswerView, Reading, Verdict};
use crate::retry_after;

/// Reads what the function waits for. One that cannot be read, or that no run of the endpoint lives to see, is a failed
/// attempt whose message names the first fault.
pub(super) fn read(answer: &AnswerView<'_>, context: &AnswerContext<'_>) -> (Reading, Verdict) {
    match suspension(answer, context) {
        Ok(suspension) => (Reading::Suspended(Box::new(suspension)), Verdict::Success),
        Err(fault) => {
            let message = excerpt::clean(fault.as_bytes(), excerpt::ERROR_BYTES);
            let error = RunError::new("invalid_suspension", message);
            let retry_after = retry_after::from_headers(answer.headers);
            (Reading::Ended(Outcome::Failed { error, retry_after }), Verdict::Neutral)
        }
    }
}

fn suspension(answer: &AnswerView<'_>, context: &AnswerContext<'_>) -> Result<Suspension, String> {
    if answer.is_encoded() {
        return Err("the body is compressed although identity was asked for".to_owned());
    }
    if answer.over_cap {
        return Err(format!("the body is larger than {} bytes", context.result_cap));
    }
    let text = std::str::from_utf8(answer.body).map_err(|_| "the body is not UTF-8".to_owned())?;
    let suspension =
        Suspension::parse(text).map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())?;
    if let Some(wait) = suspension.waits.iter().find(|wait| wait.names_foreign_secret()) {
        let name = &wait.name;
        return Err(format!(
            "the wait {name} may name no secret but {WEBHOOK_ENV}… or a file in a folder {WEBHOOK_FOLDER}"
        ));
    }
    match suspension.waits.iter().find(|wait| is_beyond(wait, context)) {
        Some(wait) => Err(format!("the timer {} is beyond the endpoint's max_run_ms", wait.name)),
        None => suspension.waits.iter().find_map(expression_fault).map_or(Ok(suspension), Err),
    }
}

/// What is wrong with this wait's expressions.
fn expression_fault(wait: &Wait) -> Option<String> {
    let WaitFor::Callback { cel: Some(cel), .. } = &wait.event else { return None };
    let fault = filter::check(cel).err()?.into_iter().next()?;
    Some(format!("the {} of the wait {}: {}", fault.field, wait.name, fault.message))
}

/// Whether this is a timer that the run does not live to see.
fn is_beyond(wait: &Wait, context: &AnswerContext<'_>) -> bool {
    let WaitFor::Timer { until } = &wait.event else { return false };
    let in_ms = until.map(|at| at.timestamp().saturating_sub(context.now_unix).saturating_mul(1000));
    let in_ms = in_ms.map_or(wait.timeout_ms.unwrap_or(0), |ms| u64::try_from(ms).unwrap_or(0));
    in_ms > context.max_run_ms
}

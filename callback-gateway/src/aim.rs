//! Aim: the run that something is for: the one that it names, or whichever run its job has.

use std::sync::Arc;

use posthaste_engine::{filter::Input, held::RunRef, standing::Standing};
use posthaste_protocol::{callback::CallbackAnswer, id::JobId, job::JobRef};

use crate::{
    admit::limited,
    gateway::Gateway,
    judge::aside,
    payload::Payload,
    refusal::Refusal,
    take::{Taken, take},
    webhook::Webhook,
    work::{Done, Work},
};

/// The job of what its source's expression has not been asked about, or could not say.
pub const NO_JOB: i64 = -1;
/// How often a job that goes from one run to the next is followed, before what came for it is kept.
const TURNS: usize = 3;

/// As [`take`]. What is for a job is given to the run that it has now, unless one of its runs had it before; while it has none,
/// or that waits for something else, it came early.
pub async fn aim(gateway: &Arc<Gateway>, webhook: &mut Arc<Webhook>) -> Result<Taken, Refusal> {
    if !webhook.is_for_job() {
        return take(gateway, webhook).await;
    }
    if webhook.run.job_id == NO_JOB {
        match correlate(gateway, webhook).await? {
            Ok(Some(job)) => Arc::make_mut(webhook).run = RunRef::whichever(job),
            Ok(None) => return Ok(Taken::Unwanted("it is for no job")),
            Err(why) => return Ok(Taken::Unjudged { why: format!("correlate: {why}"), signed_for: None }),
        }
        limited(gateway, JobId(webhook.run.job_id))?;
    }
    for _ in 0..TURNS {
        let Done::Stands(standing) = gateway.commits.commit(Work::Find(webhook.run.job_id, webhook.digest)).await?
        else {
            return Err(Refusal::overloaded());
        };
        let run = match standing {
            Standing::Runs(run) => run,
            Standing::Between => return Ok(Taken::Early),
            Standing::Over => return Ok(Taken::Unwanted("its job has ended, or is not known")),
            Standing::Applied { state } => {
                let job = JobRef { id: JobId(webhook.run.job_id), state };
                return Ok(Taken::Settled(CallbackAnswer::duplicate(job)));
            }
        };
        Arc::make_mut(webhook).run = run;
        match take(gateway, webhook).await {
            // It ended meanwhile: the next one may want it.
            Err(refusal) if refusal.is_of_over_run() => {}
            Err(refusal) if refusal.is_untaken() => return Ok(Taken::Early),
            taken => return taken,
        }
    }
    Ok(Taken::Early)
}

/// Asks the expression of its source which job it is for; `Ok(None)` for none. `Err` says why nobody knows, for people.
async fn correlate(gateway: &Arc<Gateway>, webhook: &Arc<Webhook>) -> Result<Result<Option<i64>, String>, Refusal> {
    let name = webhook.came.source().unwrap_or_default();
    let terms = gateway.terms.load_full();
    let sender = match terms.sender(name) {
        Some(Ok(sender)) => sender,
        Some(Err(why)) => return Ok(Err(format!("the source {name}: {why}"))),
        None if terms.is_read => return Ok(Err(format!("the source {name} is not known here"))),
        None => return Err(Refusal::database_unavailable()),
    };
    let (expression, webhook) = (sender.correlate.clone(), Arc::clone(webhook));
    let found = aside(&gateway.judges, move || {
        let payload = Payload::read(&webhook.headers, &webhook.body)?;
        let input = Input { payload: &payload.value, headers: &webhook.headers, run: None };
        Ok::<_, Refusal>(expression.evaluate(&input).map_err(|error| error.message))
    });
    Ok(found.await??.and_then(|json| job_of(&json)))
}

/// Reads the id that a correlation gave: an integer, a string of digits, or null for no job.
fn job_of(json: &str) -> Result<Option<i64>, String> {
    let digits = json.trim_matches('"');
    match digits.parse::<i64>() {
        _ if json == "null" => Ok(None),
        Ok(id) if id > 0 => Ok(Some(id)),
        _ => Err("it gave neither the id of a job nor null".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_gives_an_id_or_nothing() {
        for (json, id) in [("42", Some(42)), ("\"42\"", Some(42)), ("null", None)] {
            assert_eq!(job_of(json), Ok(id), "{json}");
        }
        for json in ["0", "-1", "\"x\"", "true", "4.5", "{}", "\"null\""] {
            assert!(job_of(json).is_err(), "{json}");
        }
    }
}

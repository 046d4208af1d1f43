//! Aim: the run that something is for: the one that it names, or whichever run its job has.

use std::sync::Arc;

use posthaste_engine::standing::Standing;
use posthaste_protocol::{callback::CallbackAnswer, id::JobId, job::JobRef};

use crate::{
    gateway::Gateway,
    refusal::Refusal,
    webhook::{Taken, Webhook, take},
    work::{Done, Work},
};

/// How often a job that goes from one run to the next is followed, before what came for it is kept.
const TURNS: usize = 3;

/// As [`take`]. What is for a job is given to the run that it has now, unless one of its runs had it before; while it has none,
/// or that waits for something else, it came early.
pub async fn aim(gateway: &Arc<Gateway>, webhook: &mut Arc<Webhook>) -> Result<Taken, Refusal> {
    if !webhook.is_for_job() {
        return take(gateway, webhook).await;
    }
    for _ in 0..TURNS {
        let Done::Stands(standing) = gateway.commits.commit(Work::Find(webhook.run.job_id, webhook.digest)).await?
        else {
            return Err(Refusal::overloaded());
        };
        let run = match standing {
            Standing::Runs(run) => run,
            Standing::Between => return Ok(Taken::Early),
            Standing::Over => return Ok(Taken::Unwanted),
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

//! Taking a webhook: what it means for its run, and doing that.

use std::sync::Arc;

use posthaste_engine::{
    callback::CallbackEnd,
    filter::Verdict,
    lifecycle::Outcome,
    resume::Signal,
    waiting_on::{Stage, WaitingOn},
};
use posthaste_protocol::{
    action::Action,
    callback::{CallbackAnswer, CallbackOutcome},
    job::{JobRef, State},
};

use crate::{
    gateway::Gateway,
    judge::{Judged, Taker, judge, takers},
    refusal::Refusal,
    terms::AllTerms,
    webhook::Webhook,
    work::{Done, Work},
};

/// How often a webhook is judged for one wait after another that was met meanwhile.
const TURNS: usize = 3;

/// What became of a webhook.
#[derive(Debug)]
pub enum Taken {
    /// It is settled.
    Settled(CallbackAnswer),
    /// Nobody knows yet what its run waits for.
    Early,
    /// Its expressions do not fit it.
    Unjudged {
        /// Why, for people.
        why: String,
        /// The wait whose signature it has, where one asks for that.
        signed_for: Option<String>,
    },
    /// Nobody waits for it, and nobody will; why, for people.
    Unwanted(&'static str),
}

/// What is to be done.
enum Step {
    /// Nothing more.
    Taken(Taken),
    /// This.
    Commit(Work),
}

/// Finds out what a webhook means for its run, and does it: signature, then expressions, then one commit. It is judged anew
/// when another one meets its wait meanwhile.
pub async fn take(gateway: &Arc<Gateway>, webhook: &Arc<Webhook>) -> Result<Taken, Refusal> {
    let mut turn = 1;
    loop {
        let Done::Found(found, terms) = gateway.commits.commit(Work::LookUp(webhook.run)).await? else {
            return Err(Refusal::overloaded());
        };
        let Some(run) = found else {
            let recorded = gateway.commits.commit(Work::Recorded(webhook.run, webhook.digest)).await?;
            return recorded.answer(webhook.job()).map(Taken::Settled);
        };
        let done = match step(gateway, webhook, run, &terms).await? {
            Step::Taken(taken) => return Ok(taken),
            Step::Commit(work) => gateway.commits.commit(work).await?,
        };
        if turn == TURNS || !done.is_overtaken() {
            return done.answer(webhook.job()).map(Taken::Settled);
        }
        turn += 1;
    }
}

async fn step(
    gateway: &Arc<Gateway>,
    webhook: &Arc<Webhook>,
    run: Box<WaitingOn>,
    terms: &AllTerms,
) -> Result<Step, Refusal> {
    if !terms.is_read {
        // Without the expressions of endpoints and sources anything would complete.
        return Err(Refusal::database_unavailable());
    }
    let called = webhook.came.action();
    if called.is_none() && run.stage == Stage::Running {
        return Ok(Step::Taken(Taken::Early));
    }
    if run.met.contains(&webhook.digest) {
        let job = JobRef { id: webhook.job(), state: State::Waiting };
        return Ok(Step::Taken(Taken::Settled(CallbackAnswer::duplicate(job))));
    }
    let takers = takers(terms, webhook, &run);
    let asks_none = matches!(takers.first(), Some(Taker { spec: Ok(None), .. }));
    if called == Some(Action::Resume) && run.stage != Stage::Suspended && !asks_none {
        // The engine would give it to the wait as soon as there is one, and ask no expressions.
        return Ok(Step::Taken(Taken::Early));
    }
    if called.is_some() && asks_none {
        let wait = takers.into_iter().next().and_then(|taker| taker.wait);
        let json = String::from_utf8_lossy(&webhook.body).into_owned();
        let json = Some(json).filter(|json| !json.is_empty());
        return Ok(webhook.means(&run, wait, json, Verdict::Complete { result: None }));
    }
    let Judged { run, wait, signed_for, json, verdict } = judge(gateway, webhook, run, takers).await?;
    Ok(match verdict {
        Ok(verdict) => webhook.means(&run, wait, json, verdict),
        Err(why) => Step::Taken(Taken::Unjudged { why, signed_for }),
    })
}

impl Webhook {
    /// What the verdict of this wait, or of the run, asks for: a plain wait is completed or failed, a suspended one resumed or
    /// failed; a callback does what it says, or fails.
    fn means(&self, run: &WaitingOn, wait: Option<String>, json: Option<String>, verdict: Verdict) -> Step {
        let called = self.came.action();
        let end = |outcome, action| {
            let action = called.unwrap_or(action);
            Work::End(CallbackEnd { run: self.run, outcome, action, digest: self.digest, judged: true })
        };
        Step::Commit(match verdict {
            Verdict::Ignore => return Step::Taken(Taken::Settled(CallbackAnswer::of(CallbackOutcome::Ignored))),
            Verdict::Fail { error } => end(Outcome::Failed { error, retry_after: None }, Action::Fail),
            Verdict::Complete { result } => {
                let result = result.or(json);
                if called.map_or(run.stage == Stage::Suspended, |action| action == Action::Resume) {
                    // Where no wait has any of its own, a token is good for whichever is the next.
                    let named = called.is_none() || run.waits.iter().any(|wait| wait.cel.is_some());
                    Work::Resume(self.signal(wait.filter(|_| named), result))
                } else {
                    end(Outcome::Completed { result }, Action::Complete)
                }
            }
        })
    }

    fn signal(&self, wait: Option<String>, payload: Option<String>) -> Signal {
        Signal { run: self.run, wait, payload, digest: self.digest, via: self.came.to_string() }
    }
}

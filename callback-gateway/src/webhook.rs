//! Webhooks: what third parties send for a run, and what it means. A callback by token goes the same way where expressions are
//! asked about it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use posthaste_engine::{
    callback::CallbackEnd,
    filter::Verdict,
    held::RunRef,
    inbox::Quarantine,
    lifecycle::Outcome,
    resume::Signal,
    waiting_on::{Stage, WaitingOn},
};
use posthaste_protocol::{
    action::Action,
    callback::{Callback, CallbackAnswer, CallbackOutcome, CallbackRequest, Digest, of_hook},
    id::JobId,
    inbound::{InboundRequest, InboundSignature, gives_access},
    job::{JobRef, State},
    token::Claims,
};
use posthaste_service::clock;

use crate::{
    came::Came,
    gateway::Gateway,
    judge::{Judged, Taker, judge, takers},
    limit::Limits,
    refusal::Refusal,
    sender,
    terms::AllTerms,
    work::{Done, Work, run_of},
};

/// How often a webhook is judged for one wait after another that was met meanwhile.
const TURNS: usize = 3;

/// A webhook for a run.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The run; of what is for a job, whichever run that has, or had when it was looked up.
    pub run: RunRef,
    /// How it came.
    pub came: Came,
    /// What recognises it when it comes again.
    pub digest: Digest,
    /// Its headers, as expressions see them.
    pub headers: BTreeMap<String, String>,
    /// Its body as it came; of a callback the result, or the payload, as JSON.
    pub body: Bytes,
    /// When it came, seconds since 1970.
    pub received_unix: i64,
    /// Which signatures it needs no more.
    pub verified: Verified,
}

/// Which signatures a webhook needs no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// None was verified.
    None,
    /// That of the wait of this name was, when it came first.
    For(String),
    /// Any: that of its source was verified, or it has a token.
    All,
}

impl Verified {
    /// Whether the signature of this wait is verified.
    pub fn is_for(&self, wait: &str) -> bool {
        match self {
            Self::None => false,
            Self::For(name) => name == wait,
            Self::All => true,
        }
    }
}

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

/// Headers as expressions see them: names in lower case, of several values all.
pub fn visible(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut visible: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Some(text) = value.to_str().ok().filter(|_| !gives_access(name.as_str())) else { continue };
        visible
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(text);
            })
            .or_insert_with(|| text.to_owned());
    }
    visible
}

impl Webhook {
    /// A webhook to a capability URL.
    pub fn of_hook(claims: &Claims, headers: &HeaderMap, body: Bytes) -> Self {
        let (headers, digest, received_unix) = (visible(headers), of_hook(&body), clock::unix_now());
        Self { run: run_of(claims), came: Came::Hook, digest, headers, body, received_unix, verified: Verified::None }
    }

    /// A callback by token.
    pub fn of_callback(claims: &Claims, action: Action, headers: &HeaderMap, request: CallbackRequest) -> Self {
        let json = match request.callback {
            Callback::Complete { result } => result,
            Callback::Resume { payload } => payload,
            _ => None,
        };
        let body = json.map_or_else(Bytes::new, |json| Box::<str>::from(json).into_string().into());
        let (headers, received_unix) = (visible(headers), clock::unix_now());
        let (run, came, digest) = (run_of(claims), Came::Callback(action), request.digest);
        Self { run, came, digest, headers, body, received_unix, verified: Verified::All }
    }

    /// It, to be kept; `signed_for` is the wait whose signature it has.
    pub fn kept(&self, error: String, signed_for: Option<String>) -> Quarantine {
        Quarantine {
            run: if self.is_for_job() { RunRef::whichever(self.run.job_id) } else { self.run },
            wait: signed_for,
            via: self.came.to_string(),
            digest: self.digest,
            payload: self.body.to_vec(),
            headers: serde_json::to_string(&self.headers).ok(),
            error,
        }
    }

    /// It names a job, and none of its runs.
    pub fn is_for_job(&self) -> bool {
        self.came.source().is_some() || self.run.is_whichever()
    }

    fn job(&self) -> JobId {
        JobId(self.run.job_id)
    }

    /// Whether it has the signature that a wait asks for. Reads secrets from where they are, which may take its time.
    pub fn verify(&self, signature: &str, limits: &Limits) -> Result<(), Refusal> {
        let unverifiable = |error: &str| {
            if limits.logs_stranger() {
                tracing::warn!(job.id = self.run.job_id, error, "the signature of a wait cannot be verified here");
            }
            Refusal::unverifiable(error)
        };
        let signature = InboundSignature::parse(signature)
            .map_err(|_| unverifiable("the signature that the wait asks for is not known to this version"))?;
        let secrets = sender::references(&signature).map_err(|error| unverifiable(&error))?;
        let pairs = self
            .headers
            .iter()
            .map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?)));
        let headers: HeaderMap = pairs.flatten().collect();
        let request = InboundRequest { headers: &headers, body: &self.body, now_unix: self.received_unix };
        signature.verify(&secrets, &request).map_err(|invalid| Refusal::invalid_signature(invalid.fault()))
    }
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
    /// What the verdict of this wait, or of the run, asks for: a plain wait is completed or failed, a suspended one resumed or failed; a callback does what it
    /// says, or fails.
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

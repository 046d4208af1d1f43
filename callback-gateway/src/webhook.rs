//! Webhooks: what third parties send for a run, and what it means.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use posthaste_engine::{
    callback::CallbackEnd,
    filter::{Input, InputRun, Verdict},
    held::RunRef,
    inbox::Quarantine,
    lifecycle::Outcome,
    resume::Signal,
    waiting_on::{OpenWait, Stage, WaitingOn},
};
use posthaste_protocol::{
    action::Action,
    callback::{CallbackAnswer, CallbackOutcome, Digest, of_hook},
    cel::CelSpec,
    id::JobId,
    inbound::{InboundRequest, InboundSignature},
    problem::FieldError,
    tree,
};

use crate::{
    gateway::Gateway,
    payload::Payload,
    refusal::Refusal,
    sender,
    work::{Done, Work},
};

/// Headers that no expression sees and that are not kept: they hold what gives access.
const HIDDEN: &[&str] = &["authorization", "cookie", "proxy-authorization"];

/// A webhook for a run.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The run.
    pub run: RunRef,
    /// How it came: `hook`, or `source:<name>`.
    pub via: String,
    /// Its headers, as expressions see them.
    pub headers: BTreeMap<String, String>,
    /// Its body as it came.
    pub body: Bytes,
    /// When it came, seconds since 1970.
    pub received_unix: i64,
    /// It needs no signature any more: that of its source was verified, or its own when it came first.
    pub verified: bool,
}

/// What became of a webhook.
#[derive(Debug)]
pub enum Taken {
    /// It is settled.
    Settled(CallbackAnswer),
    /// Nobody knows yet what its run waits for.
    Early,
    /// Its expressions do not fit it; why, for people.
    Unjudged(String),
}

/// Headers as expressions see them: names in lower case, of several values all.
pub fn visible(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut visible: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Some(text) = value.to_str().ok().filter(|_| !HIDDEN.contains(&name.as_str())) else { continue };
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
    /// What recognises it when it comes again.
    pub fn digest(&self) -> Digest {
        of_hook(&self.body)
    }

    /// It, to be kept.
    pub fn kept(&self, error: String) -> Quarantine {
        Quarantine {
            run: self.run,
            wait: None,
            via: self.via.clone(),
            digest: self.digest(),
            payload: self.body.to_vec(),
            headers: serde_json::to_string(&self.headers).ok(),
            error,
        }
    }

    fn job(&self) -> JobId {
        JobId(self.run.job_id)
    }

    /// Verifies the signature that a wait asks for.
    fn verify(&self, signature: &str) -> Result<(), Refusal> {
        let signature = InboundSignature::parse(signature).map_err(|_| Refusal::invalid_signature())?;
        let secrets = sender::references(&signature).unwrap_or_else(|error| {
            tracing::warn!(job.id = self.run.job_id, error, "the secrets of a wait cannot be read here");
            Vec::new()
        });
        let pairs = self
            .headers
            .iter()
            .map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?)));
        let headers: HeaderMap = pairs.flatten().collect();
        let request = InboundRequest { headers: &headers, body: &self.body, now_unix: self.received_unix };
        signature.verify(&secrets, &request).map_err(|_| Refusal::invalid_signature())
    }
}

/// Finds out what a webhook means for its run, and does it: signature, then expressions, then one commit.
pub async fn take(gateway: &Gateway, webhook: &Webhook) -> Result<Taken, Refusal> {
    let Done::Found(found) = gateway.commits.commit(Work::LookUp(webhook.run)).await? else {
        return Err(Refusal::overloaded());
    };
    let Some(run) = found else {
        let recorded = gateway.commits.commit(Work::Recorded(webhook.run, webhook.digest())).await?;
        return recorded.answer(webhook.job()).map(Taken::Settled);
    };
    if run.stage == Stage::Running {
        return Ok(Taken::Early);
    }
    let wait = run.waits.first();
    if let Some(signature) = wait.and_then(|wait| wait.signature.as_deref()).filter(|_| !webhook.verified) {
        webhook.verify(signature)?;
    }
    let payload = Payload::read(&webhook.headers, &webhook.body)?;
    let verdict = match judge(gateway, webhook, &run, wait, &payload) {
        Ok(verdict) => verdict,
        Err(why) => return Ok(Taken::Unjudged(why)),
    };
    let Some(work) = work(webhook, &run, wait, payload, verdict) else {
        return Ok(Taken::Settled(CallbackAnswer::of(CallbackOutcome::Ignored)));
    };
    gateway.commits.commit(work).await?.answer(webhook.job()).map(Taken::Settled)
}

/// Applies the expressions of the source, else of the wait, the job or the endpoint; where none are, any webhook will do.
fn judge(
    gateway: &Gateway,
    webhook: &Webhook,
    run: &WaitingOn,
    wait: Option<&OpenWait>,
    payload: &Payload,
) -> Result<Verdict, String> {
    let terms = gateway.terms.load();
    let of_source = webhook.via.strip_prefix("source:").and_then(|name| terms.sender(name)?.cel.clone());
    let of_wait = || wait.and_then(|wait| wait.cel.as_deref()).or(run.cel.as_deref()).map(CelSpec::parse).transpose();
    let said = |faults: Vec<FieldError>| faults.first().map(ToString::to_string).unwrap_or_default();
    let spec = match of_source {
        Some(spec) => Some(spec),
        None => of_wait().map_err(said)?,
    };
    let of_endpoint = || run.endpoint.as_deref().and_then(|name| terms.of_endpoint(name)?.cel.clone());
    let spec = spec.or_else(of_endpoint).unwrap_or_default();
    let filter = gateway.filters.get(&spec).map_err(said)?;
    let metadata = tree::read(&run.metadata).unwrap_or_default();
    let input = Input {
        payload: &payload.value,
        headers: &webhook.headers,
        run: Some(InputRun {
            job_id: run.job_id,
            kind: &run.kind,
            queue: &run.queue,
            tags: &run.tags,
            metadata: &metadata,
            attempt: u32::try_from(run.attempt).unwrap_or(1),
            run_lease: webhook.run.run_lease,
        }),
    };
    filter.judge(&input).map_err(|error| error.to_string())
}

/// What a verdict asks for: a plain wait is completed or failed, a suspended one resumed or failed. `None`: nothing.
fn work(
    webhook: &Webhook,
    run: &WaitingOn,
    wait: Option<&OpenWait>,
    payload: Payload,
    verdict: Verdict,
) -> Option<Work> {
    let end = |outcome, action| CallbackEnd { run: webhook.run, outcome, action, digest: webhook.digest() };
    Some(match verdict {
        Verdict::Ignore => return None,
        Verdict::Fail { error } => Work::End(end(Outcome::Failed { error, retry_after: None }, Action::Fail)),
        Verdict::Complete { result } => {
            let result = result.or(payload.json);
            if run.stage == Stage::Suspended {
                Work::Resume(Signal {
                    run: webhook.run,
                    wait: wait.map(|wait| wait.name.clone()),
                    payload: result,
                    digest: webhook.digest(),
                    via: webhook.via.clone(),
                })
            } else {
                Work::End(end(Outcome::Completed { result }, Action::Complete))
            }
        }
    })
}

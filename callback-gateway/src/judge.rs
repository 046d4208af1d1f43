//! Judge: the expressions that decide what something means, asked beside the threads that serve everybody.

use std::sync::Arc;

use posthaste_engine::{
    filter::{Filter, Input, InputRun, Verdict},
    waiting_on::{OpenWait, WaitingOn},
};
use posthaste_protocol::{action::Action, cel::CelSpec, problem::FieldError, tree};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    gateway::Gateway,
    group_commit::QUEUE_WAIT,
    payload::Payload,
    refusal::Refusal,
    terms::AllTerms,
    webhook::{Verified, Webhook},
};

/// What may take a webhook: an open wait, or the run itself.
#[derive(Debug)]
pub struct Taker {
    /// The wait's name; `None`: the run.
    pub wait: Option<String>,
    /// The signature that it asks for, as [`OpenWait`] has it.
    signature: Option<String>,
    /// The expressions that decide, if there are any; or what is wrong with them.
    pub spec: Result<Option<CelSpec>, String>,
}

/// What was judged.
#[derive(Debug)]
pub struct Judged {
    /// The run that it came for.
    pub run: Box<WaitingOn>,
    /// The wait that takes it, where it is for one.
    pub wait: Option<String>,
    /// The wait, if it asks for a signature.
    pub signed_for: Option<String>,
    /// What came, as JSON text.
    pub json: Option<String>,
    /// What it means; or why nobody knows, for people.
    pub verdict: Result<Verdict, String>,
}

/// What may take this, in the order in which it is asked: at least one.
pub fn takers(terms: &AllTerms, webhook: &Webhook, run: &WaitingOn) -> Vec<Taker> {
    let taker = |wait: Option<&OpenWait>| Taker {
        wait: wait.map(|wait| wait.name.clone()),
        signature: wait.and_then(|wait| wait.signature.clone()).filter(|_| webhook.verified != Verified::All),
        spec: expressions(terms, webhook, run, wait),
    };
    // A completion is for the run, whatever this waits for.
    if run.waits.is_empty() || webhook.came.action() == Some(Action::Complete) {
        return vec![taker(None)];
    }
    run.waits.iter().map(|wait| taker(Some(wait))).collect()
}

/// The expressions that decide: those of the source, else of the wait, the job or the endpoint. `Err` says what is wrong with
/// them.
fn expressions(
    terms: &AllTerms,
    webhook: &Webhook,
    run: &WaitingOn,
    wait: Option<&OpenWait>,
) -> Result<Option<CelSpec>, String> {
    if let Some(name) = webhook.came.source() {
        let sender = terms.sender(name).unwrap_or(Err("it is not known here"));
        let sender = sender.map_err(|why| format!("the source {name}: {why}"))?;
        if let Some(spec) = &sender.cel {
            return Ok(Some(spec.clone()));
        }
    }
    if let Some(json) = wait.and_then(|wait| wait.cel.as_deref()).or(run.cel.as_deref()) {
        return CelSpec::parse(json).map(Some).map_err(|faults| said(&faults));
    }
    if let Some(name) = run.endpoint.as_deref().filter(|name| terms.is_unreadable(name)) {
        return Err(format!("the endpoint {name} was written by a newer version"));
    }
    Ok(run.endpoint.as_deref().and_then(|name| terms.of_endpoint(name)?.cel.clone()))
}

/// Judges what came for this run: the first that does not ignore it takes it, of those whose signature it has. Where there are
/// no expressions, anything completes.
pub async fn judge(
    gateway: &Arc<Gateway>,
    webhook: &Arc<Webhook>,
    run: Box<WaitingOn>,
    takers: Vec<Taker>,
) -> Result<Judged, Refusal> {
    let (owned, webhook) = (Arc::clone(gateway), Arc::clone(webhook));
    aside(&gateway.judges, move || ask(&owned, &webhook, run, takers)).await?
}

fn ask(gateway: &Gateway, webhook: &Webhook, run: Box<WaitingOn>, takers: Vec<Taker>) -> Result<Judged, Refusal> {
    let (mut read, mut refused): (Option<Payload>, Option<Refusal>) = (None, None);
    for Taker { wait, signature, spec } in takers {
        let signed_for = wait.clone().filter(|_| signature.is_some());
        let is_verified = signed_for.as_deref().is_none_or(|wait| webhook.verified.is_for(wait));
        if let Some(signature) = signature.filter(|_| !is_verified)
            && let Err(refusal) = webhook.verify(&signature, &gateway.limits)
        {
            // It may be for this wait, whose signature nobody can verify: its sender must try again.
            refused = refused.filter(Refusal::is_passing).or(Some(refusal));
            continue;
        }
        let payload = match read.take() {
            Some(payload) => payload,
            None => Payload::read(&webhook.headers, &webhook.body)?,
        };
        let filter =
            spec.and_then(|spec| gateway.filters.get(&spec.unwrap_or_default()).map_err(|faults| said(&faults)));
        match filter.and_then(|filter| apply(&filter, webhook, &run, &payload)) {
            Ok(Verdict::Ignore) => read = Some(payload),
            verdict => return Ok(Judged { run, wait, signed_for, json: payload.json, verdict }),
        }
    }
    match refused {
        Some(refusal) if read.is_none() || refusal.is_passing() => Err(refusal),
        _ => Ok(Judged { run, wait: None, signed_for: None, json: None, verdict: Ok(Verdict::Ignore) }),
    }
}

fn apply(filter: &Filter, webhook: &Webhook, run: &WaitingOn, payload: &Payload) -> Result<Verdict, String> {
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

/// Runs this on a thread that may take its time: a large payload and a long expression take some ten milliseconds. At most
/// as many at once as `room` has permits.
pub async fn aside<T: Send + 'static>(
    room: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let acquired = timeout(QUEUE_WAIT, Arc::clone(room).acquire_owned()).await;
    let Ok(Ok(permit)) = acquired else { return Err(Refusal::overloaded()) };
    let task = move || {
        let done = work();
        drop(permit);
        done
    };
    tokio::task::spawn_blocking(task).await.map_err(|_| Refusal::overloaded())
}

fn said(faults: &[FieldError]) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

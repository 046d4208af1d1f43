//! Hooks and sources: webhooks of third parties, from the door to their answer.

use std::{net::SocketAddr, sync::Arc};

use axum::{body::Body, extract::Request};
use http::{HeaderMap, request::Parts};
use posthaste_engine::{held::RunRef, inbox::Quarantine};
use posthaste_protocol::{
    callback::{CallbackAnswer, CallbackOutcome, of_hook},
    id::JobId,
    inbound::{InboundRequest, InvalidSignature, SchemeName, slack_challenge},
    problem::Code,
    token::{Claims, TokenKind},
};
use posthaste_service::clock;

use crate::{
    admit::{bad_signature, bad_token, limited},
    aim::{NO_JOB, aim},
    body::{self, Held, Room},
    came::Came,
    credential,
    gateway::Gateway,
    note::note,
    refusal::Refusal,
    sender::Sender,
    take::Taken,
    verb::OF_WEBHOOKS,
    webhook::{Verified, Webhook, visible},
    work::{Done, Work, run_of},
};

/// What a webhook is answered.
pub enum Heard {
    /// As callbacks are.
    Answer(CallbackAnswer),
    /// A challenge is given back, and is no event.
    Challenge(String),
}

/// A webhook to a capability URL.
pub async fn hook(
    gateway: &Arc<Gateway>,
    peer: Option<SocketAddr>,
    token: &str,
    request: Request,
) -> Result<Heard, Refusal> {
    let (head, body) = request.into_parts();
    let checked = credential::check(&gateway.ring.load(), Some(token), &head.headers, TokenKind::Hook);
    let claims = checked.map_err(|invalid| bad_token(gateway, peer, invalid))?;
    match of_hook_url(gateway, &claims, &head.headers, body).await {
        Ok((webhook, room)) => hear(gateway, webhook, room).await.map(Heard::Answer),
        Err(refusal) => refused(gateway, &Came::Hook, Some(run_of(&claims)), 0, refusal),
    }
}

/// What holds a token, before it is heard.
async fn of_hook_url(
    gateway: &Gateway,
    claims: &Claims,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Webhook, Room), Refusal> {
    if !OF_WEBHOOKS.iter().all(|action| claims.actions.allow(*action)) {
        return Err(Refusal::new(Code::ActionNotAllowed, "the token does not allow what a webhook may come to"));
    }
    limited(gateway, claims.job_id)?;
    body::check_type(headers, false)?;
    let Held { bytes, room } = body::read(&gateway.rooms.tokens, body).await?;
    Ok((Webhook::of_hook(claims, headers, bytes), room))
}

/// A webhook of a named source.
pub async fn source(
    gateway: &Arc<Gateway>,
    peer: Option<SocketAddr>,
    name: &str,
    request: Request,
) -> Result<Heard, Refusal> {
    let terms = gateway.terms.load_full();
    let Some(sender) = terms.sender(name) else {
        let unknown = || Refusal::new(Code::SourceNotFound, "there is no source of this name");
        return Err(if terms.is_read { unknown() } else { Refusal::database_unavailable() });
    };
    let (came, mut bytes) = (Came::Source(name.to_owned()), 0);
    let sender = match sender {
        Ok(sender) => sender,
        Err(why) => return refused(gateway, &came, None, bytes, Refusal::unverifiable(why)),
    };
    let (webhook, room) = match of_source(gateway, peer, sender, &came, request, &mut bytes).await {
        Ok(read) => read,
        Err(refusal) => return refused(gateway, &came, None, bytes, refusal),
    };
    let is_slack = sender.signature.scheme.name() == SchemeName::Slack;
    if let Some(challenge) = slack_challenge(&webhook.body).filter(|_| is_slack) {
        return Ok(Heard::Challenge(challenge));
    }
    hear(gateway, webhook, room).await.map(Heard::Answer)
}

/// What a source has signed, before it is heard. `bytes` is set to the length of the body once it was read.
async fn of_source(
    gateway: &Gateway,
    peer: Option<SocketAddr>,
    sender: &Sender,
    came: &Came,
    request: Request,
    bytes: &mut usize,
) -> Result<(Webhook, Room), Refusal> {
    let (Parts { headers, .. }, body) = request.into_parts();
    body::check_type(&headers, false)?;
    let bad = |invalid: InvalidSignature| bad_signature(gateway, peer, invalid);
    sender.signature.verify_head(&sender.secrets, &headers, clock::unix_now()).map_err(bad)?;
    let rooms = &gateway.rooms;
    let room = if gateway.limits.suspects(peer) { &rooms.suspects } else { &rooms.sources };
    let Held { bytes: body, room } = body::read(room, body).await?;
    *bytes = body.len();
    let received_unix = clock::unix_now();
    let signed = InboundRequest { headers: &headers, body: &body, now_unix: received_unix };
    sender.signature.verify(&sender.secrets, &signed).map_err(bad)?;
    let (run, digest, headers) = (RunRef::whichever(NO_JOB), of_hook(&body), visible(&headers));
    Ok((Webhook { run, came: came.clone(), digest, headers, body, received_unix, verified: Verified::All }, room))
}

/// Logs what was not heard.
fn refused(
    gateway: &Gateway,
    came: &Came,
    run: Option<RunRef>,
    bytes: usize,
    refusal: Refusal,
) -> Result<Heard, Refusal> {
    let answer = Err(refusal);
    note(gateway, came, run, bytes, &answer, None, None);
    answer.map(Heard::Answer)
}

/// Judges a webhook, or keeps it. In a task of its own: a sender that hangs up must not leave it half-way.
pub async fn hear(gateway: &Arc<Gateway>, webhook: Webhook, room: Room) -> Result<CallbackAnswer, Refusal> {
    let (gateway, mut webhook) = (Arc::clone(gateway), Arc::new(webhook));
    let heard = tokio::spawn(async move {
        let (answer, reason, inbox) = match aim(&gateway, &mut webhook).await {
            Ok(Taken::Settled(answer)) => (Ok(answer), None, None),
            Ok(Taken::Unwanted(why)) => (Ok(CallbackAnswer::of(CallbackOutcome::Ignored)), Some(why.to_owned()), None),
            Ok(Taken::Early) => {
                let delivery = webhook.kept("it came before its wait was known".to_owned(), None);
                keep(&gateway, delivery, true).await
            }
            Ok(Taken::Unjudged { why, signed_for }) => keep(&gateway, webhook.kept(why, signed_for), false).await,
            Err(refusal) => (Err(refusal), None, None),
        };
        note(&gateway, &webhook.came, Some(webhook.run), webhook.body.len(), &answer, reason.as_deref(), inbox);
        drop(room);
        answer
    });
    heard.await.unwrap_or_else(|_| Err(Refusal::overloaded()))
}

/// Keeps a webhook, to be judged later.
async fn keep(
    gateway: &Gateway,
    delivery: Quarantine,
    early: bool,
) -> (Result<CallbackAnswer, Refusal>, Option<String>, Option<i64>) {
    let (job, why) = (JobId(delivery.run.job_id), delivery.error.clone());
    let kept = gateway.commits.commit(Work::Keep { delivery, early }).await;
    let inbox = if let Ok(Done::Kept(number)) = &kept { *number } else { None };
    let outcome = if early { CallbackOutcome::Buffered } else { CallbackOutcome::Quarantined };
    let answer = match kept {
        Ok(Done::Kept(Some(_))) => Ok(CallbackAnswer::of(outcome)),
        Ok(done) => done.answer(job),
        Err(refusal) => Err(refusal),
    };
    (answer, Some(why), inbox)
}

/// The headers of a kept webhook.
pub fn headers_of(json: Option<&str>) -> std::collections::BTreeMap<String, String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

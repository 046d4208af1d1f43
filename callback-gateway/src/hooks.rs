//! Hooks and sources: webhooks of third parties, from the door to their answer.

use std::{net::SocketAddr, sync::Arc};

use axum::extract::Request;
use posthaste_engine::held::RunRef;
use posthaste_protocol::{
    callback::{CallbackAnswer, CallbackOutcome, of_hook},
    id::JobId,
    inbound::{InboundRequest, SchemeName, slack_challenge},
    problem::Code,
    token::TokenKind,
};
use posthaste_service::clock;

use crate::{
    aim::{NO_JOB, aim},
    body::{self, Held, Room},
    callbacks::{bad_token, limited},
    came::Came,
    credential,
    gateway::Gateway,
    note::note,
    refusal::Refusal,
    verb::OF_WEBHOOKS,
    webhook::{Taken, Webhook, visible},
    work::{Done, Work},
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
    if !OF_WEBHOOKS.iter().all(|action| claims.actions.allow(*action)) {
        return Err(Refusal::new(Code::ActionNotAllowed, "the token does not allow what a webhook may come to"));
    }
    limited(gateway, claims.job_id)?;
    body::check_type(&head.headers, false)?;
    let Held { bytes, room } = body::read(&gateway.rooms.tokens, body).await?;
    hear(gateway, Webhook::of_hook(&claims, &head.headers, bytes), room).await.map(Heard::Answer)
}

/// A webhook of a named source.
pub async fn source(
    gateway: &Arc<Gateway>,
    peer: Option<SocketAddr>,
    name: &str,
    request: Request,
) -> Result<Heard, Refusal> {
    let (head, body) = request.into_parts();
    let terms = gateway.terms.load_full();
    let Some(sender) = terms.sender(name) else {
        let unknown = || Refusal::new(Code::SourceNotFound, "there is no source of this name");
        return Err(if terms.is_read { unknown() } else { Refusal::database_unavailable() });
    };
    body::check_type(&head.headers, false)?;
    let rooms = &gateway.rooms;
    let room = if gateway.limits.suspects(peer) { &rooms.suspects } else { &rooms.sources };
    let Held { bytes: body, room } = body::read(room, body).await?;
    let (came, received_unix) = (Came::Source(name.to_owned()), clock::unix_now());
    let signed = InboundRequest { headers: &head.headers, body: &body, now_unix: received_unix };
    if sender.signature.verify(&sender.secrets, &signed).is_err() {
        let answer = Err(bad_signature(gateway, peer));
        if gateway.limits.logs_stranger() {
            note(gateway, &came, None, body.len(), &answer, None, None);
        }
        return answer.map(Heard::Answer);
    }
    if let Some(challenge) = slack_challenge(&body).filter(|_| sender.signature.scheme.name() == SchemeName::Slack) {
        return Ok(Heard::Challenge(challenge));
    }
    let (run, digest, headers) = (RunRef::whichever(NO_JOB), of_hook(&body), visible(&head.headers));
    let webhook = Webhook { run, came, digest, headers, body, received_unix, verified: true };
    hear(gateway, webhook, room).await.map(Heard::Answer)
}

/// Judges a webhook, or keeps it. In a task of its own: a sender that hangs up must not leave it half-way.
pub async fn hear(gateway: &Arc<Gateway>, webhook: Webhook, room: Room) -> Result<CallbackAnswer, Refusal> {
    let (gateway, mut webhook) = (Arc::clone(gateway), Arc::new(webhook));
    let heard = tokio::spawn(async move {
        let (answer, reason, inbox) = match aim(&gateway, &mut webhook).await {
            Ok(Taken::Settled(answer)) => (Ok(answer), None, None),
            Ok(Taken::Unwanted(why)) => (Ok(CallbackAnswer::of(CallbackOutcome::Ignored)), Some(why.to_owned()), None),
            Ok(Taken::Early) => keep(&gateway, &webhook, "it came before its wait was known".to_owned(), true).await,
            Ok(Taken::Unjudged(why)) => keep(&gateway, &webhook, why, false).await,
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
    webhook: &Webhook,
    why: String,
    early: bool,
) -> (Result<CallbackAnswer, Refusal>, Option<String>, Option<i64>) {
    let delivery = webhook.kept(why.clone());
    let kept = gateway.commits.commit(Work::Keep { delivery, early }).await;
    let inbox = if let Ok(Done::Kept(number)) = &kept { *number } else { None };
    let outcome = if early { CallbackOutcome::Buffered } else { CallbackOutcome::Quarantined };
    let answer = match kept {
        Ok(Done::Kept(Some(_))) => Ok(CallbackAnswer::of(outcome)),
        Ok(done) => done.answer(JobId(webhook.run.job_id)),
        Err(refusal) => Err(refusal),
    };
    (answer, Some(why), inbox)
}

fn bad_signature(gateway: &Gateway, peer: Option<SocketAddr>) -> Refusal {
    if gateway.limits.admits_bad_token(peer) {
        return Refusal::invalid_signature();
    }
    gateway.metrics.limited("bad_tokens");
    Refusal::rate_limited("too many requests without a valid signature")
}

/// The headers of a kept webhook.
pub fn headers_of(json: Option<&str>) -> std::collections::BTreeMap<String, String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

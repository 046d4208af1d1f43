//! Callbacks by token: what functions, and whoever holds their token, say about their runs.

use std::{net::SocketAddr, sync::Arc};

use axum::{body::Body, extract::Request};
use http::HeaderMap;
use posthaste_engine::callback::Told;
use posthaste_protocol::{
    action::Action,
    callback::{CallbackAnswer, CallbackRequest},
    problem::Code,
    token::{Claims, TokenKind},
};

use crate::{
    admit::{bad_token, limited},
    body::{self, Held, Room},
    came::Came,
    credential::{self, Fingerprint},
    gateway::Gateway,
    hooks::hear,
    note::{note, word},
    refusal::Refusal,
    webhook::Webhook,
    work::{Done, Work, run_of},
};

/// Answers one callback, after its commit.
pub async fn call(
    gateway: &Arc<Gateway>,
    peer: Option<SocketAddr>,
    token: Option<&str>,
    action: Action,
    request: Request,
) -> Result<CallbackAnswer, Refusal> {
    let (head, body) = request.into_parts();
    let claims = admit(gateway, peer, token, &head.headers, action)?;
    let mut bytes = 0;
    let answer = match said(gateway, &claims, action, &head.headers, body, &mut bytes).await {
        Ok(Said::Done(done)) => done.answer(claims.job_id),
        Ok(Said::Judge(webhook, room)) => return hear(gateway, webhook, room).await,
        Err(refusal) => Err(refusal),
    };
    tracing::debug!(token = %Fingerprint(&claims), answer = word(&answer), "callback");
    // Signs of life are nobody's news.
    note(gateway, &Came::Callback(action), Some(run_of(&claims)), bytes, &answer, None, None);
    answer
}

/// What became of what was said.
enum Said {
    /// It is committed, or refused.
    Done(Done),
    /// Nothing yet: what its run waits for, and expressions, decide.
    Judge(Webhook, Room),
}

/// Reads what is said, and commits it. `bytes` is set to the length of the body once it was read.
async fn said(
    gateway: &Gateway,
    claims: &Claims,
    action: Action,
    headers: &HeaderMap,
    body: Body,
    bytes: &mut usize,
) -> Result<Said, Refusal> {
    body::check_type(headers, true)?;
    let Held { bytes: body, room } = body::read(&gateway.rooms.tokens, body).await?;
    *bytes = body.len();
    let text = body::text(&body)?;
    let read = || CallbackRequest::parse(action, text).map_err(Refusal::faults);
    if let Some(work) = Work::of(claims, action, read()?) {
        match gateway.commits.commit(work).await? {
            Done::Told(Told::Unjudged) => {}
            done => return Ok(Said::Done(done)),
        }
    }
    Ok(Said::Judge(Webhook::of_callback(claims, action, headers, read()?), room))
}

/// What must hold before a body is read: the token, the action, and the limits.
fn admit(
    gateway: &Gateway,
    peer: Option<SocketAddr>,
    token: Option<&str>,
    headers: &HeaderMap,
    action: Action,
) -> Result<Claims, Refusal> {
    let checked = credential::check(&gateway.ring.load(), token, headers, TokenKind::Callback);
    let claims = checked.map_err(|invalid| bad_token(gateway, peer, invalid))?;
    if !claims.actions.allow(action) {
        return Err(Refusal::new(Code::ActionNotAllowed, format!("the token does not allow {action}")));
    }
    limited(gateway, claims.job_id)?;
    Ok(claims)
}

//! Callbacks by token: what functions, and whoever holds their token, say about their runs.

use std::{net::SocketAddr, time::Duration};

use axum::{body::Body, extract::Request};
use http::HeaderMap;
use posthaste_engine::delivery::{Delivery, DeliveryVerdict, Via};
use posthaste_protocol::{
    action::Action,
    callback::{CallbackAnswer, CallbackRequest},
    id::JobId,
    problem::Code,
    token::{Claims, InvalidToken, TokenKind},
};

use crate::{
    body,
    credential::{self, Fingerprint},
    gateway::Gateway,
    note,
    refusal::Refusal,
    work::Work,
};

/// Answers one callback, after its commit.
pub async fn call(
    gateway: &Gateway,
    peer: Option<SocketAddr>,
    token: Option<&str>,
    action: Action,
    request: Request,
) -> Result<CallbackAnswer, Refusal> {
    let (head, body) = request.into_parts();
    let claims = admit(gateway, peer, token, &head.headers, action)?;
    let mut bytes = 0;
    let answer = said(gateway, &claims, action, &head.headers, body, &mut bytes).await;
    log(gateway, &claims, action, &answer, bytes);
    answer
}

/// Reads what is said, and commits it. `bytes` is set to the length of the body once it was read.
async fn said(
    gateway: &Gateway,
    claims: &Claims,
    action: Action,
    headers: &HeaderMap,
    body: Body,
    bytes: &mut usize,
) -> Result<CallbackAnswer, Refusal> {
    body::check_type(headers, true)?;
    let body = body::read(body).await?;
    *bytes = body.len();
    let said = CallbackRequest::parse(action, body::text(&body)?).map_err(Refusal::faults)?;
    gateway.commits.commit(Work::of(claims, action, said)).await?.answer(claims.job_id)
}

/// Logs what came of a callback: the end of a run is in the ledger already, and signs of life are nobody's news.
fn log(gateway: &Gateway, claims: &Claims, action: Action, answer: &Result<CallbackAnswer, Refusal>, bytes: usize) {
    tracing::debug!(
        job.id = claims.job_id.0,
        run_lease = claims.run_lease,
        token = %Fingerprint(claims),
        action = action.as_str(),
        answer = note::word(answer),
        "callback"
    );
    let Some(verdict) = note::verdict(answer).filter(|verdict| *verdict != DeliveryVerdict::Applied) else { return };
    gateway.deliveries.log(Delivery {
        ago: Duration::ZERO,
        job_id: Some(claims.job_id.0),
        run_lease: Some(claims.run_lease),
        inbox_id: None,
        bytes,
        via: Via::Callback,
        verdict,
        action: Some(action.as_str()),
        reason: answer.is_err().then(|| note::word(answer).to_owned()),
        source: None,
    });
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

/// Refuses what comes for a job too often.
pub fn limited(gateway: &Gateway, job: JobId) -> Result<(), Refusal> {
    if gateway.limits.admits_callback(job) {
        return Ok(());
    }
    gateway.metrics.limited("job");
    Err(Refusal::rate_limited("this job is called back too often; try again"))
}

/// The refusal of a token that is not accepted.
pub fn bad_token(gateway: &Gateway, peer: Option<SocketAddr>, invalid: InvalidToken) -> Refusal {
    gateway.metrics.bad_token(invalid);
    if gateway.limits.admits_bad_token(peer) {
        return Refusal::invalid_token();
    }
    gateway.metrics.limited("bad_tokens");
    Refusal::rate_limited("too many requests without a valid token")
}

//! Admission: what comes too often, or without what it must have, is refused before anything is done for it.

use std::net::SocketAddr;

use posthaste_protocol::{id::JobId, inbound::InvalidSignature, token::InvalidToken};

use crate::{gateway::Gateway, refusal::Refusal};

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

/// The refusal of a signature that does not hold.
pub fn bad_signature(gateway: &Gateway, peer: Option<SocketAddr>, invalid: InvalidSignature) -> Refusal {
    if gateway.limits.admits_bad_token(peer) {
        return Refusal::invalid_signature(invalid.fault());
    }
    gateway.metrics.limited("bad_tokens");
    Refusal::rate_limited("too many requests without a valid signature")
}

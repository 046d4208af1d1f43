//! Slack: `x-slack-signature: v0=<hex>` over `v0:timestamp:body`, with the time in `x-slack-request-timestamp`.
//!
//! Source: <https://docs.slack.dev/authentication/verifying-requests-from-slack>, whose published vector is among the
//! shared ones.

use serde::Deserialize;

use super::check::{self, SignatureFault};
use super::{InboundRequest, InboundSecret};

/// The longest body that can be a challenge, in bytes.
const MAX_CHALLENGE_BODY_BYTES: usize = 4096;
/// The longest challenge that is given back, in bytes.
const MAX_CHALLENGE_BYTES: usize = 512;

pub(super) fn verify(
    secrets: &[InboundSecret],
    request: &InboundRequest,
    tolerance_s: u32,
) -> Result<(), SignatureFault> {
    let timestamp = check::header(request.headers, "x-slack-request-timestamp")?;
    let signature = check::header(request.headers, "x-slack-signature")?;
    let tag = signature.strip_prefix("v0=").and_then(check::hex).ok_or(SignatureFault::MalformedHeader)?;
    check::time(timestamp, request.now_unix, tolerance_s)?;
    check::tags(secrets, &[b"v0:", timestamp.as_bytes(), b":", request.body], &[tag])
}

/// The challenge in `body`, if that is how Slack asks whether a URL is ours: `{"type": "url_verification",
/// "challenge": "…"}`. To be given back as `text/plain` with a 200, and to be treated as no event.
///
/// Slack signs these requests too: verify first, or anybody could have anything said by us. Only 1 to 512 visible
/// ASCII characters are a challenge.
///
/// Source: <https://docs.slack.dev/reference/events/url_verification>.
pub fn challenge(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Handshake {
        r#type: String,
        challenge: String,
    }

    if body.len() > MAX_CHALLENGE_BODY_BYTES {
        return None;
    }
    let handshake: Handshake = serde_json::from_slice(body).ok()?;
    let plain = handshake.challenge.bytes().all(|b| b.is_ascii_graphic());
    let fits = (1..=MAX_CHALLENGE_BYTES).contains(&handshake.challenge.len());
    (handshake.r#type == "url_verification" && plain && fits).then_some(handshake.challenge)
}

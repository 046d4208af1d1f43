//! Stripe: `stripe-signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…]` over `timestamp.body`.
//!
//! Source: <https://docs.stripe.com/webhooks#verify-manually>. Only `v1` counts: `v0` is a fake
//! that comes with test events. While a secret is rolled there is a `v1` for each.

use super::check::{self, MAX_TAGS, SignatureFault};
use super::{InboundRequest, InboundSecret};

pub(super) fn verify(
    secrets: &[InboundSecret],
    request: &InboundRequest,
    tolerance_s: u32,
) -> Result<(), SignatureFault> {
    let header = check::header(request.headers, "stripe-signature")?;
    let (mut timestamp, mut tags) = (None, Vec::new());
    for item in header.split(',') {
        match item.trim_ascii().split_once('=') {
            Some(("t", _)) if timestamp.is_some() => return Err(SignatureFault::MalformedHeader),
            Some(("t", text)) => timestamp = Some(text),
            Some(("v1", text)) if tags.len() < MAX_TAGS => tags.extend(check::hex(text)),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(SignatureFault::MalformedHeader)?;
    check::time(timestamp, request.now_unix, tolerance_s)?;
    check::tags(secrets, &[timestamp.as_bytes(), b".", request.body], &tags)
}

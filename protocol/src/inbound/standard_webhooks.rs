//! Standard Webhooks: `webhook-signature: v1,<base64>` over `id.timestamp.body`.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>. Where there is
//! no `webhook-id`, the three headers are read under their older names, `svix-id`, `svix-timestamp` and
//! `svix-signature`, which many senders still use alone.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::check::{self, MAX_TAGS, SignatureFault, Tag};
use super::{InboundRequest, InboundSecret};

pub(super) fn verify(
    secrets: &[InboundSecret],
    request: &InboundRequest,
    tolerance_s: u32,
) -> Result<(), SignatureFault> {
    let names = if request.headers.contains_key("webhook-id") {
        ["webhook-id", "webhook-timestamp", "webhook-signature"]
    } else {
        ["svix-id", "svix-timestamp", "svix-signature"]
    };
    let [id, timestamp, signature] = names.map(|name| check::header(request.headers, name));
    let (id, timestamp, signature) = (id?, timestamp?, signature?);
    // With a dot in the id, two messages could share a signature.
    if id.is_empty() || id.contains('.') {
        return Err(SignatureFault::MalformedHeader);
    }
    check::time(timestamp, request.now_unix, tolerance_s)?;
    let tags: Vec<_> =
        signature.split(' ').filter_map(|entry| tag(entry.strip_prefix("v1,")?)).take(MAX_TAGS).collect();
    check::tags(secrets, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", request.body], &tags)
}

fn tag(text: &str) -> Option<Tag> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

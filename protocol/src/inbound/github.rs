//! GitHub: `x-hub-signature-256: sha256=<hex>` over the body.
//!
//! Source: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>, whose published vector is
//! among the shared ones. No time is signed, so a delivery that was overheard can be sent again.

use super::check::{self, SignatureFault};
use super::{InboundRequest, InboundSecret};

pub(super) fn verify(secrets: &[InboundSecret], request: &InboundRequest) -> Result<(), SignatureFault> {
    let header = check::header(request.headers, "x-hub-signature-256")?;
    let tag = header.strip_prefix("sha256=").and_then(check::hex).ok_or(SignatureFault::MalformedHeader)?;
    check::tags(secrets, &[request.body], &[tag])
}

//! What all schemes share: reading a header once, and comparing signatures.

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;

use super::InboundSecret;
use crate::signature::{self, VerifyError};
use crate::word::words;

/// The longest header that is read, in bytes.
const MAX_HEADER_BYTES: usize = 4096;
/// The most signatures of one request that are compared.
pub(super) const MAX_TAGS: usize = 16;

/// An HMAC-SHA256.
pub(super) type Tag = [u8; 32];

words! {
    /// Why a signature does not hold: for metrics and logs, never for who sent it.
    pub enum SignatureFault {
        /// There is no secret to verify with.
        NoSecret = "no_secret",
        /// A header that the scheme needs is not there.
        MissingHeader = "missing_header",
        /// A header is there twice, is too long, or cannot be read.
        MalformedHeader = "malformed_header",
        /// Signed too long ago: late, or sent again by somebody who overheard it.
        TooOld = "too_old",
        /// Signed in the future.
        TooNew = "too_new",
        /// None of the signatures fits any of the secrets.
        NoMatch = "no_match",
    }
}

/// A signature that does not hold. Reads the same whatever is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct InvalidSignature {
    fault: SignatureFault,
}

impl InvalidSignature {
    /// What is wrong, for metrics and logs. Not to be told to whoever sent the request.
    pub const fn fault(self) -> SignatureFault {
        self.fault
    }
}

impl From<SignatureFault> for InvalidSignature {
    fn from(fault: SignatureFault) -> Self {
        Self { fault }
    }
}

impl From<VerifyError> for SignatureFault {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Timestamp => Self::MalformedHeader,
            VerifyError::TooOld => Self::TooOld,
            VerifyError::TooNew => Self::TooNew,
            VerifyError::NoMatch => Self::NoMatch,
        }
    }
}

/// The text of a header that must be there exactly once.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, SignatureFault> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(SignatureFault::MissingHeader)?;
    if values.next().is_some() || value.len() > MAX_HEADER_BYTES {
        return Err(SignatureFault::MalformedHeader);
    }
    value.to_str().map_err(|_| SignatureFault::MalformedHeader)
}

/// Checks that a text of unix seconds is canonical and near enough.
pub(super) fn time(text: &str, now_unix: i64, tolerance_s: u32) -> Result<(), SignatureFault> {
    signature::sent_at(text, now_unix, tolerance_s)?;
    Ok(())
}

/// Checks that one of `tags` is the HMAC-SHA256 of the joined `parts` under one of `secrets`.
pub(super) fn tags(secrets: &[InboundSecret], parts: &[&[u8]], tags: &[Tag]) -> Result<(), SignatureFault> {
    let fits = |secret: &InboundSecret| {
        // HMAC takes keys of any length, so there always is one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_bytes()) else { return false };
        for part in parts {
            mac.update(part);
        }
        tags.iter().any(|tag| mac.clone().verify_slice(tag).is_ok())
    };
    if !tags.is_empty() && secrets.iter().any(fits) { Ok(()) } else { Err(SignatureFault::NoMatch) }
}

/// Reads 64 hexadecimal digits.
pub(super) fn hex(text: &str) -> Option<Tag> {
    let mut tag = [0; 32];
    hex::decode_to_slice(text, &mut tag).ok()?;
    Some(tag)
}

//! Plain HMAC: HMAC-SHA256 of the body, in a header of the sender's choice.
//!
//! Shopify, Linear, Typeform and most who invent their own scheme do this. No time is signed, so a request that was
//! overheard can be sent again.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::Engine as _;
use serde::Serialize;

use super::check::{self, SignatureFault, Tag};
use super::{InboundRequest, InboundSecret};
use crate::field::Field;
use crate::header::is_header_name;
use crate::object::Faults;
use crate::word::words;

/// The longest prefix, in bytes.
const MAX_PREFIX_BYTES: usize = 64;
/// Base64 with padding or without: senders differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

words! {
    /// How the 32 bytes of a signature are written.
    pub enum Encoding {
        /// 64 hexadecimal digits, in either case.
        Hex = "hex",
        /// Standard base64, padded or not.
        Base64 = "base64",
    }
}

/// Where a sender puts the HMAC-SHA256 of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HmacScheme {
    /// The header's name, in lower case.
    pub header: String,
    /// How it is written. Default hex.
    pub encoding: Encoding,
    /// What comes before it, as `sha256=`: at most 64 visible ASCII characters and spaces. Default nothing.
    pub prefix: String,
}

pub(super) fn verify(
    secrets: &[InboundSecret],
    request: &InboundRequest,
    scheme: &HmacScheme,
) -> Result<(), SignatureFault> {
    let header = check::header(request.headers, &scheme.header)?;
    let text = header.strip_prefix(&scheme.prefix).ok_or(SignatureFault::MalformedHeader)?;
    let tag = match scheme.encoding {
        Encoding::Hex => check::hex(text),
        Encoding::Base64 => base64(text),
    };
    check::tags(secrets, &[request.body], &[tag.ok_or(SignatureFault::MalformedHeader)?])
}

fn base64(text: &str) -> Option<Tag> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// Reads the name of the header, which comes out in lower case.
pub(super) fn read_header(field: &Field, faults: &mut Faults) -> Option<String> {
    let name = field.text(faults)?;
    if !is_header_name(&name) {
        field.fault("invalid_header", "is not a valid header name", faults);
        return None;
    }
    Some(name.to_ascii_lowercase())
}

/// Reads what comes before the signature.
pub(super) fn read_prefix(field: &Field, faults: &mut Faults) -> Option<String> {
    let prefix = field.text(faults)?;
    if prefix.len() > MAX_PREFIX_BYTES || !prefix.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        let message = "must be at most 64 visible ASCII characters and spaces";
        field.fault("invalid_header", message, faults);
        return None;
    }
    Some(prefix)
}

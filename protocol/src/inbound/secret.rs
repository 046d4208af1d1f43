//! What senders sign with.

use std::fmt;

use zeroize::Zeroizing;

use super::{Literals, MAX_SECRETS, SchemeName};
use crate::endpoint::{Reference, reference};
use crate::field::Field;
use crate::object::Faults;
use crate::signature::{Secret, SecretError};

/// The shortest and the longest secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

/// A sender's secret: the bytes that HMAC is keyed with. Prints as `[REDACTED]`; wiped when dropped.
#[derive(Clone)]
pub struct InboundSecret {
    key: Zeroizing<Vec<u8>>,
}

/// Why a text is not a secret of its scheme. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InboundSecretError {
    /// Not the form of Standard Webhooks.
    #[error(transparent)]
    StandardWebhooks(#[from] SecretError),
    /// Not the form of Stripe.
    #[error("a signing secret of Stripe begins with whsec_; an API key will not do")]
    Stripe,
    /// Too short to be safe, or longer than any sender makes them.
    #[error("a secret has 16 to 512 bytes")]
    Length,
}

impl InboundSecret {
    /// Reads the text of a secret as the sender shows it: for Standard Webhooks `whsec_` and the base64 of the key, for
    /// all others the text itself is the key.
    pub fn parse(scheme: SchemeName, text: &str) -> Result<Self, InboundSecretError> {
        match scheme {
            SchemeName::StandardWebhooks => Self::from_bytes(Secret::parse(text)?.expose_bytes()),
            SchemeName::Stripe if !text.starts_with("whsec_") => Err(InboundSecretError::Stripe),
            _ => Self::from_bytes(text.as_bytes()),
        }
    }

    /// A secret of these 16 to 512 bytes, as [`InboundSecret::expose_bytes`] gave them to be sealed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InboundSecretError> {
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(InboundSecretError::Length);
        }
        Ok(Self { key: Zeroizing::new(bytes.to_vec()) })
    }

    /// The key, to seal it. Exposes the secret.
    pub fn expose_bytes(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for InboundSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InboundSecret([REDACTED])")
    }
}

/// A secret, or where to find it.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// The secret itself, as given in this document; never written back. To be stored sealed.
    Literal(InboundSecret),
    /// Read by the gateway, and then by [`InboundSecret::parse`].
    Reference(Reference),
}

/// Reads a list of secrets: texts, `{"env": "NAME"}` or `{"file": "PATH"}`. Without a scheme, which is a fault already,
/// texts cannot be judged.
pub(super) fn read(
    field: &Field,
    scheme: Option<SchemeName>,
    literals: Literals,
    faults: &mut Faults,
) -> Vec<SecretSource> {
    let mut secrets = Vec::new();
    field.items(MAX_SECRETS, faults, |item, faults| {
        if item.begins(b'{') {
            secrets.extend(reference::read(&item, faults).map(SecretSource::Reference));
        } else if !item.begins(b'"') {
            item.fault("wrong_type", r#"must be a string, {"env": "NAME"} or {"file": "PATH"}"#, faults);
        } else if literals == Literals::Refused {
            let message =
                r#"must be a reference, {"env": "NAME"} or {"file": "PATH"}: a literal would be stored and shown"#;
            item.fault("literal_secret", message, faults);
        } else if let (Some(scheme), Some(text)) = (scheme, item.text(faults).map(Zeroizing::new)) {
            match InboundSecret::parse(scheme, &text) {
                Ok(secret) => secrets.push(SecretSource::Literal(secret)),
                Err(error) => item.fault("invalid_secret", error.to_string(), faults),
            }
        }
    });
    secrets
}

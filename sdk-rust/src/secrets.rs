//! The signing secrets of an app, and what they verify.

use http::HeaderMap;
use posthaste_protocol::signature::{self, Secret, SecretError, VerifyError};

use crate::clock;

/// Where the secrets are read from.
const VARIABLE: &str = "POSTHASTE_SIGNING_SECRET";
/// How far the signed time may be from ours: what Standard Webhooks recommends.
const TOLERANCE_S: u32 = 300;

/// The signing secrets of an endpoint, `whsec_…` as `posthaste endpoint put` printed them. A signature of any of them
/// will do: to rotate, give the old and the new one. Prints as `[REDACTED]`.
#[derive(Debug, Clone)]
pub struct Secrets(Vec<Secret>);

/// Why there are no secrets to verify with. Never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// There is none.
    #[error(
        "no signing secret: set {VARIABLE} to the whsec_… that `posthaste endpoint put` printed, or take what \
         nobody signed with App::unsigned()"
    )]
    Missing,
    /// One of them is none.
    #[error("signing secret {number} cannot be read: {error}")]
    Malformed {
        /// Which of them, from 1.
        number: usize,
        /// What is wrong with it.
        error: SecretError,
    },
}

impl Secrets {
    /// Reads `POSTHASTE_SIGNING_SECRET`: one secret, or several with commas or spaces between them.
    #[expect(clippy::disallowed_methods, reason = "the one variable that the handler path documents")]
    pub fn from_env() -> Result<Self, SecretsError> {
        Self::parse([std::env::var(VARIABLE).unwrap_or_default()])
    }

    /// These secrets; a text may hold several, with commas or spaces between them.
    pub fn parse(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, SecretsError> {
        let mut secrets = Vec::new();
        for text in texts {
            let separated = text.as_ref().split(|c: char| c == ',' || c.is_ascii_whitespace());
            for secret in separated.filter(|secret| !secret.is_empty()) {
                let number = secrets.len() + 1;
                secrets.push(Secret::parse(secret).map_err(|error| SecretsError::Malformed { number, error })?);
            }
        }
        if secrets.is_empty() { Err(SecretsError::Missing) } else { Ok(Self(secrets)) }
    }

    /// Verifies the `webhook-*` headers of a body, byte for byte as it came. For requests that no [`App`](crate::App)
    /// handles; an app verifies its own.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), InvalidSignature> {
        self.verify_at(headers, body, clock::unix_now(), TOLERANCE_S)
    }

    pub(crate) fn verify_at(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now_unix: i64,
        tolerance_s: u32,
    ) -> Result<(), InvalidSignature> {
        let header = |name| {
            let value = headers.get(name).ok_or(InvalidSignature::Missing(name))?;
            value.to_str().map_err(|_| InvalidSignature::Missing(name))
        };
        let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
        let signature = header("webhook-signature")?;
        signature::verify(&self.0, id, at, signature, body, now_unix, tolerance_s).map_err(InvalidSignature::Wrong)
    }

    /// Signs as the dispatcher does.
    #[cfg(feature = "testing")]
    pub(crate) fn sign(&self, id: &str, at_unix: i64, body: &[u8]) -> String {
        signature::sign(&self.0, id, at_unix, body)
    }
}

/// Why a request is not signed as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSignature {
    /// A header is missing or is no text.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The headers do not fit the body, the secrets or the time.
    #[error("{}", advice(*.0))]
    Wrong(VerifyError),
}

/// What does not fit, and what to look at.
fn advice(error: VerifyError) -> &'static str {
    match error {
        VerifyError::Timestamp => "webhook-timestamp is not a number of unix seconds",
        VerifyError::TooOld => "the signature is too old: compare the clocks",
        VerifyError::TooNew => "the signature is from the future: compare the clocks",
        VerifyError::NoMatch => "no signature matches: compare the signing secret with that of the endpoint",
    }
}

#[cfg(test)]
mod tests;

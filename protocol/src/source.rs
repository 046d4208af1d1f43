//! Sources: named senders of webhooks, as operators write them: how they sign, and how their jobs are found.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::cel::{self, CelSpec, MAX_EXPRESSION_BYTES};
use crate::field::Field;
use crate::inbound::{self, InboundSecret, InboundSignature, Literals, SecretSource};
use crate::object::{Faults, Path, Shape, read_document};
use crate::problem::FieldError;
use crate::seal::{SealError, SealKeys};

const SHAPE: Shape = Shape { known: &["signature", "correlate", "cel"], later: &[] };

/// A source: `{"signature": {…}, "correlate": "…", "cel"?: {…}}`.
///
/// `Serialize` gives the same shape back, without secrets in the clear: what it gives is read again.
#[derive(Debug, Clone, Serialize)]
pub struct SourceSpec {
    /// How its webhooks are signed; mandatory.
    pub signature: InboundSignature,
    /// An expression over `payload` and `headers` that gives the job's id, or null for a webhook that is for no job. Whoever
    /// takes the source compiles it.
    pub correlate: String,
    /// What a webhook means for its job; `None` leaves that to the wait, the job or the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cel: Option<CelSpec>,
}

/// Why sealed bytes are not a source's secrets. Never repeats them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// They cannot be opened with these keys for this source.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// What was sealed is not a list of secrets.
    #[error("what is sealed is not a list of secrets")]
    Shape,
}

impl SourceSpec {
    /// Reads a source. `Err` holds every fault (at most 100).
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let mut faults = Faults::default();
        let (mut signature, mut correlate, mut cel) = (None, None, None);
        let mut given = Vec::new();
        read_document(json, SHAPE, &mut faults, |name, field, faults| {
            if field.is_null() {
                return;
            }
            given.push(name.to_owned());
            match name {
                "signature" => signature = inbound::read(&field, Literals::Sealed, faults),
                "correlate" => correlate = read_correlate(&field, faults),
                _ => cel = cel::read(&field, faults),
            }
        })?;
        for name in ["signature", "correlate"] {
            if json.trim_ascii_start().starts_with('{') && !given.iter().any(|given| given == name) {
                faults.push(&Path::Field(&Path::Root, name), "required", "is required");
            }
        }
        let spec = signature.zip(correlate).map(|(signature, correlate)| Self { signature, correlate, cel });
        faults.or(spec)
    }

    /// Seals the secrets that the document gave in the clear; `None` when it gave none. `nonce` must be random and new for
    /// every call.
    pub fn seal(&self, keys: &SealKeys, name: &str, nonce: [u8; 24]) -> Result<Option<Vec<u8>>, SealError> {
        let literals = self.signature.secrets.iter().filter_map(|source| match source {
            SecretSource::Literal(secret) => Some(Zeroizing::new(hex::encode(secret.expose_bytes()))),
            SecretSource::Reference(_) => None,
        });
        let literals: Vec<Zeroizing<String>> = literals.collect();
        if literals.is_empty() {
            return Ok(None);
        }
        let mut text = Zeroizing::new(String::with_capacity(literals.iter().map(|hex| hex.len() + 1).sum()));
        for hex in &literals {
            text.push_str(hex);
            text.push('\n');
        }
        keys.seal(text.as_bytes(), &sealed_for(name), nonce).map(Some)
    }

    /// Opens what [`SourceSpec::seal`] made for the source of this name.
    pub fn open(keys: &SealKeys, name: &str, sealed: &[u8]) -> Result<Vec<InboundSecret>, OpenError> {
        let text = keys.open(sealed, &sealed_for(name))?;
        let text = std::str::from_utf8(&text).map_err(|_| OpenError::Shape)?;
        let secret = |line: &str| {
            let bytes = Zeroizing::new(hex::decode(line).map_err(|_| OpenError::Shape)?);
            InboundSecret::from_bytes(&bytes).map_err(|_| OpenError::Shape)
        };
        text.lines().map(secret).collect()
    }
}

/// What the secrets of a source are sealed with, so that no endpoint of the same name opens them.
fn sealed_for(name: &str) -> String {
    format!("source:{name}")
}

fn read_correlate(field: &Field, faults: &mut Faults) -> Option<String> {
    let expression = field.text_within(MAX_EXPRESSION_BYTES, faults)?;
    if expression.trim_ascii().is_empty() {
        field.fault("required", "must not be empty", faults);
        return None;
    }
    Some(expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"signature": {"scheme": "github", "secrets": ["0123456789abcdef", {"env": "OLD"}]},
        "correlate": "payload.job"}"#;

    #[test]
    fn a_source_is_read_back_without_its_secrets() {
        let spec = SourceSpec::parse(DOCUMENT).unwrap();
        let written = serde_json::to_string(&spec).unwrap();
        assert_eq!(written, r#"{"signature":{"scheme":"github","secrets":[{"env":"OLD"}]},"correlate":"payload.job"}"#);
        assert_eq!(serde_json::to_string(&SourceSpec::parse(&written).unwrap()).unwrap(), written);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (json, field) in [
            ("{}", "signature"),
            (r#"{"signature": {"scheme": "github"}}"#, "correlate"),
            (r#"{"signature": {"scheme": "github"}, "correlate": " "}"#, "correlate"),
            (r#"{"correlate": "payload", "signature": {}}"#, "signature.scheme"),
        ] {
            assert_eq!(SourceSpec::parse(json).unwrap_err()[0].field, field, "{json}");
        }
    }

    #[test]
    fn sealed_secrets_open_for_their_source_alone() {
        let keys = SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap();
        let spec = SourceSpec::parse(DOCUMENT).unwrap();
        let sealed = spec.seal(&keys, "gh", [3; 24]).unwrap().unwrap();
        let opened = SourceSpec::open(&keys, "gh", &sealed).unwrap();
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].expose_bytes(), b"0123456789abcdef");
        assert!(SourceSpec::open(&keys, "other", &sealed).is_err());
    }
}

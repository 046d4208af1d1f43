//! Inbound signatures: how the webhooks of third parties prove where they come from.
//!
//! A signature is verified over the bytes as they came, before anything reads them. What is wrong with one is for
//! metrics and logs; who sent it is told only that it is not valid.

mod check;
mod github;
mod hmac;
mod secret;
mod slack;
mod standard_webhooks;
mod stripe;

use http::HeaderMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub use check::{InvalidSignature, SignatureFault};
pub use hmac::{Encoding, HmacScheme};
pub use secret::{InboundSecret, InboundSecretError, SecretSource};
pub use slack::challenge as slack_challenge;

use crate::field::Field;
use crate::object::{Faults, Path, Shape, malformed};
use crate::problem::FieldError;
use crate::word::words;

/// The most secrets of one sender: enough to rotate.
pub const MAX_SECRETS: usize = 5;
/// Headers that hold what gives access to somebody's service.
const SECRET_HEADERS: &[&str] = &[
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-gitlab-token",
];
/// The default tolerance of the schemes that sign a time, in seconds.
const DEFAULT_TOLERANCE_S: u32 = 300;
/// The widest tolerance, in seconds.
const MAX_TOLERANCE_S: u64 = 3600;

/// Whether a header, named in lower case, holds what gives access: no expression sees it, and it is not kept.
pub fn gives_access(header: &str) -> bool {
    SECRET_HEADERS.contains(&header)
}

const SHAPE: Shape = Shape { known: &["scheme", "secrets", "tolerance_s", "header", "encoding", "prefix"], later: &[] };

words! {
    /// Whose way of signing it is.
    pub enum SchemeName {
        /// <https://www.standardwebhooks.com/>, Svix and all who follow it.
        StandardWebhooks = "standard_webhooks",
        /// Stripe.
        Stripe = "stripe",
        /// GitHub.
        Github = "github",
        /// Slack.
        Slack = "slack",
        /// HMAC-SHA256 of the body in a header of the sender's choice.
        Hmac = "hmac",
    }
}

/// How a sender signs, with what the scheme needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "scheme", rename_all = "snake_case")]
pub enum Scheme {
    /// See [`SchemeName::StandardWebhooks`].
    StandardWebhooks {
        /// How far the signed time may be from ours, in seconds: 1 to 3,600. Default 300.
        tolerance_s: u32,
    },
    /// See [`SchemeName::Stripe`].
    Stripe {
        /// As for Standard Webhooks.
        tolerance_s: u32,
    },
    /// See [`SchemeName::Github`]. Signs no time.
    Github,
    /// See [`SchemeName::Slack`].
    Slack {
        /// As for Standard Webhooks.
        tolerance_s: u32,
    },
    /// See [`SchemeName::Hmac`]. Signs no time.
    Hmac(HmacScheme),
}

/// The signature that whatever comes in must have, as operators write it: `{"scheme", "secrets", "tolerance_s"?}`, and
/// for `hmac` also `{"header", "encoding"?, "prefix"?}`.
///
/// `Serialize` gives the same shape back, complete, without secrets in the clear: what it gives is read again.
#[derive(Debug, Clone, Serialize)]
pub struct InboundSignature {
    /// How the sender signs.
    #[serde(flatten)]
    pub scheme: Scheme,
    /// What it signs with, at most [`MAX_SECRETS`]: any of them will do. Empty where the document gave none, which
    /// leaves those that are stored.
    #[serde(serialize_with = "references_only")]
    pub secrets: Vec<SecretSource>,
}

/// What came in. Cannot be printed: headers and bodies of strangers hold what belongs into no log.
#[derive(Clone, Copy)]
pub struct InboundRequest<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte as it came.
    pub body: &'a [u8],
    /// When it came, in seconds since 1970.
    pub now_unix: i64,
}

/// Whether a document may hold secrets in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literals {
    /// They will be stored sealed.
    Sealed,
    /// They would be stored in the clear.
    Refused,
}

impl InboundSignature {
    /// Reads the signature of an endpoint or a source, whose secrets are stored sealed. `Err` holds every fault (at
    /// most 100).
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let raw: &RawValue = serde_json::from_str(json).map_err(|e| malformed(&e))?;
        let mut faults = Faults::default();
        if raw.get() == "null" {
            faults.push(&Path::Root, "wrong_type", "must be an object");
        }
        let read = read(&Field { path: Path::Root, raw }, Literals::Sealed, &mut faults);
        faults.or(read)
    }

    /// Verifies that `request` is signed with one of `secrets`: those of this specification, resolved.
    ///
    /// No secret, no signature: an empty list never verifies. Headers are bounded, the body is hashed once for each
    /// secret, and each comparison takes the same time whatever differs.
    pub fn verify(&self, secrets: &[InboundSecret], request: &InboundRequest) -> Result<(), InvalidSignature> {
        let verified = if secrets.is_empty() {
            Err(SignatureFault::NoSecret)
        } else {
            match &self.scheme {
                Scheme::StandardWebhooks { tolerance_s } => standard_webhooks::verify(secrets, request, *tolerance_s),
                Scheme::Stripe { tolerance_s } => stripe::verify(secrets, request, *tolerance_s),
                Scheme::Github => github::verify(secrets, request),
                Scheme::Slack { tolerance_s } => slack::verify(secrets, request, *tolerance_s),
                Scheme::Hmac(scheme) => hmac::verify(secrets, request, scheme),
            }
        };
        verified.map_err(InvalidSignature::from)
    }

    /// As [`verify`](Self::verify), before the body has come: `Err` where the headers alone say that no body fits them.
    pub fn verify_head(
        &self,
        secrets: &[InboundSecret],
        headers: &HeaderMap,
        now_unix: i64,
    ) -> Result<(), InvalidSignature> {
        match self.verify(secrets, &InboundRequest { headers, body: &[], now_unix }) {
            Err(invalid) if invalid.fault() != SignatureFault::NoMatch => Err(invalid),
            _ => Ok(()),
        }
    }
}

impl Scheme {
    /// The scheme's word.
    pub const fn name(&self) -> SchemeName {
        match self {
            Self::StandardWebhooks { .. } => SchemeName::StandardWebhooks,
            Self::Stripe { .. } => SchemeName::Stripe,
            Self::Github => SchemeName::Github,
            Self::Slack { .. } => SchemeName::Slack,
            Self::Hmac(_) => SchemeName::Hmac,
        }
    }
}

fn references_only<S: Serializer>(secrets: &[SecretSource], serializer: S) -> Result<S::Ok, S::Error> {
    let references = secrets.iter().filter_map(|source| match source {
        SecretSource::Literal(_) => None,
        SecretSource::Reference(reference) => Some(reference),
    });
    serializer.collect_seq(references)
}

/// The fields beside the scheme while they are read.
#[derive(Default)]
struct Draft {
    secrets: Vec<SecretSource>,
    tolerance_s: Option<u32>,
    header_given: bool,
    header: Option<String>,
    encoding: Option<Encoding>,
    prefix: Option<String>,
}

/// Reads a signature.
pub(crate) fn read(field: &Field, literals: Literals, faults: &mut Faults) -> Option<InboundSignature> {
    // What a secret must look like depends on the scheme, which may come after it.
    let mut name = None;
    field.object(SHAPE, &mut Faults::default(), |part_name, part, _| {
        if part_name == "scheme" {
            name = part.word(&mut Faults::default());
        }
    });
    let before = faults.count();
    let mut scheme_given = false;
    let mut draft = Draft::default();
    let is_object = field.object(SHAPE, faults, |part_name, part, faults| match part_name {
        _ if part.is_null() => {}
        "scheme" => {
            scheme_given = true;
            part.word::<SchemeName>(faults);
        }
        _ => draft.set(part_name, &part, name, literals, faults),
    });
    if is_object && !scheme_given {
        faults.push(&Path::Field(&field.path, "scheme"), "required", "is required");
    }
    let scheme = draft.scheme(name?, field, faults);
    (faults.count() == before).then_some(InboundSignature { scheme: scheme?, secrets: draft.secrets })
}

impl Draft {
    fn set(
        &mut self,
        part_name: &str,
        part: &Field,
        scheme: Option<SchemeName>,
        literals: Literals,
        faults: &mut Faults,
    ) {
        let of_hmac = scheme.is_none_or(|name| name == SchemeName::Hmac);
        let of_time = scheme.is_none_or(|name| !matches!(name, SchemeName::Github | SchemeName::Hmac));
        match part_name {
            "secrets" => self.secrets = secret::read(part, scheme, literals, faults),
            "tolerance_s" if of_time => {
                self.tolerance_s = part.integer_in(1, MAX_TOLERANCE_S, faults).and_then(|s| s.try_into().ok());
            }
            "tolerance_s" => part.fault("conflict", "must be left out: this scheme signs no time", faults),
            _ if !of_hmac => part.fault("conflict", "must be left out: it belongs to the scheme hmac", faults),
            "header" => {
                self.header_given = true;
                self.header = hmac::read_header(part, faults);
                // What is for a wait may have to be kept until that is known, without these.
                if literals == Literals::Refused && self.header.as_deref().is_some_and(gives_access) {
                    part.fault("invalid_header", "must be another: this one is not kept with a webhook", faults);
                }
            }
            "encoding" => self.encoding = part.word(faults),
            _ => self.prefix = hmac::read_prefix(part, faults),
        }
    }

    /// The scheme with its defaults; `None` where `hmac` has no header.
    fn scheme(&mut self, name: SchemeName, field: &Field, faults: &mut Faults) -> Option<Scheme> {
        let tolerance_s = self.tolerance_s.unwrap_or(DEFAULT_TOLERANCE_S);
        Some(match name {
            SchemeName::StandardWebhooks => Scheme::StandardWebhooks { tolerance_s },
            SchemeName::Stripe => Scheme::Stripe { tolerance_s },
            SchemeName::Github => Scheme::Github,
            SchemeName::Slack => Scheme::Slack { tolerance_s },
            SchemeName::Hmac => {
                if !self.header_given {
                    faults.push(&Path::Field(&field.path, "header"), "required", "is required for hmac");
                }
                let header = self.header.take()?;
                let encoding = self.encoding.unwrap_or(Encoding::Hex);
                Scheme::Hmac(HmacScheme { header, encoding, prefix: self.prefix.take().unwrap_or_default() })
            }
        })
    }
}

#[cfg(test)]
mod tests;

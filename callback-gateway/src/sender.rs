//! Senders: named sources, ready to be verified and understood.

use std::fmt::Display;

use posthaste_engine::{filter::Expression, source::SourceRow};
use posthaste_protocol::{
    cel::CelSpec,
    endpoint::Reference,
    inbound::{InboundSecret, InboundSignature, SecretSource},
    problem::FieldError,
    seal::SealKeys,
    source::SourceSpec,
};
use posthaste_service::config::SecretRef;
use secrecy::ExposeSecret as _;

/// One source.
#[derive(Debug)]
pub struct Sender {
    /// How it signs.
    pub signature: InboundSignature,
    /// What it signs with.
    pub secrets: Vec<InboundSecret>,
    /// Finds the job.
    pub correlate: Expression,
    /// What its webhooks mean.
    pub cel: Option<CelSpec>,
}

impl Sender {
    /// Resolves a row. `Err` says, for people, why it cannot be used here.
    pub fn resolve(row: &SourceRow, keys: Option<&SealKeys>) -> Result<Self, String> {
        let said = |faults: Vec<FieldError>| faults.first().map(ToString::to_string).unwrap_or_default();
        let spec = SourceSpec::parse(&row.spec).map_err(said)?;
        let correlate = Expression::correlation(&spec.correlate).map_err(|fault| fault.to_string())?;
        let mut secrets = references(&spec.signature)?;
        if let Some(sealed) = &row.secret {
            let keys = keys.ok_or("POSTHASTE_SECRET_KEYS is not set here, and its secrets are sealed")?;
            secrets.extend(SourceSpec::open(keys, &row.name, sealed).map_err(|error| error.to_string())?);
        }
        Ok(Self { signature: spec.signature, secrets, correlate, cel: spec.cel })
    }
}

/// The secrets that a signature refers to, read from where they are.
pub fn references(signature: &InboundSignature) -> Result<Vec<InboundSecret>, String> {
    let references = signature.secrets.iter().filter_map(|source| match source {
        SecretSource::Literal(_) => None,
        SecretSource::Reference(reference) => Some(reference),
    });
    references
        .map(|reference| {
            let unread = |error: &dyn Display| format!("the gateway cannot read a secret: {error}");
            let secret = place(reference).resolve().map_err(|error| unread(&error))?;
            InboundSecret::parse(signature.scheme.name(), secret.expose_secret()).map_err(|error| unread(&error))
        })
        .collect()
}

fn place(reference: &Reference) -> SecretRef {
    match reference {
        Reference::Env { env } => SecretRef::Env(env.clone()),
        Reference::File { file } => SecretRef::File(file.into()),
    }
}

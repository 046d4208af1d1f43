//! Writing an endpoint: checked, its signing secret sealed.

use anyhow::Context as _;
use posthaste_engine::endpoint::{self, EndpointRow, SealedSecret};
use posthaste_protocol::{
    endpoint::EndpointSpec,
    name::{MAX_NAME_BYTES, is_endpoint_name},
    problem::FieldError,
    seal::{SealError, SealKeys},
    signature::{Secret, SecretError},
    signing::SigningSecrets,
};
use posthaste_service::{clock, config::ConfigError, entropy};
use sqlx::PgConnection;

use crate::failure::Malformed;

/// What a write did.
pub struct Written {
    /// Whether the endpoint is new.
    pub created: bool,
    /// The endpoint as it now is.
    pub row: EndpointRow,
    /// The secret that was made for a new endpoint.
    pub made: Option<Secret>,
}

/// Writes an endpoint. Without a secret in `spec` the old one is kept; a new endpoint gets one.
pub async fn write(
    connection: &mut PgConnection,
    name: &str,
    spec: &EndpointSpec,
    keys: Option<&SealKeys>,
) -> anyhow::Result<Written> {
    let keys = needed(keys)?;
    let fresh = make_secret()?;
    let sealed = seal(keys, name, spec.secret.as_ref().unwrap_or(&fresh))?;
    let secret = if spec.secret.is_some() { SealedSecret::Replace(&sealed) } else { SealedSecret::KeepOr(&sealed) };
    let text = serde_json::to_string(spec)?;
    let put = endpoint::put(connection, name, &text, &spec.kinds, secret).await?;
    let made = (put.created && spec.secret.is_none()).then_some(fresh);
    Ok(Written { created: put.created, row: put.row, made })
}

/// The API's rule, too: a name that jobs can name.
pub fn check_name(name: &str) -> Result<(), Malformed> {
    if is_endpoint_name(name) {
        return Ok(());
    }
    let message = format!("must be 1 to {MAX_NAME_BYTES} letters, digits and . _ : -, the first a letter or digit");
    Err(Malformed(vec![FieldError::new("name", "invalid_name", message)]))
}

/// The ring, or an error that says how to set it.
pub fn needed(keys: Option<&SealKeys>) -> Result<&SealKeys, ConfigError> {
    let missing =
        "is not set, and endpoint secrets are sealed under it; make one with `echo 1:$(openssl rand -hex 32)`";
    keys.ok_or_else(|| ConfigError::one("POSTHASTE_SECRET_KEYS", missing))
}

/// A new random secret.
pub fn make_secret() -> Result<Secret, SecretError> {
    let mut bytes = [0; 32];
    entropy::fill(&mut bytes);
    Secret::from_bytes(&bytes)
}

/// Seals one secret as the only one of an endpoint.
pub fn seal(keys: &SealKeys, name: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
    SigningSecrets::one(secret.clone()).seal(keys, name, nonce())
}

/// Seals a new secret in front of those that are sealed; the one that signed till now goes on for a day.
pub fn rotate(keys: &SealKeys, name: &str, sealed: &[u8], secret: &Secret) -> anyhow::Result<Vec<u8>> {
    let mut secrets = SigningSecrets::open(keys, name, sealed)
        .context("the present secrets cannot be opened; rotate with --drop-old")?;
    secrets.rotate(secret.clone(), clock::unix_now(), true);
    Ok(secrets.seal(keys, name, nonce())?)
}

fn nonce() -> [u8; 24] {
    let mut nonce = [0; 24];
    entropy::fill(&mut nonce);
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_signs_with_both_and_says_how_to_go_on_when_nothing_opens() {
        let keys = SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap();
        let (old, new) = (make_secret().unwrap(), make_secret().unwrap());
        let sealed = seal(&keys, "pdf", &old).unwrap();

        let rotated = rotate(&keys, "pdf", &sealed, &new).unwrap();

        let active = SigningSecrets::open(&keys, "pdf", &rotated).unwrap().active(clock::unix_now());
        let active: Vec<_> = active.iter().map(Secret::to_string_secret).collect();
        assert_eq!(active, [new.to_string_secret(), old.to_string_secret()]);
        let error = rotate(&keys, "other", &sealed, &new).unwrap_err();
        assert!(error.to_string().contains("--drop-old"), "{error}");
    }
}

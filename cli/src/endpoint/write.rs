//! Writing an endpoint: checked, its signing secret sealed.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use posthaste_engine::{
    EngineError,
    endpoint::{self, EndpointRow, SealedSecret},
};
use posthaste_protocol::{
    endpoint::EndpointSpec,
    name::{MAX_NAME_BYTES, is_endpoint_name},
    problem::FieldError,
    seal::SealKeys,
    signature::{Secret, SecretError},
};
use posthaste_service::{clock, config::ConfigError, entropy};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use zeroize::Zeroizing;

/// How long the secret before still signs after a rotation.
const OVERLAP_S: i64 = 86_400;
/// The most secrets that sign at once.
const MAX_SECRETS: usize = 5;

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
    spec: &str,
    keys: Option<&SealKeys>,
) -> anyhow::Result<Written> {
    check_name(name)?;
    let spec = EndpointSpec::parse(spec).map_err(EngineError::Faults)?;
    let keys = needed(keys)?;
    let fresh = make_secret()?;
    let sealed = seal(keys, name, spec.secret.as_ref().unwrap_or(&fresh))?;
    let secret = if spec.secret.is_some() { SealedSecret::Replace(&sealed) } else { SealedSecret::KeepOr(&sealed) };
    let text = serde_json::to_string(&spec)?;
    let put = endpoint::put(connection, name, &text, &spec.kinds, secret).await?;
    let made = (put.created && spec.secret.is_none()).then_some(fresh);
    Ok(Written { created: put.created, row: put.row, made })
}

/// The API's rule, too: a name that jobs can name.
fn check_name(name: &str) -> Result<(), EngineError> {
    if is_endpoint_name(name) {
        return Ok(());
    }
    let message = format!("must be 1 to {MAX_NAME_BYTES} letters, digits and . _ : -, the first a letter or digit");
    Err(EngineError::Faults(vec![FieldError::new("name", "invalid_name", message)]))
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

/// One entry of what is sealed, as the API and the dispatchers know it: newest first.
#[derive(Serialize, Deserialize)]
struct Entry {
    secret: Zeroizing<String>,
    /// Until when it signs too; `None` for the newest.
    until: Option<DateTime<Utc>>,
}

/// Seals one secret as the only one of an endpoint.
pub fn seal(keys: &SealKeys, name: &str, secret: &Secret) -> anyhow::Result<Vec<u8>> {
    seal_entries(keys, name, &[Entry { secret: secret.to_string_secret(), until: None }])
}

/// Seals a new secret in front of those that are sealed; the one that signed till now goes on for a day.
pub fn rotate(keys: &SealKeys, name: &str, sealed: &[u8], secret: &Secret) -> anyhow::Result<Vec<u8>> {
    let opened = keys.open(sealed, name).context("the present secrets cannot be opened; rotate with --drop-old")?;
    let present: Vec<Entry> = serde_json::from_slice(&opened)?;
    let now = clock::unix_now();
    let mut entries = vec![Entry { secret: secret.to_string_secret(), until: None }];
    entries.extend(present.into_iter().filter_map(|entry| {
        let until = entry.until.or_else(|| DateTime::from_timestamp(now + OVERLAP_S, 0));
        until.is_some_and(|until| until.timestamp() > now).then_some(Entry { until, ..entry })
    }));
    entries.truncate(MAX_SECRETS);
    seal_entries(keys, name, &entries)
}

fn seal_entries(keys: &SealKeys, name: &str, entries: &[Entry]) -> anyhow::Result<Vec<u8>> {
    let text = Zeroizing::new(serde_json::to_vec(entries)?);
    let mut nonce = [0; 24];
    entropy::fill(&mut nonce);
    Ok(keys.seal(&text, name, nonce)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_keeps_the_secret_before_and_drops_what_is_over() {
        let keys = SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap();
        let (old, new) = (make_secret().unwrap(), make_secret().unwrap());
        let over = Entry { secret: make_secret().unwrap().to_string_secret(), until: DateTime::from_timestamp(1, 0) };
        let first = Entry { secret: old.to_string_secret(), until: None };
        let sealed = seal_entries(&keys, "pdf", &[first, over]).unwrap();

        let rotated = rotate(&keys, "pdf", &sealed, &new).unwrap();

        let entries: Vec<Entry> = serde_json::from_slice(&keys.open(&rotated, "pdf").unwrap()).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!((&entries[0].secret, entries[0].until), (&new.to_string_secret(), None));
        assert_eq!(entries[1].secret, old.to_string_secret());
        assert!(rotate(&keys, "other", &sealed, &new).is_err());
    }
}

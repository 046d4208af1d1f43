//! The keys that seal endpoint secrets: from `POSTHASTE_SECRET_KEYS`, else those of `posthaste dev`.

use anyhow::Context as _;
use posthaste_protocol::seal::SealKeys;
use posthaste_service::{
    config::{ConfigError, SecretsConfig},
    entropy,
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::home::{Home, write_private};

const SECRET_KEYS: &str = "POSTHASTE_SECRET_KEYS";

/// The configured ring; `None` when there is none.
pub fn configured(config: &SecretsConfig) -> anyhow::Result<Option<SealKeys>> {
    let Some(text) = config.secret_keys()? else { return Ok(None) };
    let keys = SealKeys::parse(text.expose_secret())
        .map_err(|error| ConfigError::one(SECRET_KEYS, format!("is no key ring: {error}")))?;
    Ok(Some(keys))
}

/// The configured ring, else that of this `posthaste dev`.
pub fn configured_or_dev(config: &SecretsConfig, dev: Option<&Home>) -> anyhow::Result<Option<SealKeys>> {
    match dev {
        Some(home) if config.secret_keys.is_none() && home.secret_keys().exists() => configured(&of_file(home)),
        _ => configured(config),
    }
}

/// The configured ring, else that of this folder, made if there is none.
pub fn configured_or_made(config: &SecretsConfig, home: &Home) -> anyhow::Result<SealKeys> {
    if config.secret_keys.is_none() && !home.secret_keys().exists() {
        let mut key = [0; 32];
        entropy::fill(&mut key);
        write_private(&home.secret_keys(), format!("1:{}\n", hex::encode(key)).as_bytes())?;
    }
    configured_or_dev(config, Some(home))?.context("there are no secret keys")
}

fn of_file(home: &Home) -> SecretsConfig {
    let path = home.secret_keys().to_string_lossy().into_owned();
    SecretsConfig { secret_keys: Some(SecretString::from(path)) }
}

//! How functions call back: from `POSTHASTE_GATEWAY_URL` and `POSTHASTE_TOKEN_KEYS`, and the watch over the keys.

use std::{fmt, net::SocketAddr};

use anyhow::Context as _;
use posthaste_dispatcher::Callbacks;
use posthaste_protocol::{
    gateway_url::{CALLBACKS_PATH, GatewayUrl, SOURCES_PATH},
    key_ring::{KeyRing, KeyRingError},
    seal::SealKeys,
};
use posthaste_service::{
    config::{CallbackConfig, ConfigError, KeySource},
    entropy,
    key_watch::KeyWatch,
};
use secrecy::SecretString;

use crate::{
    home::{Home, write_private},
    roles::Roles,
};

const GATEWAY_URL: &str = "POSTHASTE_GATEWAY_URL";
/// What it means that callbacks are not configured.
pub const MISSING: &str = "POSTHASTE_GATEWAY_URL and POSTHASTE_TOKEN_KEYS are not set: functions get no callback token, no \
    callback is taken, and a job whose function answers 202 to call back later is dead (callbacks_unavailable)";

/// The URL that callbacks are built from, and the ring of the tokens.
pub struct Configured {
    gateway: GatewayUrl,
    keys: KeyWatch<KeyRing, KeyRingError>,
}

/// What is configured; `None` when callbacks are not.
pub fn configured(config: &CallbackConfig) -> anyhow::Result<Option<Configured>> {
    let (Some(url), Some(source)) = (config.gateway_url(), config.token_keys()?) else { return Ok(None) };
    let gateway = GatewayUrl::parse(url).map_err(|error| {
        let said = error.to_string();
        ConfigError::one(GATEWAY_URL, said.strip_prefix(GATEWAY_URL).unwrap_or(&said).trim_start())
    })?;
    Ok(Some(Configured { gateway, keys: KeyWatch::open(source, KeyRing::parse)? }))
}

/// What is configured, else the gateway at this address with the keys of this folder, made if there are none.
pub fn configured_or_made(config: &CallbackConfig, home: &Home, address: SocketAddr) -> anyhow::Result<Configured> {
    if let Some(configured) = configured(config)? {
        return Ok(configured);
    }
    let path = home.token_keys();
    if !path.exists() {
        let mut key = [0; 32];
        entropy::fill(&mut key);
        write_private(&path, format!("1:{}\n", hex::encode(key)).as_bytes())?;
    }
    configured(&of_file(Some(format!("http://{address}")), home))?.context("there are no keys of callback tokens")
}

/// The configured source of the token keys, else the keys of this folder; `None` when there are neither.
pub fn token_keys_or_dev(config: &CallbackConfig, home: &Home) -> Result<Option<KeySource>, ConfigError> {
    match config.token_keys()? {
        None if home.token_keys().exists() => of_file(None, home).token_keys(),
        configured => Ok(configured),
    }
}

/// Where the webhooks of a source go: at the gateway of this `dev`, or at that which is configured; else the path alone.
pub fn source_url(config: &CallbackConfig, dev: Option<&Home>, name: &str) -> String {
    let of_dev = dev.and_then(Home::running).map(|running| running.gateway_url);
    let url = of_dev.or_else(|| config.gateway_url().map(str::to_owned));
    let gateway = url.and_then(|url| GatewayUrl::parse(&url).ok());
    match gateway.as_ref().and_then(|gateway| gateway.callbacks().strip_suffix(CALLBACKS_PATH)) {
        Some(base) => format!("{base}{SOURCES_PATH}/{name}"),
        None => format!("{SOURCES_PATH}/{name} at the gateway"),
    }
}

fn of_file(gateway_url: Option<String>, home: &Home) -> CallbackConfig {
    let path = home.token_keys().to_string_lossy().into_owned();
    CallbackConfig { gateway_url, token_keys: Some(SecretString::from(path)) }
}

/// Where functions call back, and the states of the keys.
impl fmt::Display for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.keys.current();
        let states: Vec<String> = ring.load().states().map(|(kid, state)| format!("{kid} ({state})")).collect();
        write!(f, "{}, keys {}", self.gateway.callbacks(), states.join(", "))
    }
}

impl Configured {
    /// What a dispatcher needs of it. The ring stays the one that is watched.
    pub fn of_dispatcher(&self) -> Callbacks {
        Callbacks { gateway: self.gateway.clone(), keys: self.keys.current() }
    }

    /// What a gateway on this database needs of it.
    pub fn of_gateway(
        &self,
        database_url: &str,
        listen_url: &str,
        seal_keys: Option<SealKeys>,
    ) -> posthaste_callback_gateway::Settings {
        posthaste_callback_gateway::Settings {
            database_url: database_url.into(),
            listen_url: listen_url.into(),
            ring: self.keys.current(),
            seal_keys,
            url: self.gateway.clone(),
        }
    }

    /// Adds the watch over the keys to the roles of this process.
    pub fn watch(self, roles: &mut Roles) {
        let shutdown = roles.shutdown.clone();
        roles.start("watch over the token keys", async move {
            self.keys.run(shutdown).await;
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_told_by_their_ids_and_states() {
        let ring = format!("7:{},3:{},1:revoked", "ab".repeat(32), "cd".repeat(32));
        let config = CallbackConfig {
            gateway_url: Some("https://cb.example.com/".to_owned()),
            token_keys: Some(SecretString::from(ring)),
        };
        let said = configured(&config).unwrap().unwrap().to_string();
        assert_eq!(said, "https://cb.example.com/v1/callbacks, keys 7 (mint), 3 (accept), 1 (revoked)");
    }

    #[test]
    fn the_url_of_a_source_is_whole_where_the_gateway_is_known() {
        let of = |url: Option<&str>| {
            let config = CallbackConfig { gateway_url: url.map(str::to_owned), token_keys: None };
            source_url(&config, None, "github")
        };
        assert_eq!(of(Some("https://cb.example.com/a/")), "https://cb.example.com/a/v1/sources/github");
        assert_eq!(of(None), "/v1/sources/github at the gateway");
        assert_eq!(of(Some("nonsense")), "/v1/sources/github at the gateway");
    }
}

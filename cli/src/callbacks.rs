//! How functions call back: from `POSTHASTE_GATEWAY_URL` and `POSTHASTE_TOKEN_KEYS`, and the watch over the keys.

use posthaste_dispatcher::Callbacks;
use posthaste_protocol::{
    gateway_url::GatewayUrl,
    key_ring::{KeyRing, KeyRingError},
};
use posthaste_service::{
    config::{CallbackConfig, ConfigError},
    key_watch::KeyWatch,
};

use crate::roles::Roles;

const GATEWAY_URL: &str = "POSTHASTE_GATEWAY_URL";

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

impl Configured {
    /// What a dispatcher needs of it. The ring stays the one that is watched.
    pub fn of_dispatcher(&self) -> Callbacks {
        Callbacks { gateway: self.gateway.clone(), keys: self.keys.current() }
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

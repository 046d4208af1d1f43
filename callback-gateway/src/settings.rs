//! What the gateway needs to know before it starts.

use std::sync::Arc;

use arc_swap::ArcSwap;
use posthaste_protocol::{gateway_url::GatewayUrl, key_ring::KeyRing, seal::SealKeys};
use secrecy::SecretString;

/// The gateway's settings.
#[derive(Clone)]
pub struct Settings {
    /// The database; may lead through a pooler that keeps sessions.
    pub database_url: SecretString,
    /// The database without a pooler, for LISTEN.
    pub listen_url: SecretString,
    /// The keys of tokens, as they are now: loaded anew for every request.
    pub ring: Arc<ArcSwap<KeyRing>>,
    /// Opens the secrets of sources; without them, only sources whose secrets are references are known.
    pub seal_keys: Option<SealKeys>,
    /// The public base; requests may come with its path before theirs, or without.
    pub url: GatewayUrl,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("ring", &self.ring.load()).field("url", &self.url).finish_non_exhaustive()
    }
}

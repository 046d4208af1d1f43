//! What the API needs to know before it starts.

use std::{net::SocketAddr, sync::Arc};

use posthaste_protocol::seal::SealKeys;
use secrecy::SecretString;
use url::Url;

/// Says why a URL may not be dispatched to; the dispatcher's own filter, handed in by whoever composes the rooms.
pub type UrlCheck = Arc<dyn Fn(&Url) -> Result<(), String> + Send + Sync>;

/// The API's settings.
#[derive(Clone)]
pub struct ApiSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The database; may lead through a pooler.
    pub database_url: SecretString,
    /// The database without a pooler, for LISTEN and session locks.
    pub listen_url: SecretString,
    /// The bootstrap key, which may do everything; at least 32 printable characters.
    pub api_key: Option<SecretString>,
    /// Seals endpoint secrets; without them endpoints cannot be written.
    pub seal_keys: Option<SealKeys>,
    /// Refuses endpoint URLs.
    pub url_check: UrlCheck,
    /// Connections for everything but single enqueues and waiting, which have their own four.
    pub pool_size: u32,
}

impl ApiSettings {
    /// The usual pool.
    pub const POOL_SIZE: u32 = 8;
}

impl std::fmt::Debug for ApiSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiSettings")
            .field("listen", &self.listen)
            .field("has_api_key", &self.api_key.is_some())
            .field("seal_keys", &self.seal_keys)
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

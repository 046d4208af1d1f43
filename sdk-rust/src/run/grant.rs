//! Where and with what to call back.

use std::{fmt, time::Duration};

use serde::Deserialize;

/// Where and with what a run is called back. Whoever has the token can end the run: hand it only to who shall. Prints
/// without its secrets.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct CallbackGrant {
    url: String,
    token: String,
    hook_url: Option<String>,
    deadline_in_ms: Option<u64>,
    token_expires_in_ms: Option<u64>,
}

impl CallbackGrant {
    /// A grant as it was handed over: the base URL of the callbacks, and the token.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Self {
        let (url, token) = (url.into(), token.into());
        Self { url, token, hook_url: None, deadline_in_ms: None, token_expires_in_ms: None }
    }

    /// The base URL, to which `/{action}` is added.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token, sent as `authorization: Bearer …`. A secret.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The URL for a third party that can be told only a URL: good for this run's next wait. A secret. `None` for formats
    /// without an envelope.
    pub fn hook_url(&self) -> Option<&str> {
        self.hook_url.as_deref()
    }

    /// How long a run that is accepted waits for its callback, unless the answer says it.
    pub fn deadline_in(&self) -> Option<Duration> {
        self.deadline_in_ms.map(Duration::from_millis)
    }

    /// How long the token is accepted.
    pub fn token_expires_in(&self) -> Option<Duration> {
        self.token_expires_in_ms.map(Duration::from_millis)
    }
}

impl fmt::Debug for CallbackGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackGrant").field("url", &self.url).field("token", &"[REDACTED]").finish_non_exhaustive()
    }
}

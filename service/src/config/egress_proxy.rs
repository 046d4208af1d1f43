//! The HTTP proxy through which everything is dialled.

use std::fmt;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{ConfigError, environment};

const EGRESS_PROXY: &str = "POSTHASTE_EGRESS_PROXY";

/// A proxy that is asked to CONNECT. Its user and password are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct EgressProxy {
    url: Url,
}

impl EgressProxy {
    /// The proxy of `POSTHASTE_EGRESS_PROXY`; no flag, since it may hold a password.
    pub fn configured() -> Result<Option<Self>, ConfigError> {
        let parsed = environment::secret(EGRESS_PROXY).map(|text| Self::parse(text.expose_secret()));
        parsed.transpose().map_err(|message| ConfigError::one(EGRESS_PROXY, message))
    }

    /// Reads `http://host:port`, with `user:password@` if it wants to know who asks. The error never repeats the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let wrong = "is no proxy: write http://host:port, or http://user:password@host:port";
        let url = Url::parse(text).map_err(|_| wrong)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || url.host().is_none() || !bare {
            return Err(wrong);
        }
        Ok(Self { url })
    }

    /// Where it is, without credentials: `http://host:port`.
    pub fn address(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("http://{host}:{}", self.url.port_or_known_default().unwrap_or(80))
    }

    /// Who asks, if it wants to know.
    pub fn credentials(&self) -> Option<(String, SecretString)> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        if self.url.username().is_empty() {
            return None;
        }
        Some((decoded(self.url.username()), decoded(self.url.password().unwrap_or_default()).into()))
    }
}

impl fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EgressProxy({})", self.address())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_proxy_is_a_host_a_port_and_perhaps_who_asks() {
        let proxy = EgressProxy::parse("http://ada:p%40ss@proxy.corp:3128").unwrap();
        assert_eq!(proxy.address(), "http://proxy.corp:3128");
        let (user, password) = proxy.credentials().unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("ada", "p@ss"));
        assert!(!format!("{proxy:?}").contains("ada"));
        let plain = EgressProxy::parse("http://[::1]/").unwrap();
        assert_eq!((plain.address().as_str(), plain.credentials().is_none()), ("http://[::1]:80", true));
    }

    #[test]
    fn anything_else_is_refused_and_not_repeated() {
        for text in
            ["proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://s3cret@p/path", "http://p/?a", ""]
        {
            let error = EgressProxy::parse(text).unwrap_err();
            assert!(error.contains("http://host:port") && !error.contains("s3cret"));
        }
    }
}

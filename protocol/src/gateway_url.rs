//! Where callbacks come in: `POSTHASTE_GATEWAY_URL`, the public base of the gateway, and the paths below it.

use http::HeaderValue;
use url::Url;

/// The path of callbacks by token in a header (`/{action}` follows) or in the path (`/{token}/{action}` follows).
pub const CALLBACKS_PATH: &str = "/v1/callbacks";
/// The path of hooks; `/{token}` follows.
pub const HOOKS_PATH: &str = "/v1/hooks";
/// The path of named sources; `/{name}` follows.
pub const SOURCES_PATH: &str = "/v1/sources";

/// The longest base, in bytes.
const MAX_URL_BYTES: usize = 2048;

/// The gateway's public URLs, made once and sent with every dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayUrl {
    callbacks: String,
    hooks: String,
    header: HeaderValue,
}

/// A text that callbacks cannot be built from: names the setting and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "POSTHASTE_GATEWAY_URL is no base for callbacks: set it to the public http or https URL of the gateway, without \
     credentials, query or fragment, as https://callbacks.example.com"
)]
pub struct InvalidGatewayUrl;

impl GatewayUrl {
    /// Reads an http or https URL with a host, of at most 2,048 bytes; it may have a path, and a slash at its end does
    /// not matter. Credentials, query and fragment are refused.
    pub fn parse(text: &str) -> Result<Self, InvalidGatewayUrl> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidGatewayUrl)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        if !plain || !web || url.fragment().is_some() || url.as_str().len() > MAX_URL_BYTES {
            return Err(InvalidGatewayUrl);
        }
        let base = url.as_str().trim_end_matches('/');
        let callbacks = format!("{base}{CALLBACKS_PATH}");
        let header = HeaderValue::from_str(&callbacks).map_err(|_| InvalidGatewayUrl)?;
        Ok(Self { callbacks, hooks: format!("{base}{HOOKS_PATH}"), header })
    }

    /// What a function appends `/{action}` to.
    pub fn callbacks(&self) -> &str {
        &self.callbacks
    }

    /// What `/{token}` follows in a hook URL.
    pub fn hooks(&self) -> &str {
        &self.hooks
    }

    /// [`GatewayUrl::callbacks`] as a header's value; a clone of it copies nothing.
    pub(crate) const fn header(&self) -> &HeaderValue {
        &self.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_and_hooks_lie_below_the_base() {
        for base in ["https://cb.example.com", " https://CB.example.com/\n", "https://cb.example.com:443//"] {
            let url = GatewayUrl::parse(base).unwrap();
            assert_eq!(url.callbacks(), "https://cb.example.com/v1/callbacks", "{base}");
            assert_eq!(url.hooks(), "https://cb.example.com/v1/hooks", "{base}");
            assert_eq!(url.header(), url.callbacks());
        }
        let below = GatewayUrl::parse("http://127.0.0.1:8711/jobs/").unwrap();
        assert_eq!(below.callbacks(), "http://127.0.0.1:8711/jobs/v1/callbacks");
    }

    #[test]
    fn what_is_no_public_base_is_refused() {
        let long = format!("https://a.example/{}", "x".repeat(2048));
        for bad in [
            "",
            "cb.example.com",
            "/v1",
            "ftp://a.example",
            "https://",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://a.example?x",
            "https://a.example/#x",
            "file:///v1",
            &long,
        ] {
            assert_eq!(GatewayUrl::parse(bad), Err(InvalidGatewayUrl), "{bad}");
        }
    }
}

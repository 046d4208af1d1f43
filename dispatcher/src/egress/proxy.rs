//! The proxy that everything is dialled through.

use std::fmt;

use http::Uri;

/// An HTTP proxy that is asked to CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    uri: Uri,
}

impl Proxy {
    /// Where it is.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.uri.host().unwrap_or_default())
    }
}

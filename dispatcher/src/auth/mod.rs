//! Auth: how a request proves to a platform who sends it.
//!
//! Credentials are minted beside the hot path, kept and refreshed early ([`kept`]); a request takes what is there. What each
//! method needs is in a file of its own.

mod assertion;
mod aws;
mod exchange;
mod google;
mod kept;
mod mint;
mod oauth2;
mod sigv4;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header::AUTHORIZATION};
use posthaste_protocol::endpoint::{Auth, EndpointSpec};
use posthaste_service::clock;

pub use google::GoogleHosts;
pub use kept::{Credentials, Standing};
pub use mint::Minter;

use self::{
    kept::Kept,
    mint::{Credential, Source},
    sigv4::Scope,
};
use crate::secret;

/// How the requests of one endpoint are authenticated.
pub enum Authorizer {
    /// Not at all.
    None,
    /// By a header that never changes.
    Fixed(HeaderName, HeaderValue),
    /// By a token that is minted.
    Token(HeaderName, Arc<Kept>),
    /// By a signature of AWS.
    AwsSigv4(Scope, Arc<Kept>),
}

/// Why a request cannot be authenticated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// No valid credentials are there now. The endpoint is left out until there are.
    #[error("there are no valid credentials now")]
    NoCredentials,
    /// No signature can be made of this request.
    #[error("the request cannot be signed: {0}")]
    Unsignable(String),
}

impl Authorizer {
    /// What `spec` asks for. `Err` says for people why it cannot be had.
    pub fn of(spec: &EndpointSpec, credentials: &Credentials) -> Result<Self, String> {
        let name = spec.auth.header(spec.headers.contains_key("authorization"));
        let name = name.map_or(AUTHORIZATION, HeaderName::from_static);
        match &spec.auth {
            Auth::None => Ok(Self::None),
            Auth::Bearer { token } => {
                let value = bearer(&secret::resolve(token)?).ok_or("the token cannot be sent in a header")?;
                Ok(Self::Fixed(name, value))
            }
            Auth::AwsSigv4 { service, role_arn, external_id, .. } => {
                let region = spec.auth.region(&spec.url).ok_or("auth.region is required")?;
                let source = Source::Aws { role_arn: role_arn.clone(), external_id: external_id.clone() };
                let scope = Scope { region: region.to_owned(), service: service.as_str() };
                Ok(Self::AwsSigv4(scope, credentials.keep(source)))
            }
            Auth::GoogleIdToken { audience, key, impersonate, .. } => {
                let audience = audience.clone().unwrap_or_else(|| spec.url.origin().ascii_serialization());
                let source = Source::Google { audience, key: key.clone(), impersonate: impersonate.clone() };
                Ok(Self::Token(name, credentials.keep(source)))
            }
            Auth::Oauth2 { token_url, client_id, client_secret, scope, audience } => {
                let source = Source::Oauth2 {
                    token_url: token_url.clone(),
                    client_id: client_id.clone(),
                    client_secret: client_secret.clone(),
                    scope: scope.clone(),
                    audience: audience.clone(),
                };
                Ok(Self::Token(name, credentials.keep(source)))
            }
        }
    }

    /// How its credentials are now.
    pub fn standing(&self) -> Standing {
        match self {
            Self::None | Self::Fixed(..) => Standing::Valid,
            Self::Token(_, kept) | Self::AwsSigv4(_, kept) => kept.standing(),
        }
    }

    /// Adds what proves who sends this POST. Never waits.
    pub fn apply(&self, uri: &Uri, headers: &mut HeaderMap, body: &[u8]) -> Result<(), Unauthorized> {
        match self {
            Self::None => {}
            Self::Fixed(name, value) => {
                headers.insert(name, value.clone());
            }
            Self::Token(name, kept) => {
                let Some(Credential::Token(value)) = kept.credential().as_deref().cloned() else {
                    return Err(Unauthorized::NoCredentials);
                };
                headers.insert(name, value);
            }
            Self::AwsSigv4(scope, kept) => {
                let credential = kept.credential().ok_or(Unauthorized::NoCredentials)?;
                let Credential::Aws(identity) = &*credential else {
                    return Err(Unauthorized::NoCredentials);
                };
                scope
                    .sign(identity, clock::unix_now(), uri, headers, body)
                    .map_err(|error| Unauthorized::Unsignable(aws::causes(&error)))?;
            }
        }
        Ok(())
    }
}

/// `Bearer <token>`, not to be printed.
fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

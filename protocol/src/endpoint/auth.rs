//! How a dispatcher authenticates at an endpoint.

mod aws;
mod google;
mod oauth2;
mod part;

use serde::Serialize;
use url::Url;

pub use aws::AwsService;
pub use google::TokenHeader;

use self::part::Parts;
use super::reference::Reference;
use crate::field::Field;
use crate::object::{Faults, Shape};
use crate::word::words;

words! {
    /// The kinds of authentication.
    pub enum AuthType {
        /// None.
        None = "none",
        /// A token that does not change.
        Bearer = "bearer",
        /// AWS Signature Version 4.
        AwsSigv4 = "aws_sigv4",
        /// An ID token of Google.
        GoogleIdToken = "google_id_token",
        /// An access token for client credentials.
        Oauth2 = "oauth2",
    }
}

/// The authentication of each request, beside its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Auth {
    /// None.
    None,
    /// `authorization: Bearer <token>`.
    Bearer {
        /// Where the token is.
        token: Reference,
    },
    /// A signature of AWS, with the dispatcher's own credentials or those of a role.
    AwsSigv4 {
        /// The region signed for; `None` is the one that the URL's host names.
        region: Option<String>,
        /// The service signed for. Default `lambda`.
        service: AwsService,
        /// The role to assume; `None` signs with the dispatcher's own credentials.
        role_arn: Option<String>,
        /// What the role's trust policy asks for besides.
        external_id: Option<String>,
    },
    /// An ID token of Google, as Cloud Run and Cloud Functions ask for.
    GoogleIdToken {
        /// Whom the token is for; `None` is the URL's origin.
        audience: Option<String>,
        /// Where the JSON key of a service account is; `None` is the metadata server's account.
        key: Option<Reference>,
        /// The service account to speak for, instead of one's own.
        impersonate: Option<String>,
        /// Where the token goes; `None` is `authorization`, or the other one where the endpoint's own headers set that.
        header: Option<TokenHeader>,
    },
    /// An access token that a token server gives for client credentials (RFC 6749, section 4.4).
    Oauth2 {
        /// The token server.
        token_url: Url,
        /// Who asks.
        client_id: String,
        /// Where its secret is.
        client_secret: Reference,
        /// What to ask for, names separated by spaces.
        scope: Option<String>,
        /// Whom the token is for, where the server wants to know.
        audience: Option<String>,
    },
}

impl Auth {
    /// The header that it sets on each request, given whether the endpoint's own headers hold `authorization`.
    pub fn header(&self, authorization_taken: bool) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Bearer { .. } | Self::AwsSigv4 { .. } | Self::Oauth2 { .. } => Some("authorization"),
            Self::GoogleIdToken { header: Some(header), .. } => Some(header.as_str()),
            Self::GoogleIdToken { header: None, .. } if authorization_taken => {
                Some(TokenHeader::ServerlessAuthorization.as_str())
            }
            Self::GoogleIdToken { header: None, .. } => Some(TokenHeader::Authorization.as_str()),
        }
    }

    /// The region that a request to `url` is signed for: the one given, else the one that the host names.
    pub fn region<'a>(&'a self, url: &'a Url) -> Option<&'a str> {
        match self {
            Self::AwsSigv4 { region, .. } => region.as_deref().or_else(|| aws::region_of(url)),
            _ => None,
        }
    }
}

const SHAPE: Shape = Shape {
    known: &[
        "type",
        "token",
        "region",
        "service",
        "role_arn",
        "external_id",
        "audience",
        "key",
        "impersonate",
        "header",
        "token_url",
        "client_id",
        "client_secret",
        "scope",
    ],
    later: &[],
};

/// Reads `{"type": word, …}`; each type has its own fields.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Option<Auth> {
    let mut parts = Parts::of(field);
    let before = faults.count();
    if !field.object(SHAPE, faults, |name, part, _| parts.add(name, &part)) {
        return None;
    }
    let kind = match parts.take("type") {
        Some(part) => part.word(faults)?,
        None => AuthType::None,
    };
    let auth = match kind {
        AuthType::None => Some(Auth::None),
        AuthType::Bearer => parts.secret("token", faults).map(|token| Auth::Bearer { token }),
        AuthType::AwsSigv4 => aws::read(&mut parts, faults),
        AuthType::GoogleIdToken => Some(google::read(&mut parts, faults)),
        AuthType::Oauth2 => oauth2::read(&mut parts, faults),
    };
    parts.refuse_rest(kind.as_str(), faults);
    auth.filter(|_| faults.count() == before)
}

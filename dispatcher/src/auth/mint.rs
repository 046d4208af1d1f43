//! Mint: where credentials come from. Nothing here is on the hot path.

use std::{fmt, time::Duration};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::identity::Identity;
use http::HeaderValue;
use posthaste_protocol::endpoint::Reference;
use posthaste_service::config::EgressProxy;
use tokio::sync::OnceCell;
use url::Url;

use super::{aws, google, oauth2};
use crate::egress::{Client, EgressPolicy, SendError};

/// Whose credentials, and for what. Endpoints that say the same share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The dispatcher's own credentials of AWS, or those of a role.
    Aws {
        /// The role to assume.
        role_arn: Option<String>,
        /// What its trust policy asks for besides.
        external_id: Option<String>,
    },
    /// An ID token of Google.
    Google {
        /// Whom it is for.
        audience: String,
        /// A service account's key, instead of the metadata server.
        key: Option<Reference>,
        /// The service account to speak for.
        impersonate: Option<String>,
    },
    /// An access token for client credentials.
    Oauth2 {
        /// The token server.
        token_url: Url,
        /// Who asks.
        client_id: String,
        /// Its secret.
        client_secret: Reference,
        /// What is asked for.
        scope: Option<String>,
        /// Whom it is for.
        audience: Option<String>,
    },
}

impl Source {
    /// The `auth.type` that it is of.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Aws { .. } => "aws_sigv4",
            Self::Google { .. } => "google_id_token",
            Self::Oauth2 { .. } => "oauth2",
        }
    }
}

/// What proves who we are. Cannot be printed.
#[derive(Clone)]
pub enum Credential {
    /// `Bearer <token>`.
    Token(HeaderValue),
    /// A key pair of AWS, with its session.
    Aws(Identity),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// A credential that was just made.
#[derive(Debug)]
pub struct Minted {
    /// It.
    pub credential: Credential,
    /// How long it is good for; `None` for ever.
    pub life: Option<Duration>,
}

/// Why there is no credential, for people. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// A reference cannot be read.
    #[error("auth.{0}: {1}")]
    Reference(&'static str, String),
    /// A service account's key is none.
    #[error("auth.key: {0}")]
    Key(&'static str),
    /// No answer came.
    #[error("{0}: {1}")]
    Unreachable(&'static str, SendError),
    /// The answer was no.
    #[error("{0} answered {1}{2}")]
    Refused(&'static str, u16, String),
    /// The answer makes no sense.
    #[error("{0} answered without {1}")]
    Meaningless(&'static str, &'static str),
    /// What the credential chain of AWS says.
    #[error("AWS: {0}")]
    Aws(String),
}

/// Mints credentials of every source.
pub struct Minter {
    pub(super) client: Client,
    /// For the metadata server of Google, which is private and speaks plain HTTP: it dials nothing else.
    pub(super) metadata: Client,
    pub(super) policy: EgressPolicy,
    pub(super) google: google::GoogleHosts,
    proxy: Option<EgressProxy>,
    aws: OnceCell<SdkConfig>,
}

impl Minter {
    /// Token servers are asked by `client`, within `policy`.
    pub fn new(client: Client, policy: EgressPolicy, proxy: Option<EgressProxy>, google: google::GoogleHosts) -> Self {
        Self { client, metadata: google.metadata_client(), policy, google, proxy, aws: OnceCell::new() }
    }

    /// Makes a new credential.
    pub async fn mint(&self, source: &Source) -> Result<Minted, MintError> {
        match source {
            Source::Aws { role_arn, external_id } => {
                let config = self.aws.get_or_init(|| aws::load(self.proxy.as_ref())).await;
                aws::mint(config, role_arn.as_deref(), external_id.as_deref()).await
            }
            Source::Google { audience, key, impersonate } => {
                google::mint(self, audience, key.as_ref(), impersonate.as_deref()).await
            }
            Source::Oauth2 { token_url, client_id, client_secret, scope, audience } => {
                let ask =
                    oauth2::Ask { client_id, client_secret, scope: scope.as_deref(), audience: audience.as_deref() };
                oauth2::mint(self, token_url, &ask).await
            }
        }
    }
}

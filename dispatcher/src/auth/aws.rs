//! Credentials of AWS: the default chain (variables, profile, web identity, container, instance), and roles.
//!
//! AWS's own library asks for them. The servers are named by the environment of this process, never by an endpoint.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{http::SharedHttpClient, runtime_components::RuntimeComponents};
use http::HeaderValue;
use posthaste_protocol::excerpt;
use posthaste_service::{clock, config::EgressProxy};
use secrecy::ExposeSecret;

use super::mint::{Credential, MintError, Minted};

/// Where credentials are had from on the machine itself, past any proxy.
const LOCAL: &str = "169.254.169.254,169.254.170.2,169.254.170.23,[fd00:ec2::254],[fd00:ec2::23],localhost,127.0.0.0/8";
/// Where roles are assumed when nothing here says which region this is.
const DEFAULT_REGION: &str = "us-east-1";

/// What the environment and the profile say.
pub(super) async fn load(proxy: Option<&EgressProxy>) -> SdkConfig {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client(proxy)).load().await;
    match config.region() {
        Some(_) => config,
        None => config.into_builder().region(Region::from_static(DEFAULT_REGION)).build(),
    }
}

fn http_client(proxy: Option<&EgressProxy>) -> SharedHttpClient {
    let ring = Provider::Rustls(CryptoMode::Ring);
    let Some((config, proxy)) = proxy.and_then(|proxy| Some((ProxyConfig::all(proxy.address()).ok()?, proxy))) else {
        return Builder::new().tls_provider(ring).build_https();
    };
    let mut config = config.no_proxy(LOCAL);
    if let Some((user, password)) = proxy.credentials() {
        config = config.with_basic_auth(user, password.expose_secret());
    }
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(config.clone()).tls_provider(ring.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// The process's own credentials, or those of a role.
pub(super) async fn mint(
    config: &SdkConfig,
    role_arn: Option<&str>,
    external_id: Option<&str>,
) -> Result<Minted, MintError> {
    let credentials = match role_arn {
        None => {
            let own =
                config.credentials_provider().ok_or_else(|| MintError::Aws("there are no credentials".to_owned()))?;
            own.provide_credentials().await
        }
        Some(role) => {
            let mut assume = AssumeRoleProvider::builder(role).session_name("posthaste").configure(config);
            if let Some(id) = external_id {
                assume = assume.external_id(id);
            }
            assume.build().await.provide_credentials().await
        }
    };
    let credentials = credentials.map_err(|error| MintError::Aws(causes(&error)))?;
    // No request could be signed with it.
    if credentials.session_token().is_some_and(|token| HeaderValue::from_str(token).is_err()) {
        return Err(MintError::Aws("the session token has characters that no header can hold".to_owned()));
    }
    Ok(Minted { life: life(&credentials), credential: Credential::Aws(credentials.into()) })
}

fn life(credentials: &Credentials) -> Option<Duration> {
    let end = credentials.expiry()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = Duration::from_secs(u64::try_from(clock::unix_now()).unwrap_or(0));
    Some(end.saturating_sub(now))
}

/// An error and what caused it, each in its own words.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        if words.last() != Some(&said) {
            words.push(said);
        }
        next = error.source();
    }
    excerpt::clean(words.join(": ").as_bytes(), excerpt::ERROR_BYTES)
}

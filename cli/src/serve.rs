//! `posthaste serve`: the API, a dispatcher and the callback gateway in one process.

use std::sync::Arc;

use clap::Args;
use posthaste_api::{ApiSettings, ApiState};
use posthaste_dispatcher::{Settings, egress::EgressPolicy};
use posthaste_service::config::{self, ApiConfig, GatewayConfig};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::{dispatcher, egress, process, roles::Roles};

/// Settings of all three.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    process: process::Options,
    #[command(flatten)]
    gateway: GatewayConfig,
}

/// Runs all three until SIGTERM, then drains; without the settings of callbacks, no gateway.
pub fn run(options: Options) -> anyhow::Result<()> {
    config::check(&[&options.gateway])?;
    process::run(options.process, Some(options.gateway), begin)
}

/// Adds the API and the dispatcher to the roles of this process.
fn begin(roles: &mut Roles, listener: TcpListener, settings: Settings, api: &ApiConfig) -> anyhow::Result<()> {
    if settings.seal_keys.is_none() {
        tracing::warn!("POSTHASTE_SECRET_KEYS is not set: endpoints cannot be written, and nothing can be dispatched");
    }
    start_api(roles, listener, api, &settings)?;
    dispatcher::start(roles, settings);
    Ok(())
}

/// Adds the API beside this dispatcher, on a port that is held already: the same database, keys and filter.
pub fn start_api(roles: &mut Roles, listener: TcpListener, api: &ApiConfig, settings: &Settings) -> anyhow::Result<()> {
    let settings = ApiSettings {
        listen: listener.local_addr()?,
        database_url: SecretString::from(settings.database_url.as_str()),
        listen_url: SecretString::from(settings.listen_url.as_str()),
        api_key: api.key()?.cloned(),
        seal_keys: settings.seal_keys.clone(),
        url_check: url_check(settings.egress.clone()),
        pool_size: ApiSettings::POOL_SIZE,
    };
    let shutdown = roles.shutdown.clone();
    let state = ApiState::start(&settings, roles.registry.clone(), roles.health.clone(), shutdown.clone())?;
    roles.start("API", async move {
        posthaste_api::serve_on(listener, state, shutdown).await;
        Ok(())
    });
    Ok(())
}

/// The dispatcher's own filter, so that the API refuses what would never be dialled.
fn url_check(policy: EgressPolicy) -> posthaste_api::UrlCheck {
    Arc::new(move |url| egress::check(&policy, url))
}

//! `posthaste serve`: the API and a dispatcher in one process.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use posthaste_api::{ApiSettings, ApiState};
use posthaste_dispatcher::{Settings, egress::EgressPolicy};
use posthaste_service::{
    config::{self, ApiConfig, DatabaseConfig, DispatcherConfig, SecretsConfig, TelemetryConfig},
    health::Health,
    shutdown::Shutdown,
    telemetry::{self, TelemetryGuard, metrics::Registry},
};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::{command, connection, dispatcher, roles::Roles, secret_keys};

/// Settings of both.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    api: ApiConfig,
    #[command(flatten)]
    dispatcher: DispatcherConfig,
    #[command(flatten)]
    secrets: SecretsConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

/// Runs until SIGTERM, then drains.
pub fn run(options: Options) -> anyhow::Result<()> {
    config::check(&[&options.database, &options.api, &options.dispatcher, &options.secrets, &options.telemetry])?;
    let keys = secret_keys::configured(&options.secrets)?;
    let settings = dispatcher::settings(&options.database, &options.dispatcher, keys)?;
    let guard = telemetry::init(&options.telemetry)?;
    command::block_on(serve(options, settings, guard))
}

async fn serve(options: Options, settings: Settings, guard: TelemetryGuard) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(options.dispatcher.shutdown_grace()?)?;
    connection::check_schema(&settings.database_url).await?;
    let (registry, health) = (Registry::new(), Health::new());
    let mut roles = Roles::new(shutdown.clone());
    let api = api_settings(options.api.listen()?, &options.api, &settings)?;
    if api.seal_keys.is_none() {
        tracing::warn!("POSTHASTE_SECRET_KEYS is not set: endpoints cannot be written, and nothing can be dispatched");
    }
    let listener = TcpListener::bind(api.listen).await.with_context(|| format!("listening on {}", api.listen))?;
    dispatcher::start(&mut roles, settings, &registry, &health, &shutdown);
    start_api(&mut roles, listener, &api, registry, health.clone(), shutdown)?;
    let ended = roles.join(&health).await;
    guard.shutdown().await;
    ended
}

/// Adds the API, on a port that is held already, to the roles of this process.
pub fn start_api(
    roles: &mut Roles,
    listener: TcpListener,
    settings: &ApiSettings,
    registry: Registry,
    health: Health,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let state = ApiState::start(settings, registry, health, shutdown.clone())?;
    roles.start("API", async move {
        posthaste_api::serve_on(listener, state, shutdown).await;
        Ok(())
    });
    Ok(())
}

/// The settings of an API beside this dispatcher: the same database, keys and filter.
pub fn api_settings(listen: SocketAddr, api: &ApiConfig, settings: &Settings) -> anyhow::Result<ApiSettings> {
    Ok(ApiSettings {
        listen,
        database_url: SecretString::from(settings.database_url.as_str()),
        listen_url: SecretString::from(settings.listen_url.as_str()),
        api_key: api.key()?.cloned(),
        seal_keys: settings.seal_keys.clone(),
        url_check: url_check(settings.egress.clone()),
        pool_size: ApiSettings::POOL_SIZE,
    })
}

/// The dispatcher's own filter, so that the API refuses what would never be dialled.
fn url_check(policy: EgressPolicy) -> posthaste_api::UrlCheck {
    Arc::new(move |url| policy.check_url(url).map_err(|refusal| refusal.to_string()))
}

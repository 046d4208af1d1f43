//! `posthaste dispatcher`: claim, POST, record; health and metrics beside it.

use anyhow::Context as _;
use clap::Args;
use posthaste_dispatcher::{Settings, egress::EgressPolicy};
use posthaste_protocol::seal::SealKeys;
use posthaste_service::{
    config::{self, ApiConfig, DatabaseConfig, DispatcherConfig, EgressAllow, SecretsConfig, TelemetryConfig},
    health::{self, Health},
    http_server::{self, HttpLimits},
    shutdown::Shutdown,
    telemetry::{self, TelemetryGuard, metrics::Registry},
};
use tokio::net::TcpListener;

use crate::{command, connection, roles::Roles, secret_keys};

/// Settings of a dispatcher.
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
    let settings = settings(&options.database, &options.dispatcher, secret_keys::configured(&options.secrets)?)?;
    let guard = telemetry::init(&options.telemetry)?;
    command::block_on(serve(options, settings, guard))
}

async fn serve(options: Options, settings: Settings, guard: TelemetryGuard) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(options.dispatcher.shutdown_grace()?)?;
    connection::check_schema(&settings.database_url).await?;
    let address = options.api.listen()?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    tracing::info!(%address, "dispatcher starts; /livez /readyz /metrics are here");
    let (registry, health) = (Registry::new(), Health::new());
    let mut roles = Roles::new(shutdown.clone());
    start(&mut roles, settings, &registry, &health, &shutdown);
    let router = health::router(health.clone(), registry);
    roles.start("health server", async move {
        http_server::serve(listener, router, HttpLimits::default(), shutdown).await;
        Ok(())
    });
    let ended = roles.join(&health).await;
    guard.shutdown().await;
    ended
}

/// What the dispatcher needs of the configuration.
pub fn settings(
    database: &DatabaseConfig,
    dispatcher: &DispatcherConfig,
    seal_keys: Option<SealKeys>,
) -> anyhow::Result<Settings> {
    Ok(Settings {
        database_url: database.database_url()?.expose().to_owned(),
        listen_url: database.listen_url()?.expose().to_owned(),
        concurrency: dispatcher.concurrency()?,
        egress: policy(dispatcher.egress_allow()?),
        seal_keys,
    })
}

/// The outgoing filter with what the operator lets through.
pub fn policy(allow: EgressAllow) -> EgressPolicy {
    EgressPolicy::new(allow.nets, allow.names)
}

/// Adds the dispatcher to the roles of this process.
pub fn start(roles: &mut Roles, settings: Settings, registry: &Registry, health: &Health, shutdown: &Shutdown) {
    let (registry, health, shutdown) = (registry.clone(), health.clone(), shutdown.clone());
    roles.start("dispatcher", async move {
        posthaste_dispatcher::run(settings, &registry, &health, shutdown).await?;
        Ok(())
    });
}

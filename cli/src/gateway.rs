//! `posthaste gateway`: take callbacks; health and metrics beside it.

use std::{sync::Arc, time::Duration};

use clap::Args;
use posthaste_callback_gateway::{Gateway, Settings, serve_on};
use posthaste_service::{
    config::{
        self, ApiConfig, CallbackConfig, ConfigError, DatabaseConfig, GatewayConfig, SecretsConfig, TelemetryConfig,
    },
    health,
    http_server::{self, HttpLimits},
    shutdown::Shutdown,
    telemetry::{self, TelemetryGuard},
};
use tokio::net::TcpListener;

use crate::{
    bind,
    callbacks::{self, Configured},
    connection,
    roles::Roles,
    runtime, secret_keys,
};

/// What callbacks in flight may take after SIGTERM: a body, and a commit.
const GRACE: Duration = Duration::from_secs(30);

/// Settings of the gateway.
#[derive(Debug, Args)]
#[command(mut_arg("api_listen", |arg| arg.help("Address and port of health and metrics")))]
pub struct Options {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    api: ApiConfig,
    #[command(flatten)]
    callback: CallbackConfig,
    #[command(flatten)]
    gateway: GatewayConfig,
    #[command(flatten)]
    secrets: SecretsConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

/// Runs a gateway until SIGTERM, then drains.
pub fn run(options: Options) -> anyhow::Result<()> {
    let Options { database, api, callback, gateway, secrets, telemetry } = &options;
    config::check(&[&database.required(), api, callback, gateway, secrets, telemetry])?;
    let missing = "is not set; a gateway needs it and POSTHASTE_TOKEN_KEYS, both as the dispatchers have them";
    let callbacks =
        callbacks::configured(callback)?.ok_or_else(|| ConfigError::one("POSTHASTE_GATEWAY_URL", missing))?;
    let guard = telemetry::init(telemetry)?;
    runtime::block_on(until_ended(options, callbacks, guard))
}

async fn until_ended(options: Options, callbacks: Configured, guard: TelemetryGuard) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(GRACE)?;
    let settings = callbacks.of_gateway(
        options.database.database_url()?.expose(),
        options.database.listen_url()?.expose(),
        secret_keys::configured(&options.secrets)?,
    );
    connection::check_schema(options.database.database_url()?.expose()).await?;
    let health = bind::api(&options.api).await?;
    let listener = bind::gateway(&options.gateway).await?;
    let mut roles = Roles::new(shutdown);
    callbacks.watch(&mut roles);
    start(&mut roles, listener, &settings)?;
    let router = health::router(roles.health.clone(), roles.registry.clone());
    let serving = roles.shutdown.clone();
    roles.start("health server", async move {
        http_server::serve(health, router, HttpLimits::default(), serving).await;
        Ok(())
    });
    let ended = roles.join().await;
    guard.shutdown().await;
    ended
}

/// Adds the gateway to the roles of this process.
pub fn start(roles: &mut Roles, listener: TcpListener, settings: &Settings) -> anyhow::Result<()> {
    let shutdown = roles.shutdown.clone();
    let gateway: Arc<Gateway> = Gateway::start(settings, &roles.registry, &roles.health, &shutdown)?;
    roles.start("gateway", async move {
        serve_on(listener, gateway, shutdown).await;
        Ok(())
    });
    Ok(())
}

//! The process of a service: settings checked, database looked at, port taken, then its roles until SIGTERM.

use clap::Args;
use posthaste_dispatcher::Settings;
use posthaste_service::{
    config::{
        self, ApiConfig, CallbackConfig, DatabaseConfig, DispatcherConfig, GatewayConfig, SecretsConfig,
        TelemetryConfig,
    },
    shutdown::Shutdown,
    telemetry,
};
use tokio::net::TcpListener;

use crate::{
    bind,
    callbacks::{self, Configured},
    connection, dispatcher, gateway,
    roles::Roles,
    runtime, secret_keys,
};

/// Settings of a service.
#[derive(Debug, Args)]
#[command(mut_arg("api_listen", |arg| arg.help("Address and port of health and metrics, and of REST in `serve`")))]
pub struct Options {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    api: ApiConfig,
    #[command(flatten)]
    dispatcher: DispatcherConfig,
    #[command(flatten)]
    callback: CallbackConfig,
    #[command(flatten)]
    secrets: SecretsConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

/// Adds a service to the roles of its process; one of them answers on the port.
pub type Begin = fn(&mut Roles, TcpListener, Settings, &ApiConfig) -> anyhow::Result<()>;

/// Runs a service until SIGTERM, then drains; with the gateway beside it, if callbacks are configured and its settings are
/// given.
pub fn run(options: Options, gateway: Option<GatewayConfig>, begin: Begin) -> anyhow::Result<()> {
    config::check(&[
        &options.database.required(),
        &options.api,
        &options.dispatcher,
        &options.callback,
        &options.secrets,
        &options.telemetry,
    ])?;
    let keys = secret_keys::configured(&options.secrets)?;
    let callbacks = callbacks::configured(&options.callback)?;
    let of_dispatcher = callbacks.as_ref().map(Configured::of_dispatcher);
    let settings = dispatcher::settings(&options.database, &options.dispatcher, keys, of_dispatcher)?;
    let guard = telemetry::init(&options.telemetry)?;
    runtime::block_on(async {
        let ended = until_ended(options, settings, callbacks, gateway, begin).await;
        guard.shutdown().await;
        ended
    })
}

async fn until_ended(
    options: Options,
    settings: Settings,
    callbacks: Option<Configured>,
    gateway: Option<GatewayConfig>,
    begin: Begin,
) -> anyhow::Result<()> {
    if callbacks.is_none() {
        tracing::warn!("{}", callbacks::MISSING);
    }
    let shutdown = Shutdown::on_signals(options.dispatcher.shutdown_grace()?)?;
    connection::check_schema(&settings.database_url).await?;
    let listener = bind::api(&options.api).await?;
    let mut roles = Roles::new(shutdown);
    if let Some(callbacks) = callbacks {
        if let Some(config) = gateway {
            let listener = bind::gateway(&config).await?;
            let keys = settings.seal_keys.clone();
            let config = callbacks.of_gateway(&settings.database_url, &settings.listen_url, keys);
            gateway::start(&mut roles, listener, &config)?;
        }
        callbacks.watch(&mut roles);
    }
    begin(&mut roles, listener, settings, &options.api)?;
    roles.join().await
}

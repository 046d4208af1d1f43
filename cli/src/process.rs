//! The process of a service: settings checked, database looked at, port taken, then its roles until SIGTERM.

use anyhow::Context as _;
use clap::Args;
use posthaste_dispatcher::Settings;
use posthaste_service::{
    config::{self, ApiConfig, CallbackConfig, DatabaseConfig, DispatcherConfig, SecretsConfig, TelemetryConfig},
    shutdown::Shutdown,
    telemetry::{self, TelemetryGuard},
};
use tokio::net::TcpListener;

use crate::{
    callbacks::{self, Configured},
    command, connection, dispatcher,
    roles::Roles,
    secret_keys,
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

/// Runs a service until SIGTERM, then drains.
pub fn run(options: Options, begin: Begin) -> anyhow::Result<()> {
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
    command::block_on(until_ended(options, settings, callbacks, guard, begin))
}

async fn until_ended(
    options: Options,
    settings: Settings,
    callbacks: Option<Configured>,
    guard: TelemetryGuard,
    begin: Begin,
) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(options.dispatcher.shutdown_grace()?)?;
    connection::check_schema(&settings.database_url).await?;
    let address = options.api.listen()?;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another address with --api-listen or POSTHASTE_API_LISTEN")
    })?;
    let mut roles = Roles::new(shutdown);
    if let Some(callbacks) = callbacks {
        callbacks.watch(&mut roles);
    }
    begin(&mut roles, listener, settings, &options.api)?;
    let ended = roles.join().await;
    guard.shutdown().await;
    ended
}

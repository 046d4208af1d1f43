//! Dispatcher: the product's `run` with its default settings, as `posthaste dispatcher` starts it. Used only while that
//! binary is not built beside this one.

use std::time::Duration;

use clap::Args;
use posthaste_dispatcher::{GoogleHosts, Settings, egress::EgressPolicy};
use posthaste_protocol::seal::SealKeys;
use posthaste_service::{
    config::TelemetryConfig,
    health::{self, Health},
    http_server::{self, HttpLimits},
    shutdown::Shutdown,
    telemetry::{self, metrics::Registry},
    tls,
};
use tokio::net::TcpListener;

use crate::lab::database::SECRET_KEYS;

/// What the orchestrator says.
#[derive(Debug, Args)]
pub struct Options {
    /// The database.
    #[arg(long)]
    database_url: String,
    /// Where health and metrics are.
    #[arg(long)]
    api_listen: String,
    /// Dispatches open at once.
    #[arg(long, default_value_t = 512)]
    concurrency: usize,
}

/// Runs until SIGTERM.
pub async fn run(options: Options) -> anyhow::Result<()> {
    tls::install_crypto_provider();
    let guard = telemetry::init(&TelemetryConfig::default())?;
    let shutdown = Shutdown::on_signals(Duration::from_secs(30))?;
    let (registry, health) = (Registry::new(), Health::new());
    let listener = TcpListener::bind(&options.api_listen).await?;
    let router = health::router(health.clone(), registry.clone());
    tokio::spawn(http_server::serve(listener, router, HttpLimits::default(), shutdown.clone()));
    let settings = Settings {
        listen_url: options.database_url.clone(),
        database_url: options.database_url,
        concurrency: options.concurrency,
        egress: EgressPolicy::from_entries(["127.0.0.0/8"])?,
        proxy: None,
        google: GoogleHosts::default(),
        seal_keys: Some(SealKeys::parse(SECRET_KEYS)?),
        callbacks: None,
    };
    posthaste_dispatcher::run(settings, &registry, &health, shutdown).await?;
    guard.shutdown().await;
    Ok(())
}

//! `posthaste dispatcher`: claim, POST, record; health and metrics beside it.

use posthaste_dispatcher::{Callbacks, GoogleHosts, Settings};
use posthaste_protocol::seal::SealKeys;
use posthaste_service::{
    config::{ApiConfig, DatabaseConfig, DispatcherConfig, EgressProxy},
    health,
    http_server::{self, HttpLimits},
};
use tokio::net::TcpListener;

use crate::{egress, roles::Roles};

/// Adds the dispatcher and its health server to the roles of this process.
pub fn begin(roles: &mut Roles, listener: TcpListener, settings: Settings, _: &ApiConfig) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "dispatcher starts; /livez /readyz /metrics are here");
    start(roles, settings);
    let router = health::router(roles.health.clone(), roles.registry.clone());
    let shutdown = roles.shutdown.clone();
    roles.start("health server", async move {
        http_server::serve(listener, router, HttpLimits::default(), shutdown).await;
        Ok(())
    });
    Ok(())
}

/// What the dispatcher needs of the configuration.
pub fn settings(
    database: &DatabaseConfig,
    dispatcher: &DispatcherConfig,
    seal_keys: Option<SealKeys>,
    callbacks: Option<Callbacks>,
) -> anyhow::Result<Settings> {
    Ok(Settings {
        database_url: database.database_url()?.expose().to_owned(),
        listen_url: database.listen_url()?.expose().to_owned(),
        concurrency: dispatcher.concurrency()?,
        egress: egress::policy(dispatcher.egress_allow()?),
        proxy: EgressProxy::configured()?,
        google: google(dispatcher),
        seal_keys,
        callbacks,
    })
}

/// Where Google answers: its own variable may name another metadata server.
pub fn google(dispatcher: &DispatcherConfig) -> GoogleHosts {
    let hosts = GoogleHosts::default();
    GoogleHosts { metadata: dispatcher.gce_metadata_host.clone().unwrap_or(hosts.metadata), ..hosts }
}

/// Adds the dispatcher to the roles of this process.
pub fn start(roles: &mut Roles, settings: Settings) {
    let (registry, health, shutdown) = (roles.registry.clone(), roles.health.clone(), roles.shutdown.clone());
    roles.start("dispatcher", async move {
        posthaste_dispatcher::run(settings, &registry, &health, shutdown).await?;
        Ok(())
    });
}

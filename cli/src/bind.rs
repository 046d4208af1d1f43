//! The ports that a process answers on.

use std::net::SocketAddr;

use anyhow::Context as _;
use posthaste_service::config::{ApiConfig, GatewayConfig};
use tokio::net::TcpListener;

/// Takes the port of REST, health and metrics.
pub async fn api(config: &ApiConfig) -> anyhow::Result<TcpListener> {
    bind(config.listen()?, "--api-listen or POSTHASTE_API_LISTEN").await
}

/// Takes the port of callbacks.
pub async fn gateway(config: &GatewayConfig) -> anyhow::Result<TcpListener> {
    bind(config.listen()?, "--gateway-listen or POSTHASTE_GATEWAY_LISTEN").await
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let refused = || format!("cannot listen on {address}; choose another address with {setting}");
    TcpListener::bind(address).await.with_context(refused)
}

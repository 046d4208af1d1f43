//! The port that a process answers on.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Takes the port of REST, health and metrics.
pub async fn api(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another address with --api-listen or POSTHASTE_API_LISTEN")
    })
}

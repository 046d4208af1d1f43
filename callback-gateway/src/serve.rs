//! Serving: the only public listener of Posthaste.

use std::{sync::Arc, time::Duration};

use posthaste_service::{
    http_server::{self, HttpLimits},
    shutdown::Shutdown,
};
use tokio::net::TcpListener;

use crate::{gateway::Gateway, router::router};

/// The bounds of strangers' connections.
const LIMITS: HttpLimits = HttpLimits {
    header_read_timeout: Duration::from_secs(5),
    idle_timeout: Duration::from_secs(75),
    max_connections: 8192,
    // Proxies are few, and bring the connections of many.
    max_connections_per_peer: 2048,
    max_streams: 64,
    max_head_bytes: 16 * 1024,
};

/// Takes callbacks on a listener that is bound already, until the shutdown; returns when those in flight have been answered.
pub async fn serve_on(listener: TcpListener, gateway: Arc<Gateway>, shutdown: Shutdown) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the callback gateway listens");
    }
    http_server::serve(listener, router(Arc::clone(&gateway)), LIMITS, shutdown.clone()).await;
    gateway.tasks.close();
    tokio::select! {
        () = gateway.tasks.wait() => {}
        () = shutdown.hard().cancelled() => {}
    }
}

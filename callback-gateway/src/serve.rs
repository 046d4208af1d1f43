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
/// Before the shutdown it returns only when a task of the gateway broke: whoever runs it is to end then.
pub async fn serve_on(listener: TcpListener, gateway: Arc<Gateway>, shutdown: Shutdown) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the callback gateway listens");
    }
    tokio::select! {
        () = http_server::serve(listener, router(Arc::clone(&gateway)), LIMITS, shutdown.clone()) => {}
        () = gateway.background.broken() => return,
    }
    tokio::select! {
        () = gateway.background.ended() => {}
        () = shutdown.hard().cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use posthaste_protocol::{gateway_url::GatewayUrl, key_ring::KeyRing};
    use posthaste_service::{health::Health, telemetry::metrics::Registry};

    use super::*;
    use crate::settings::Settings;

    #[tokio::test]
    async fn a_gateway_ends_when_a_task_of_it_breaks() {
        // Nobody is there; nobody needs to be.
        let url = "postgres://127.0.0.1:1/none";
        let ring = KeyRing::parse(&format!("1:{}", "a".repeat(64))).unwrap();
        let settings = Settings {
            database_url: url.into(),
            listen_url: url.into(),
            ring: Arc::new(ArcSwap::from_pointee(ring)),
            seal_keys: None,
            url: GatewayUrl::parse("https://cb.test").unwrap(),
        };
        let shutdown = Shutdown::new();
        let gateway = Gateway::start(&settings, &Registry::new(), &Health::new(), &shutdown).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = tokio::spawn(serve_on(listener, Arc::clone(&gateway), shutdown.clone()));
        gateway.background.run("well", async {});

        gateway.background.run("ill", async { panic!("as a task that breaks") });

        tokio::time::timeout(Duration::from_secs(10), serving).await.expect("an end").unwrap();
        assert!(!shutdown.soft().is_cancelled(), "whoever runs it is to see that it ended by itself");
    }
}

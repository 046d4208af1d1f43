//! Serving: listen, say how it stands with keys, and go on until the shutdown.

use posthaste_service::{
    health::Health,
    http_server::{self, HttpLimits},
    shutdown::Shutdown,
    telemetry::metrics::Registry,
};
use tokio::net::TcpListener;

use crate::{
    router::router,
    settings::ApiSettings,
    state::{Api, ApiState, StartError},
};

/// Serves the API until the shutdown; returns when the requests in flight have been answered.
pub async fn serve(
    settings: ApiSettings,
    registry: Registry,
    health: Health,
    shutdown: Shutdown,
) -> Result<(), StartError> {
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
    let state = ApiState::start(&settings, registry, health, shutdown.clone())?;
    serve_on(listener, state, shutdown).await;
    Ok(())
}

/// The same on a listener that is bound already, as tests have it.
pub async fn serve_on(listener: TcpListener, state: Api, shutdown: Shutdown) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the API listens");
    }
    if !state.auth.has_bootstrap() {
        tracing::warn!("POSTHASTE_API_KEY is not set: while no API key exists, only loopback is served, without a key");
    }
    http_server::serve(listener, router(state), HttpLimits::default(), shutdown).await;
}

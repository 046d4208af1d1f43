//! Telemetry: JSON or text logs on stderr, spans over OTLP when configured, metrics for Prometheus.
//!
//! Metrics are Prometheus-only (`/metrics`), also when OTLP is on: collectors scrape. Log lines carry the fields of
//! their spans; a room that wants trace ids in them records [`span_traceparent`]'s into a span field.

mod logs;
pub mod metrics;
mod otlp;

pub use otlp::{set_parent, span_traceparent};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{ConfigError, TelemetryConfig};

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The span exporter could not be built.
    #[error("OTLP export cannot start: {0}; check OTEL_EXPORTER_OTLP_ENDPOINT or unset it")]
    Exporter(String),
    /// A subscriber is installed already.
    #[error("telemetry was set up twice in this process: {0}")]
    Twice(String),
}

/// Keeps span export alive; end it with [`TelemetryGuard::shutdown`] so that the last spans are sent.
#[derive(Debug)]
#[must_use = "spans are exported only while the guard lives"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

/// Installs logs and, when an OTLP endpoint is configured, span export for the whole process.
///
/// Errors when a setting is wrong, the exporter cannot be built, or it was done before.
pub fn init(config: &TelemetryConfig) -> Result<TelemetryGuard, TelemetryError> {
    let provider = otlp::provider(config)?;
    tracing_subscriber::registry()
        .with(logs::layer(config)?)
        .with(provider.as_ref().map(otlp::layer))
        .try_init()
        .map_err(|error| TelemetryError::Twice(error.to_string()))?;
    Ok(TelemetryGuard { provider })
}

impl TelemetryGuard {
    /// Sends what is buffered and ends the export; takes as long as the collector does, at most the export
    /// timeout (`OTEL_EXPORTER_OTLP_TIMEOUT`, 10 s).
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else {
            return;
        };
        // The exporter blocks, and its HTTP client must not be dropped on an async thread.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

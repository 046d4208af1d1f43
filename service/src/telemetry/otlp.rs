//! Spans over OTLP/HTTP, and the trace context of a span.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{EnvFilter, Layer, registry::LookupSpan};

use super::{TelemetryError, logs::SILENCED};
use crate::{config::TelemetryConfig, tls};

/// The exporting provider, or `None` when no endpoint is configured.
///
/// The SDK itself honours the standard variables for sampling (`OTEL_TRACES_SAMPLER`, parent-based and always on by
/// default), batching (`OTEL_BSP_*`), headers, timeout and resource. Its batch processor runs on a plain thread,
/// hence the blocking HTTP client.
pub(super) fn provider(config: &TelemetryConfig) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_traces_endpoint else {
        return Ok(None);
    };
    // The HTTP client is built without a provider of its own, for `https` collectors.
    tls::install_crypto_provider();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    let mut resource = Resource::builder();
    if !config.service_is_named {
        resource = resource.with_service_name("posthaste");
    }
    Ok(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build()))
}

/// The layer that turns spans into exported ones, whatever the log shows: ours all, others' from info.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("posthaste"))
        .with_location(false)
        .with_threads(false)
        .with_filter(EnvFilter::new(format!("{SILENCED},info,posthaste=debug")))
        .boxed()
}

/// The trace id, span id and flags of `span`, for a `traceparent`; `None` when spans are not exported or this one
/// is filtered out.
///
/// It fixes the span's parent: call [`set_parent`] before.
pub fn span_traceparent(span: &Span) -> Option<([u8; 16], [u8; 8], u8)> {
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context
        .is_valid()
        .then(|| (context.trace_id().to_bytes(), context.span_id().to_bytes(), context.trace_flags().to_u8()))
}

/// Makes a remote span (of a producer's `traceparent`) the parent of `span`, which must not have been entered.
///
/// `false`, and nothing done, when spans are not exported, an id is all zero, or `span` has begun.
pub fn set_parent(span: &Span, trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> bool {
    let parent = SpanContext::new(
        TraceId::from_bytes(trace_id),
        SpanId::from_bytes(span_id),
        TraceFlags::new(flags),
        true,
        TraceState::default(),
    );
    parent.is_valid() && span.set_parent(Context::new().with_remote_span_context(parent)).is_ok()
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Bytes, routing::post};
    use tokio::{net::TcpListener, sync::mpsc};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::TelemetryGuard;
    use super::*;

    /// A collector on a loopback port, and what it is sent.
    async fn collector() -> (String, mpsc::UnboundedReceiver<Bytes>) {
        let (sender, received) = mpsc::unbounded_channel();
        let route = post(async move |body: Bytes| {
            sender.send(body).unwrap();
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", route);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, received)
    }

    fn holds(body: &[u8], needle: &[u8]) -> bool {
        body.windows(needle.len()).any(|window| window == needle)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_span_reaches_the_collector_under_its_remote_parent() {
        let (endpoint, mut received) = collector().await;
        let config = TelemetryConfig { otlp_traces_endpoint: Some(endpoint), ..TelemetryConfig::default() };
        let provider = provider(&config).unwrap().unwrap();
        let subscriber = tracing_subscriber::registry().with(layer(&provider));
        let trace_id = [7; 16];

        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("dispatch attempt");
            assert!(set_parent(&span, trace_id, [8; 8], 1));
            let (trace, own, flags) = span_traceparent(&span).unwrap();
            assert_eq!((trace, flags), (trace_id, 1));
            assert_ne!(own, [8; 8]);
            span.in_scope(|| ());
        });
        let guard = TelemetryGuard { provider: Some(provider) };
        guard.shutdown().await;

        let body = received.recv().await.unwrap();
        assert!(holds(&body, b"dispatch attempt"));
        assert!(holds(&body, &trace_id));
        assert!(holds(&body, b"posthaste"));
    }

    #[test]
    fn without_export_a_span_has_no_trace_context() {
        let subscriber = tracing_subscriber::registry();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("unexported");
            assert!(!set_parent(&span, [1; 16], [2; 8], 1));
            assert_eq!(span_traceparent(&span), None);
        });
    }
}

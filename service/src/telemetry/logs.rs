//! Logs: one JSON object a line, or text for people, on stderr.

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry::LookupSpan};

use crate::config::{ConfigError, LogFormat, TelemetryConfig};

/// The exporter and its HTTP stack log through tracing too: unsilenced, each export would cause spans of its own.
pub(super) const SILENCED: &str = "opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry_otlp=warn,\
    opentelemetry_http=warn,hyper=warn,hyper_util=warn,reqwest=warn,h2=warn,rustls=warn,rustls_platform_verifier=warn";

/// The filter of the log: what the operator wants, on top of the silenced libraries (which can be named to be
/// heard again).
fn filter(directives: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(format!("{SILENCED},{directives}")).map_err(|error| {
        let message = format!("is not a log filter ({error}); write one like `info,posthaste=debug`");
        ConfigError::one("POSTHASTE_LOG", message)
    })
}

/// The log layer, with its own filter so that a quiet log does not thin out the exported spans.
pub(super) fn layer<S>(config: &TelemetryConfig) -> Result<Box<dyn Layer<S> + Send + Sync>, ConfigError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = filter(&config.log)?;
    let layer = fmt::layer().with_writer(io::stderr);
    Ok(match config.log_format() {
        LogFormat::Json => {
            layer.json().flatten_event(true).with_span_list(true).with_current_span(false).with_filter(filter).boxed()
        }
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).with_filter(filter).boxed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exporters_own_libraries_are_silenced_unless_named() {
        let quiet = filter("debug").unwrap().to_string();
        assert!(quiet.contains("hyper_util=warn") && quiet.contains("opentelemetry=warn"));
        let named = filter("info,h2=trace").unwrap().to_string();
        assert!(named.contains("h2=trace") && !named.contains("h2=warn"), "{named}");
    }

    #[test]
    fn a_malformed_filter_names_its_variable() {
        let error = filter("posthaste=loud").unwrap_err();
        assert!(error.to_string().contains("POSTHASTE_LOG"), "{error}");
    }
}

//! Logs and span export.

use std::io::{self, IsTerminal as _};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{ConfigError, Group, Problem, environment, problems_of};

const LOG: &str = "POSTHASTE_LOG";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One object a line, for machines.
    Json,
    /// For people.
    Text,
}

/// Telemetry settings: two of ours, the rest are OpenTelemetry's standard variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryConfig {
    /// Log filter, such as `info` or `info,posthaste_dispatcher=debug`
    #[arg(long, env = LOG, value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// Log format (default: text on a terminal, else json)
    #[arg(long, env = "POSTHASTE_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Where spans go over OTLP/HTTP, from `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (as it is) or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` (plus `/v1/traces`); `None`: nowhere. `OTEL_SDK_DISABLED=true` and
    /// `OTEL_TRACES_EXPORTER=none` also mean nowhere.
    #[arg(skip = traces_endpoint(environment::variable))]
    pub otlp_traces_endpoint: Option<String>,

    /// Whether a standard variable names the service, which is `posthaste` otherwise.
    #[arg(skip = service_is_named(environment::variable))]
    pub service_is_named: bool,
}

/// What an empty environment gives.
impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_format: None, otlp_traces_endpoint: None, service_is_named: false }
    }
}

impl TelemetryConfig {
    /// The chosen format, else text when stderr is a terminal and JSON when not.
    pub fn log_format(&self) -> LogFormat {
        match self.log_format {
            Some(format) => format,
            None if io::stderr().is_terminal() => LogFormat::Text,
            None => LogFormat::Json,
        }
    }

    fn endpoint(&self) -> Result<(), ConfigError> {
        let Some(endpoint) = &self.otlp_traces_endpoint else {
            return Ok(());
        };
        let is_http = Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if is_http {
            return Ok(());
        }
        let message =
            "is not an http(s) URL; write one like http://collector:4318 (OTLP over HTTP, not gRPC's port 4317)";
        Err(ConfigError::one(ENDPOINT, message))
    }

    fn filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(&self.log).map_err(|error| {
            let message = format!("is not a log filter ({error}); write one like `info,posthaste_dispatcher=debug`");
            ConfigError::one(LOG, message)
        })
    }
}

impl Group for TelemetryConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = problems_of(self.filter());
        problems.extend(problems_of(self.endpoint()));
        problems
    }
}

fn traces_endpoint(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let says = |name, word| variable(name).is_some_and(|value| value.eq_ignore_ascii_case(word));
    if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    variable(TRACES_ENDPOINT).or_else(|| {
        let base = variable(ENDPOINT)?;
        Some(format!("{}/v1/traces", base.trim_end_matches('/')))
    })
}

fn service_is_named(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|list| list.contains("service.name="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
        traces_endpoint(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn spans_go_where_the_standard_variables_say() {
        assert_eq!(endpoint(&[]), None);
        let base = (ENDPOINT, "http://collector:4318/");
        assert_eq!(endpoint(&[base]).unwrap(), "http://collector:4318/v1/traces");
        let exact = (TRACES_ENDPOINT, "http://other/spans");
        assert_eq!(endpoint(&[base, exact]).unwrap(), "http://other/spans");
        assert_eq!(endpoint(&[base, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(endpoint(&[base, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn a_bad_endpoint_and_a_bad_filter_are_both_reported() {
        let config = TelemetryConfig {
            log: "posthaste=loud".to_owned(),
            otlp_traces_endpoint: Some("collector:4317".to_owned()),
            ..TelemetryConfig::default()
        };
        assert_eq!(config.problems().len(), 2);
    }
}

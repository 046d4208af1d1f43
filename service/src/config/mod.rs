//! Settings: one clap group per concern, each flag with its `POSTHASTE_*` twin; secrets by variable or file only.
//!
//! Clap takes the text; [`check`] validates every group of a command at once and reports all problems together.

mod api;
mod callback;
mod database;
mod dispatcher;
mod egress_allow;
mod egress_proxy;
pub(crate) mod environment;
mod gateway;
mod key_source;
mod secret_ref;
mod secrets;
mod telemetry;

pub use api::ApiConfig;
pub use callback::CallbackConfig;
pub use database::{DatabaseConfig, DatabaseUrl};
pub use dispatcher::DispatcherConfig;
pub use egress_allow::EgressAllow;
pub use egress_proxy::EgressProxy;
pub use gateway::GatewayConfig;
pub use key_source::KeySource;
pub use secret_ref::{SecretRef, SecretRefError};
pub use secrets::SecretsConfig;
pub use telemetry::{LogFormat, TelemetryConfig};

use std::fmt;

/// One setting that cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The environment variable that sets it.
    pub setting: &'static str,
    /// What is wrong and how to mend it; never the value of a secret.
    pub message: String,
}

/// Every problem of a command's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// A single problem.
    pub fn one(setting: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { problems: vec![Problem { setting, message }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.problems.iter().map(|problem| format!("{} {}", problem.setting, problem.message)).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// A group of settings that can be validated.
pub trait Group {
    /// Every problem of this group, in the order of its settings.
    fn problems(&self) -> Vec<Problem>;
}

/// Validates all groups of a command; the error holds the problems of every one.
pub fn check(groups: &[&dyn Group]) -> Result<(), ConfigError> {
    let problems: Vec<Problem> = groups.iter().flat_map(|group| group.problems()).collect();
    if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
}

/// The problems of one accessor, for [`Group::problems`].
fn problems_of<T>(result: Result<T, ConfigError>) -> Vec<Problem> {
    result.err().map(|error| error.problems).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Every group in one command, as `serve` has them.
    #[derive(Debug, Parser)]
    struct Everything {
        #[command(flatten)]
        database: DatabaseConfig,
        #[command(flatten)]
        api: ApiConfig,
        #[command(flatten)]
        dispatcher: DispatcherConfig,
        #[command(flatten)]
        callback: CallbackConfig,
        #[command(flatten)]
        gateway: GatewayConfig,
        #[command(flatten)]
        secrets: SecretsConfig,
        #[command(flatten)]
        telemetry: TelemetryConfig,
    }

    #[test]
    fn all_problems_of_all_groups_are_reported_at_once() {
        let settings = Everything::parse_from([
            "posthaste",
            "--database-url=mysql://user:hunter2@db/jobs",
            "--api-listen=nowhere",
            "--concurrency=0",
            "--egress-allow=10.0.0.0/99,fine.internal,no good",
            "--gateway-url=https://cb.example.com",
            "--gateway-listen=8711",
        ]);

        let Everything { database, api, dispatcher, callback, gateway, secrets, telemetry } = &settings;
        let error = check(&[database, api, dispatcher, callback, gateway, secrets, telemetry]).unwrap_err();

        let named: Vec<_> = error.problems.iter().map(|problem| problem.setting).collect();
        let expected = [
            "POSTHASTE_DATABASE_URL",
            "POSTHASTE_API_LISTEN",
            "POSTHASTE_CONCURRENCY",
            "POSTHASTE_EGRESS_ALLOW",
            "POSTHASTE_EGRESS_ALLOW",
            "POSTHASTE_TOKEN_KEYS",
            "POSTHASTE_GATEWAY_LISTEN",
        ];
        assert_eq!(named, expected);
        assert!(!format!("{error} {error:?} {settings:?}").contains("hunter2"));
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let settings = Everything::parse_from(["posthaste"]);
        assert_eq!(settings.api.listen().unwrap().to_string(), "127.0.0.1:8710");
        assert_eq!(settings.dispatcher.concurrency, 512);
        assert_eq!(settings.dispatcher.shutdown_grace_ms, 30_000);
        assert_eq!(settings.dispatcher.egress_allow().unwrap(), EgressAllow::default());
        assert_eq!(settings.callback.gateway_url(), None);
        assert_eq!(settings.gateway.listen().unwrap().to_string(), "127.0.0.1:8711");
    }
}

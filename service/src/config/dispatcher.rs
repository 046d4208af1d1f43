//! How much a dispatcher does at once, where it may send, and how long it drains.

use std::{ops::RangeInclusive, time::Duration};

use clap::Args;

use super::{ConfigError, EgressAllow, EgressProxy, Group, Problem, environment, problems_of};

const CONCURRENCY: &str = "POSTHASTE_CONCURRENCY";
const EGRESS_ALLOW: &str = "POSTHASTE_EGRESS_ALLOW";
const SHUTDOWN_GRACE_MS: &str = "POSTHASTE_SHUTDOWN_GRACE_MS";

const CONCURRENCY_RANGE: RangeInclusive<u32> = 1..=10_000;
/// An hour: longer than any orchestrator waits.
const GRACE_RANGE: RangeInclusive<u64> = 0..=3_600_000;

/// The dispatcher's settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Dispatcher")]
pub struct DispatcherConfig {
    /// In-flight dispatches of this process, 1 to 10000
    #[arg(long, env = CONCURRENCY, value_name = "N", default_value_t = 512)]
    pub concurrency: u32,

    /// Addresses, ranges or names to let through although private, plain HTTP included (comma list)
    #[arg(long, env = EGRESS_ALLOW, value_name = "LIST", default_value = "", hide_default_value = true)]
    pub egress_allow: String,

    /// Google's own variable for its metadata server: host, and port if any.
    #[arg(skip = environment::variable("GCE_METADATA_HOST"))]
    pub gce_metadata_host: Option<String>,

    /// Milliseconds that work in flight may take after SIGTERM, 0 to 3600000
    #[arg(long, env = SHUTDOWN_GRACE_MS, value_name = "MS", default_value_t = 30_000)]
    pub shutdown_grace_ms: u64,
}

impl DispatcherConfig {
    /// In-flight dispatches, within its range.
    pub fn concurrency(&self) -> Result<usize, ConfigError> {
        let value = self.concurrency;
        match usize::try_from(value) {
            Ok(permits) if CONCURRENCY_RANGE.contains(&value) => Ok(permits),
            _ => Err(ConfigError::one(CONCURRENCY, format!("is {value}; choose 1 to 10000"))),
        }
    }

    /// The parsed allow-list; the error has one problem per bad item.
    pub fn egress_allow(&self) -> Result<EgressAllow, ConfigError> {
        EgressAllow::parse(&self.egress_allow).map_err(|messages| ConfigError {
            problems: messages.into_iter().map(|message| Problem { setting: EGRESS_ALLOW, message }).collect(),
        })
    }

    /// How long to drain.
    pub fn shutdown_grace(&self) -> Result<Duration, ConfigError> {
        let value = self.shutdown_grace_ms;
        if GRACE_RANGE.contains(&value) {
            return Ok(Duration::from_millis(value));
        }
        let message = format!("is {value}; choose 0 to 3600000 milliseconds");
        Err(ConfigError::one(SHUTDOWN_GRACE_MS, message))
    }
}

impl Group for DispatcherConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = problems_of(self.concurrency());
        problems.extend(problems_of(self.egress_allow()));
        problems.extend(problems_of(EgressProxy::configured()));
        problems.extend(problems_of(self.shutdown_grace()));
        problems
    }
}

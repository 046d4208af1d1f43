//! One thing that a suspended function waits for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use posthaste_protocol::id::JobId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{cel::Cel, milliseconds};

/// One thing that a suspended function waits for. Its name, of 1 to 200 letters, digits and `_ - . : /`, comes back in
/// [`Run::resume`](crate::Run::resume).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    name: String,
    #[serde(flatten)]
    event: WaitFor,
    #[serde(default, with = "milliseconds", skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<Duration>,
}

/// What a wait waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitFor {
    /// A `resume` callback, or a webhook to the hook URL.
    #[non_exhaustive]
    Callback {
        /// What decides whether, and how, it is meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cel: Option<Cel>,
        /// The signature that a webhook must have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Value>,
    },
    /// A time.
    #[non_exhaustive]
    Timer {
        /// That time; `None` where the wait's time-out says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The ends of other jobs.
    #[non_exhaustive]
    Jobs {
        /// 1 to 1000, each once.
        jobs: Vec<JobId>,
        /// How many of them; `None` is all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        need: Option<usize>,
    },
}

impl Wait {
    /// For a `resume` callback, or a webhook to the hook URL.
    pub fn callback(name: impl Into<String>) -> Self {
        Self { name: name.into(), event: WaitFor::Callback { cel: None, signature: None }, timeout_ms: None }
    }

    /// For this long, within the endpoint's `max_run_ms`.
    pub fn timer(name: impl Into<String>, after: Duration) -> Self {
        Self { name: name.into(), event: WaitFor::Timer { until: None }, timeout_ms: Some(after) }
    }

    /// Until this time, within the endpoint's `max_run_ms`.
    pub fn timer_until(name: impl Into<String>, until: impl Into<DateTime<Utc>>) -> Self {
        Self { name: name.into(), event: WaitFor::Timer { until: Some(until.into()) }, timeout_ms: None }
    }

    /// Until all of these jobs have ended: 1 to 1000, each once.
    pub fn jobs(name: impl Into<String>, jobs: impl IntoIterator<Item = JobId>) -> Self {
        let event = WaitFor::Jobs { jobs: jobs.into_iter().collect(), need: None };
        Self { name: name.into(), event, timeout_ms: None }
    }

    /// Until `need` of these jobs have ended: 1 to all.
    pub fn some_jobs(name: impl Into<String>, need: usize, jobs: impl IntoIterator<Item = JobId>) -> Self {
        let event = WaitFor::Jobs { jobs: jobs.into_iter().collect(), need: Some(need) };
        Self { name: name.into(), event, timeout_ms: None }
    }

    /// After how long the wait is over without what it waits for: 1 ms to 30 days, else the endpoint's
    /// `callback_timeout_ms`. The function is then POSTed with [`Resume::timed_out`](crate::Resume::timed_out). Of a
    /// timer, this is the timer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(timeout);
        self
    }

    /// Expressions that decide what a webhook or a `resume` means for a callback wait. Of other waits nothing.
    #[must_use]
    pub fn cel(mut self, cel: Cel) -> Self {
        if let WaitFor::Callback { cel: slot, .. } = &mut self.event {
            *slot = Some(cel);
        }
        self
    }

    /// The signature that a webhook to a callback wait must have, as a source has it: `{"scheme": "github", "secrets":
    /// [{"env": "WEBHOOK_SECRET_GITHUB"}]}`. The secrets are references that the gateway reads. Of other waits nothing.
    #[must_use]
    pub fn signature(mut self, signature: Value) -> Self {
        if let WaitFor::Callback { signature: slot, .. } = &mut self.event {
            *slot = Some(signature);
        }
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time-out that it names.
    #[cfg(feature = "testing")]
    pub(crate) fn given_timeout(&self) -> Option<Duration> {
        self.timeout_ms
    }

    /// What it waits for.
    pub fn event(&self) -> &WaitFor {
        &self.event
    }
}

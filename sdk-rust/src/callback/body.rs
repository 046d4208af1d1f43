//! What callbacks say.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::milliseconds;

#[derive(Serialize)]
pub(super) struct Complete<'a, T: Serialize + ?Sized> {
    pub result: &'a T,
}

#[derive(Serialize)]
pub(super) struct Later {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct Cancel<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Heartbeat {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extend_ms: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct Checkpoint<'a, T: Serialize + ?Sized> {
    pub seq: u32,
    pub steps: &'a T,
}

#[derive(Serialize)]
pub(super) struct Resume<'a, T: Serialize + ?Sized> {
    pub payload: &'a T,
}

/// Why an attempt failed, and whether to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    error: String,
    retryable: bool,
    #[serde(with = "milliseconds", skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<Duration>,
}

impl Failed {
    /// For this reason, and trying again helps.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), retryable: true, retry_after_ms: None }
    }

    /// Trying again does not help: the job is dead.
    #[must_use]
    pub fn for_good(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// Not to be tried again before this long from now, at most 24 h.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after_ms = Some(after);
        self
    }
}

/// How far the work is. What is not set stays as it was reported before.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) metadata: Map<String, Value>,
}

impl Progress {
    /// So many percent: 0 to 100.
    pub fn percent(percent: impl Into<f64>) -> Self {
        Self { percent: Some(percent.into()), ..Self::default() }
    }

    /// In words, at most 4 KiB.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// One member of the metadata, which replaces that of the same name: at most 64 KiB in all.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }
}

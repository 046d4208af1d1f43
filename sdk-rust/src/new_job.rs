//! Jobs as producers write them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{cel::Cel, milliseconds};

/// A job to enqueue. What is not set has the server's default; the server checks every bound, and names what it refuses.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(any(feature = "client", feature = "sqlx", feature = "tokio-postgres")),
    expect(dead_code, reason = "only what enqueues reads it")
)]
pub struct NewJob {
    pub(crate) kind: String,
    /// The error is told when the job is enqueued, so that building one needs no `?`.
    pub(crate) args: Result<Box<RawValue>, Arc<serde_json::Error>>,
    pub(crate) options: Options,
    pub(crate) traceparent: Option<String>,
}

/// Everything that is optional, as it is on the wire.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
}

/// What a job says of its own callbacks.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Callback {
    #[serde(skip_serializing_if = "Option::is_none")]
    cel: Option<Cel>,
    #[serde(with = "milliseconds", skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<Duration>,
}

/// A job as REST and `enqueue_many` read it.
#[cfg(any(feature = "client", feature = "sqlx", feature = "tokio-postgres"))]
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    kind: &'a str,
    args: &'a RawValue,
    #[serde(flatten)]
    options: &'a Options,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

impl NewJob {
    /// A job of this kind with these args: any value of serde, at most 1 MiB of JSON. For a type of
    /// [`Job`](crate::Job) there is [`Job::job`](crate::Job::job).
    pub fn new(kind: impl Into<String>, args: &(impl Serialize + ?Sized)) -> Self {
        let args = serde_json::value::to_raw_value(args).map_err(Arc::new);
        Self { kind: kind.into(), args, options: Options::default(), traceparent: None }
    }

    /// The queue: 1 to 200 letters, digits and `_ - . : /`. Default `default`.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.options.queue = Some(queue.into());
        self
    }

    /// The endpoint, where that which takes the kind is not wanted.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.options.endpoint = Some(endpoint.into());
        self
    }

    /// 1 (first) to 4. Default 2.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Not before this time; not together with [`delay`](Self::delay).
    #[must_use]
    pub fn run_at(mut self, at: impl Into<DateTime<Utc>>) -> Self {
        self.options.run_at = Some(at.into());
        self
    }

    /// Not before this long from now, to the millisecond: at most 10 years.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay_ms = Some(milliseconds::of(delay));
        self
    }

    /// How many attempts may fail before the job is dead: 1 to 1000. Default 25.
    #[must_use]
    pub fn max_attempts(mut self, attempts: i32) -> Self {
        self.options.max_attempts = Some(attempts);
        self
    }

    /// How long the function has: 1 ms to an hour. Default the endpoint's.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        // What does not fit is out of the server's range too, which then says so.
        self.options.timeout_ms = Some(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
        self
    }

    /// When the job is no longer worth starting; it is then dead, `expired`.
    #[must_use]
    pub fn expires_at(mut self, at: impl Into<DateTime<Utc>>) -> Self {
        self.options.expires_at = Some(at.into());
        self
    }

    /// One more label to find the job by: at most 20, each of 1 to 200 characters.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.options.tags.push(tag.into());
        self
    }

    /// The producer's own notes: a JSON object of at most 64 KiB.
    #[must_use]
    pub fn metadata(mut self, metadata: serde_json::Map<String, serde_json::Value>) -> Self {
        self.options.metadata = Some(metadata.into());
        self
    }

    /// One more header of the request that the function gets: at most 8 KiB in all.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.headers.insert(name.into(), value.into());
        self
    }

    /// Expressions that decide what a webhook to this job means, where no wait says it.
    #[must_use]
    pub fn callback_cel(mut self, cel: Cel) -> Self {
        self.options.callback.get_or_insert_default().cel = Some(cel);
        self
    }

    /// How long this job's 202s wait for a callback, where they do not say it: 1 ms to 30 days.
    #[must_use]
    pub fn callback_timeout(mut self, timeout: Duration) -> Self {
        self.options.callback.get_or_insert_default().timeout_ms = Some(timeout);
        self
    }

    /// The W3C trace context, version 00, that the job's attempts belong to.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The job as one document.
    #[cfg(any(feature = "client", feature = "sqlx", feature = "tokio-postgres"))]
    pub(crate) fn document(&self, with_traceparent: bool) -> Result<Document<'_>, Arc<serde_json::Error>> {
        let traceparent = self.traceparent.as_deref().filter(|_| with_traceparent);
        let args = self.args.as_ref().map_err(Arc::clone)?;
        Ok(Document { kind: &self.kind, args, options: &self.options, traceparent })
    }
}

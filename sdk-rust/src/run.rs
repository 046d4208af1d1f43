//! A run as its handler sees it.

mod grant;
#[cfg(feature = "client")]
mod report;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use http::{HeaderMap, request};
use posthaste_protocol::id::JobId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use grant::CallbackGrant;

/// How long a function has that was not told: the default of endpoints.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// One run of a job: what a handler is told beside the args. Clones are of the same run.
#[derive(Clone)]
pub struct Run(Arc<Inner>);

struct Inner {
    facts: RunFacts,
    headers: HeaderMap,
    received: Instant,
    stopped_at: Option<StoppedAt>,
    #[cfg(feature = "client")]
    reports: report::Reports,
}

/// When the platform stops the function, whatever it does: an extension of the request, where the platform tells.
#[derive(Clone, Copy)]
pub(crate) struct StoppedAt(pub Instant);

/// What a dispatch says.
#[derive(Debug)]
pub(crate) struct RunFacts {
    pub job: JobFacts,
    pub callback: Option<CallbackGrant>,
    pub progress: Option<Value>,
    pub steps: Map<String, Value>,
    pub resume: Option<Resume>,
}

/// What a dispatch says of its job.
#[derive(Debug)]
pub(crate) struct JobFacts {
    pub id: JobId,
    pub kind: String,
    pub queue: String,
    pub attempt: i32,
    pub max_attempts: i32,
    pub run_lease: i64,
    pub enqueued_at: Option<DateTime<Utc>>,
    pub tags: Vec<String>,
    pub metadata: Map<String, Value>,
}

/// What woke a suspended function.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Resume {
    /// The wait that woke it: the last that was met, or that ran out of time.
    pub name: String,
    /// What came. Of several waits an object, by name of those that were met.
    #[serde(default)]
    pub payload: Value,
    /// Whether what it waits for can no longer come, because its time is over.
    #[serde(default)]
    pub timed_out: bool,
}

impl Resume {
    /// What came, read as `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.payload)
    }
}

impl Run {
    pub(crate) fn new(facts: RunFacts, head: request::Parts, received: Instant) -> Self {
        #[cfg(feature = "client")]
        let reports = report::Reports::of(&head.extensions);
        Self(Arc::new(Inner {
            facts,
            stopped_at: head.extensions.get().copied(),
            headers: head.headers,
            received,
            #[cfg(feature = "client")]
            reports,
        }))
    }

    fn job(&self) -> &JobFacts {
        &self.0.facts.job
    }

    /// The job.
    pub fn id(&self) -> JobId {
        self.job().id
    }

    /// The job's kind.
    pub fn kind(&self) -> &str {
        &self.job().kind
    }

    /// The job's queue.
    pub fn queue(&self) -> &str {
        &self.job().queue
    }

    /// This attempt, from 1. Throttles and snoozes do not count.
    pub fn attempt(&self) -> i32 {
        self.job().attempt
    }

    /// How many attempts may fail.
    pub fn max_attempts(&self) -> i32 {
        self.job().max_attempts
    }

    /// The run's fencing number, which only grows for a job: what a higher one wrote is not to be overwritten.
    pub fn run_lease(&self) -> i64 {
        self.job().run_lease
    }

    /// When the job was enqueued; `None` for an endpoint of the format `raw`.
    pub fn enqueued_at(&self) -> Option<DateTime<Utc>> {
        self.job().enqueued_at
    }

    /// The job's labels; none for formats without an envelope.
    pub fn tags(&self) -> &[String] {
        &self.job().tags
    }

    /// The producer's own notes; empty for formats without an envelope.
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.job().metadata
    }

    /// The same for every attempt of the job, and a new one after each resume: written with the effect, in one
    /// transaction, it makes the effect happen once.
    pub fn idempotency_key(&self) -> &str {
        // `webhook-id` is the same key, and signed.
        self.header("webhook-id").or_else(|| self.header("idempotency-key")).unwrap_or_default()
    }

    /// When the dispatcher hangs up, or the platform stops the function, whichever comes first; what is answered later
    /// counts as unknown.
    pub fn deadline(&self) -> Instant {
        let ms = self.header("posthaste-timeout-ms").and_then(|ms| ms.parse().ok());
        let hangs_up = self.0.received + ms.map_or(DEFAULT_TIMEOUT, |ms: u32| Duration::from_millis(ms.into()));
        self.0.stopped_at.map_or(hangs_up, |StoppedAt(at)| hangs_up.min(at))
    }

    #[cfg(test)]
    pub(crate) fn received(&self) -> Instant {
        self.0.received
    }

    /// How long there is until the [deadline](Self::deadline).
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    /// The headers of the request, those of the job among them.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// The step that an earlier run kept under this name, read as `T`; `None` where none did.
    pub fn step<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, serde_json::Error> {
        self.0.facts.steps.get(name).map(T::deserialize).transpose()
    }

    /// Every step that earlier runs kept, by name.
    pub fn steps(&self) -> &Map<String, Value> {
        &self.0.facts.steps
    }

    /// What woke the function, where it had suspended itself.
    pub fn resume(&self) -> Option<&Resume> {
        self.0.facts.resume.as_ref()
    }

    /// What earlier runs reported last: `{percent, message, metadata, at}`.
    pub fn last_progress(&self) -> Option<&Value> {
        self.0.facts.progress.as_ref()
    }

    /// Where and with what to call back, to be handed to whoever does; `None` where the server has no gateway.
    pub fn callback(&self) -> Option<&CallbackGrant> {
        self.0.facts.callback.as_ref()
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Run").field(&self.0.facts).finish()
    }
}

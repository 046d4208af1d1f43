//! An endpoint as this dispatcher knows it, whether or not it can use it now: what it says of its runs, and how it is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{endpoint::EndpointRow, lifecycle::wait::WaitTimes, rescue::LostPolicy, retry::RetryPolicy};
use posthaste_protocol::{
    accepted::Accepted,
    endpoint::{self, EndpointSpec},
};
use serde::Deserialize;

use crate::{breaker::EndpointHealth, outcome::OnUnknown, permit::Gate};

/// What an endpoint says, and how it is.
pub struct Endpoint {
    /// As written.
    pub spec: EndpointSpec,
    /// How retries wait.
    pub retry: RetryPolicy,
    /// Its permits and health; kept when the endpoint is reloaded, and while it cannot be used.
    pub gate: Arc<Gate>,
}

impl Endpoint {
    /// Reads a row. `before` is the endpoint as it was, if it was there. `Err` says for people why it cannot be read.
    pub fn of(row: &EndpointRow, before: Option<&Arc<Self>>, now: Instant) -> Result<Self, String> {
        let spec = EndpointSpec::parse(&row.spec)
            .map_err(|faults| faults.first().map(|fault| fault.message.clone()).unwrap_or_default())?;
        let concurrency = usize::try_from(spec.concurrency).unwrap_or(usize::MAX);
        let gate = before.map(|before| Arc::clone(&before.gate));
        let gate = gate.unwrap_or_else(|| Arc::new(Gate::new(EndpointHealth::new(spec.breaker, concurrency, now))));
        gate.health(|health| health.configure(spec.breaker, concurrency));
        Ok(Self { retry: RetryPolicy::from(&spec.retry), gate, spec })
    }

    /// How long a callback may take; a job's own time goes before the endpoint's.
    pub fn callback_timeout(&self, job: Option<Duration>) -> Duration {
        job.unwrap_or(Duration::from_millis(self.spec.callback_timeout_ms))
    }

    /// How long a run that was accepted so may take; `job` as in [`Self::callback_timeout`].
    pub fn wait_times(&self, accepted: Accepted, job: Option<Duration>) -> WaitTimes {
        WaitTimes::of(accepted, self.callback_timeout(job), Duration::from_millis(self.spec.max_run_ms))
    }

    /// What becomes of a run of this endpoint whose dispatcher was lost. `callbacks`: functions can call back.
    pub fn lost(&self, callbacks: bool) -> LostPolicy {
        let on_unknown = self.on_unknown(callbacks);
        LostPolicy {
            retry: self.retry.clone(),
            fail: on_unknown == OnUnknown::Fail,
            wait: (on_unknown == OnUnknown::Wait).then(|| self.wait_times(Accepted::default(), None)),
        }
    }

    /// What to do when nobody knows whether a run happened. Without callbacks there is nothing to wait for.
    pub fn on_unknown(&self, callbacks: bool) -> OnUnknown {
        match self.spec.on_unknown {
            Some(endpoint::OnUnknown::Fail) => OnUnknown::Fail,
            Some(endpoint::OnUnknown::Wait) if callbacks => OnUnknown::Wait,
            None if callbacks && self.gate.health(|health| health.accepts()) => OnUnknown::Wait,
            _ => OnUnknown::Retry,
        }
    }
}

/// The kinds that a spec claims which this version cannot read: they are no other endpoint's.
pub fn kinds_of(spec: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        kinds: Vec<String>,
    }
    serde_json::from_str(spec).map(|claims: Claims| claims.kinds).unwrap_or_default()
}

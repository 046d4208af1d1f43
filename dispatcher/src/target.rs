//! A target: one endpoint, resolved and ready to be POSTed to.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use posthaste_engine::{endpoint::EndpointRow, lifecycle::wait::WaitTimes, rescue::LostPolicy, retry::RetryPolicy};
use posthaste_protocol::{
    accepted::Accepted,
    dispatch::Format,
    endpoint::{self, Accept202, EndpointSpec, HeaderSource, Idempotency, InvocationType, StatusAction},
    seal::SealKeys,
    signature::Secret,
    signing::{OpenError, SigningSecrets},
};
use posthaste_service::{clock, telemetry::metrics::Histogram};

use crate::{
    auth::{Authorizer, Standing},
    breaker::EndpointHealth,
    context::Context,
    outcome::{Meaning, OnUnknown},
    own_client::OwnClient,
    permit::Gate,
    secret,
};

/// Where and how to POST the jobs of one endpoint.
pub struct Target {
    /// The endpoint's name.
    pub name: String,
    /// As written.
    pub spec: EndpointSpec,
    /// Where.
    pub uri: Uri,
    /// Its own headers, references resolved.
    pub headers: HeaderMap,
    /// How it is told who sends.
    pub auth: Authorizer,
    /// Its own client, where its TLS is its own.
    pub own_client: Option<OwnClient>,
    /// What signs, newest first.
    pub secrets: Vec<Secret>,
    /// How retries wait.
    pub retry: RetryPolicy,
    /// Overrides of the answer table.
    pub status_map: BTreeMap<u16, Meaning>,
    /// An operator, or five 410s, stopped it.
    pub paused: bool,
    /// Seconds from POST to the end of the answer.
    pub dispatch_seconds: Histogram,
    /// Its permits and health; kept when the endpoint is reloaded.
    pub gate: Arc<Gate>,
}

/// An endpoint that this dispatcher cannot use now.
pub struct UnusableEndpoint {
    /// Why, and what to do, for people.
    pub reason: String,
    /// What it would be authenticated by, if that is known: as long as this is held, its credentials are asked for.
    auth: Option<Authorizer>,
}

impl UnusableEndpoint {
    fn new(reason: String) -> Self {
        Self { reason, auth: None }
    }

    /// Whether it waits for its first credentials, which is a matter of a moment.
    pub fn is_pending(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.standing() == Standing::Pending)
    }
}

impl Target {
    /// Resolves a row. `before` is the endpoint as it was, if it was there.
    pub fn resolve(
        row: &EndpointRow,
        context: &Context,
        before: Option<&Self>,
        now: Instant,
    ) -> Result<Self, UnusableEndpoint> {
        let unusable = UnusableEndpoint::new;
        let spec = EndpointSpec::parse(&row.spec)
            .map_err(|faults| unusable(faults.first().map(|fault| fault.message.clone()).unwrap_or_default()))?;
        context.policy.check_url(&spec.url).map_err(|refusal| unusable(refusal.to_string()))?;
        let uri = spec.url.as_str().parse().map_err(|_| unusable("the URL cannot be dialled".to_owned()))?;
        let concurrency = usize::try_from(spec.concurrency).unwrap_or(usize::MAX);
        let auth = Authorizer::of(&spec, &context.credentials).map_err(|why| unusable(format!("auth: {why}")))?;
        match auth.standing() {
            Standing::Valid => {}
            Standing::Failed(why) => {
                return Err(UnusableEndpoint { reason: format!("no credentials: {why}"), auth: Some(auth) });
            }
            Standing::Pending => {
                return Err(UnusableEndpoint {
                    reason: "its first credentials are being minted".to_owned(),
                    auth: Some(auth),
                });
            }
        }
        let own_client = match &spec.tls {
            Some(tls) => Some(
                OwnClient::of(tls, context, before.and_then(|before| before.own_client.as_ref())).map_err(unusable)?,
            ),
            None => None,
        };
        let gate = before.map(|before| Arc::clone(&before.gate));
        let gate = gate.unwrap_or_else(|| Arc::new(Gate::new(EndpointHealth::new(spec.breaker, concurrency, now))));
        gate.health(|health| health.configure(spec.breaker, concurrency));
        Ok(Self {
            uri,
            headers: headers(&spec).map_err(unusable)?,
            auth,
            own_client,
            secrets: secrets(row, context.seal_keys.as_ref()).map_err(unusable)?,
            retry: RetryPolicy::from(&spec.retry),
            status_map: spec.status_map.iter().map(|(status, action)| (*status, meaning(*action))).collect(),
            paused: row.paused_at.is_some(),
            name: row.name.clone(),
            dispatch_seconds: context.metrics.dispatch_seconds.with_label_values(&[&row.name]),
            gate,
            spec,
        })
    }

    /// How long one dispatch may take; a job's own time-out goes before the endpoint's.
    pub fn timeout(&self, job: Option<i32>) -> Duration {
        let ms = job.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(self.spec.timeout_ms);
        Duration::from_millis(ms)
    }

    /// Whether a bare 202 means that a callback follows.
    pub fn waits_on_202(&self) -> bool {
        self.spec.accept_202 == Accept202::Wait
    }

    /// Whether its answers are those of Lambda's `Invoke`, with the function's own inside.
    pub fn unwraps(&self) -> bool {
        self.spec.format == Format::Lambda && !self.queues()
    }

    /// Whether Lambda queues what it is sent, so that its 202 is not the function's.
    pub fn queues(&self) -> bool {
        self.spec.format == Format::Lambda && self.spec.invocation_type == InvocationType::Event
    }

    /// Whether a known failure opens a new idempotency key.
    pub fn keys_by_attempt(&self) -> bool {
        self.spec.idempotency == Idempotency::Attempt
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

fn headers(spec: &EndpointSpec) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, source) in &spec.headers {
        let value = match source {
            HeaderSource::Literal(value) => value.clone().into(),
            HeaderSource::Reference(reference) => secret::resolve(reference)?,
        };
        insert(&mut headers, name, &value)?;
    }
    Ok(headers)
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let unsendable = |_| format!("the value of header {name} cannot be sent");
    let mut value = HeaderValue::from_str(value).map_err(unsendable)?;
    value.set_sensitive(true);
    let key = HeaderName::try_from(name).map_err(|_| format!("{name} is no header name"))?;
    headers.insert(key, value);
    Ok(())
}

fn secrets(row: &EndpointRow, keys: Option<&SealKeys>) -> Result<Vec<Secret>, String> {
    let keys = keys.ok_or("POSTHASTE_SECRET_KEYS is not set here, and signing needs it")?;
    let signing = SigningSecrets::open(keys, &row.name, &row.secret).map_err(|error| match error {
        OpenError::Sealed(_) => {
            "its secret cannot be opened with this POSTHASTE_SECRET_KEYS; rotate the secret or add the key".to_owned()
        }
        OpenError::Shape => "its sealed secret has another shape; rotate it".to_owned(),
        OpenError::Secret(error) => error.to_string(),
    })?;
    Ok(signing.active(clock::unix_now()))
}

const fn meaning(action: StatusAction) -> Meaning {
    match action {
        StatusAction::Retry => Meaning::Retry,
        StatusAction::Fail => Meaning::Fail,
        StatusAction::Complete => Meaning::Complete,
        StatusAction::Throttle => Meaning::Throttle,
        StatusAction::Cancel => Meaning::Cancel,
        StatusAction::Misconfigured => Meaning::Misconfigured,
    }
}

//! A target: one endpoint, resolved and ready to be POSTed to.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use posthaste_engine::endpoint::EndpointRow;
use posthaste_protocol::{
    dispatch::Format,
    endpoint::{Accept202, EndpointSpec, HeaderSource, Idempotency, InvocationType, StatusAction},
    seal::SealKeys,
    signature::Secret,
    signing::{OpenError, SigningSecrets},
};
use posthaste_service::{clock, telemetry::metrics::Histogram};

use crate::{
    auth::{Authorizer, Standing},
    context::Context,
    endpoint::{self, Endpoint},
    outcome::Meaning,
    own_client::OwnClient,
    secret,
};

/// Where and how to POST the jobs of one endpoint.
pub struct Target {
    /// The endpoint's name.
    pub name: String,
    /// What it says, and how it is.
    pub endpoint: Arc<Endpoint>,
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
    /// Overrides of the answer table.
    pub status_map: BTreeMap<u16, Meaning>,
    /// An operator, or five 410s, stopped it.
    pub paused: bool,
    /// Seconds from POST to the end of the answer.
    pub dispatch_seconds: Histogram,
}

/// An endpoint that this dispatcher cannot use now.
pub struct UnusableEndpoint {
    /// Why, and what to do, for people.
    pub reason: String,
    /// The kinds that it takes, which are nobody else's.
    pub kinds: Vec<String>,
    /// What it says; what it last said, if that cannot be read here now.
    pub endpoint: Option<Arc<Endpoint>>,
    /// The client that it had.
    pub own_client: Option<OwnClient>,
    /// What it would be authenticated by, if that is known: as long as this is held, its credentials are asked for.
    auth: Option<Authorizer>,
}

impl UnusableEndpoint {
    /// Whether it waits for its first credentials, which is a matter of a moment.
    pub fn is_pending(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.standing() == Standing::Pending)
    }
}

/// What was known of an endpoint until now.
#[derive(Clone, Copy, Default)]
pub struct Before<'a> {
    /// What it said, and how it was.
    pub endpoint: Option<&'a Arc<Endpoint>>,
    /// Its own client.
    pub own_client: Option<&'a OwnClient>,
}

impl Target {
    /// Resolves a row. `before` is the endpoint as it was, if it was there.
    pub fn resolve(
        row: &EndpointRow,
        context: &Context,
        before: Before<'_>,
        now: Instant,
    ) -> Result<Self, Box<UnusableEndpoint>> {
        let unusable = |reason: String, kinds: Vec<String>, endpoint: Option<Arc<Endpoint>>| {
            let own_client = before.own_client.cloned();
            Box::new(UnusableEndpoint { reason, kinds, endpoint, own_client, auth: None })
        };
        let endpoint = match Endpoint::of(row, before.endpoint, now) {
            Ok(endpoint) => Arc::new(endpoint),
            Err(reason) => return Err(unusable(reason, endpoint::kinds_of(&row.spec), before.endpoint.cloned())),
        };
        let spec = &endpoint.spec;
        let unusable = |reason| unusable(reason, spec.kinds.clone(), Some(Arc::clone(&endpoint)));
        context.policy.check_url(&spec.url).map_err(|refusal| unusable(refusal.to_string()))?;
        let uri = spec.url.as_str().parse().map_err(|_| unusable("the URL cannot be dialled".to_owned()))?;
        let auth = Authorizer::of(spec, &context.credentials).map_err(|why| unusable(format!("auth: {why}")))?;
        let lacking = match auth.standing() {
            Standing::Valid => None,
            Standing::Failed(why) => Some(format!("no credentials: {why}")),
            Standing::Pending => Some("its first credentials are being minted".to_owned()),
        };
        if let Some(reason) = lacking {
            return Err(Box::new(UnusableEndpoint { auth: Some(auth), ..*unusable(reason) }));
        }
        let own_client = match &spec.tls {
            Some(tls) => Some(OwnClient::of(tls, context, before.own_client).map_err(unusable)?),
            None => None,
        };
        Ok(Self {
            uri,
            headers: headers(spec).map_err(unusable)?,
            auth,
            own_client,
            secrets: secrets(row, context.seal_keys.as_ref()).map_err(unusable)?,
            status_map: spec.status_map.iter().map(|(status, action)| (*status, meaning(*action))).collect(),
            paused: row.paused_at.is_some(),
            name: row.name.clone(),
            dispatch_seconds: context.metrics.dispatch_seconds.with_label_values(&[&row.name]),
            endpoint,
        })
    }

    /// How long one dispatch may take; a job's own time-out goes before the endpoint's.
    pub fn timeout(&self, job: Option<i32>) -> Duration {
        let ms = job.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(self.endpoint.spec.timeout_ms);
        Duration::from_millis(ms)
    }

    /// Whether a bare 202 means that a callback follows.
    pub fn waits_on_202(&self) -> bool {
        self.endpoint.spec.accept_202 == Accept202::Wait
    }

    /// Whether its answers are those of Lambda's `Invoke`, with the function's own inside.
    pub fn unwraps(&self) -> bool {
        self.endpoint.spec.format == Format::Lambda && !self.queues()
    }

    /// Whether Lambda queues what it is sent, so that its 202 is not the function's.
    pub fn queues(&self) -> bool {
        self.endpoint.spec.format == Format::Lambda && self.endpoint.spec.invocation_type == InvocationType::Event
    }

    /// Whether a known failure opens a new idempotency key.
    pub fn keys_by_attempt(&self) -> bool {
        self.endpoint.spec.idempotency == Idempotency::Attempt
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

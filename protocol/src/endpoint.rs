//! Endpoints: the named HTTP targets of jobs, as operators write them and read them back.
//!
//! [`EndpointSpec::parse`] checks everything that can be known without a network, names every fault and fills in
//! every default; `Serialize` gives the same shape back, complete, without the signing secret and with references
//! instead of the secrets they stand for. What it gives is read again by `parse`.

mod auth;
mod breaker;
mod headers;
mod kinds;
pub(crate) mod reference;
mod retry;
mod status;
mod target;
mod tls;

use std::collections::BTreeMap;

use serde::Serialize;
use url::Url;

pub use auth::{Auth, AuthType, AwsService, TokenHeader};
pub use breaker::Breaker;
pub use headers::HeaderSource;
pub use reference::{Reference, WEBHOOK_ENV, WEBHOOK_FOLDER};
pub use retry::{Retry, RetryPolicy};
pub use status::StatusAction;
pub use tls::Tls;

use crate::cel::{self, CelSpec};
pub use crate::dispatch::Format;
use crate::field::Field;
use crate::object::{Faults, Path, Shape, read_document};
use crate::problem::FieldError;
use crate::signature::Secret;
use crate::word::words;

/// Thirty days, the longest that anything may take, in milliseconds.
pub(crate) const MAX_MS: u64 = 30 * 86_400_000;

const SHAPE: Shape = Shape {
    known: &[
        "url",
        "kinds",
        "format",
        "invocation_type",
        "timeout_ms",
        "callback_timeout_ms",
        "max_run_ms",
        "cancel_grace_ms",
        "idempotency",
        "accept_202",
        "concurrency",
        "rate",
        "sdk",
        "on_unknown",
        "retry",
        "headers",
        "auth",
        "tls",
        "status_map",
        "breaker",
        "cel",
        "secret",
    ],
    later: &[],
};

words! {
    /// What a 202 without a time-out header means.
    pub enum Accept202 {
        /// The function will call back.
        Wait = "wait",
        /// The job is done.
        Complete = "complete",
    }
}

words! {
    /// How long an idempotency key stays the same.
    pub enum Idempotency {
        /// For all attempts of a job.
        Job = "job",
        /// Until a known failure, for functions that store their answers, failures included.
        Attempt = "attempt",
    }
}

words! {
    /// How Lambda's `Invoke` is asked to run a function.
    pub enum InvocationType {
        /// The answer is the function's.
        RequestResponse = "request_response",
        /// Lambda queues the event, and answers 202: the function will call back.
        Event = "event",
    }
}

words! {
    /// What to do with a run of which nobody knows whether it happened.
    pub enum OnUnknown {
        /// Try again.
        Retry = "retry",
        /// Wait for a callback.
        Wait = "wait",
        /// Give up.
        Fail = "fail",
    }
}

/// A part of the contract that a later version brings; `null` until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct NotYet;

/// An endpoint, complete with defaults. All times are milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointSpec {
    /// Where to POST: http or https, with a host, without credentials or fragment, at most 2,048 bytes.
    pub url: Url,
    /// The kinds it takes; `*` takes every kind nobody else takes. Default none: jobs must name the endpoint.
    pub kinds: Vec<String>,
    /// The body format. Default `envelope`.
    pub format: Format,
    /// How `Invoke` is asked, where the format is `lambda`. Default `request_response`.
    pub invocation_type: InvocationType,
    /// How long the function has to answer: 1 to 3,600,000. Default 30,000.
    pub timeout_ms: u64,
    /// How long it has to call back: 1 to 30 days. Default 3,600,000.
    pub callback_timeout_ms: u64,
    /// The hard end of a run, heartbeats or not: 1 to 30 days. Default 7 days.
    pub max_run_ms: u64,
    /// How long a cancelled run has to end by itself: 0 to 600,000. Default 10,000.
    pub cancel_grace_ms: u64,
    /// Default `job`.
    pub idempotency: Idempotency,
    /// Default `wait` for envelopes and `lambda`, `complete` for the others.
    pub accept_202: Accept202,
    /// How many requests at once: 1 to 10,000. Default 64.
    pub concurrency: u32,
    rate: NotYet,
    /// Whether a 2xx without `posthaste-protocol: 1` means that something else answered. Default false.
    pub sdk: bool,
    /// Default none: `wait` where the last answers were 202, else `retry`.
    pub on_unknown: Option<OnUnknown>,
    /// When to try again.
    pub retry: Retry,
    /// Headers to send, names in lower case.
    pub headers: BTreeMap<String, HeaderSource>,
    /// How to authenticate. Default none.
    pub auth: Auth,
    /// A client certificate, and a private authority. Default none.
    pub tls: Option<Tls>,
    /// What these statuses mean, instead of what the contract says.
    pub status_map: BTreeMap<u16, StatusAction>,
    /// When to stop asking for a while.
    pub breaker: Breaker,
    /// What a webhook to a job of this endpoint means, where neither the wait nor the job says it. Whoever takes the
    /// document compiles it. Default none.
    pub cel: Option<CelSpec>,
    /// The signing secret as given in this document; never written back. To be stored sealed.
    #[serde(skip)]
    pub secret: Option<Secret>,
}

impl EndpointSpec {
    /// An endpoint at `url` with every default.
    fn new(url: Url) -> Self {
        Self {
            url,
            kinds: Vec::new(),
            format: Format::Envelope,
            invocation_type: InvocationType::RequestResponse,
            timeout_ms: 30_000,
            callback_timeout_ms: 3_600_000,
            max_run_ms: 604_800_000,
            cancel_grace_ms: 10_000,
            idempotency: Idempotency::Job,
            accept_202: Accept202::Wait,
            concurrency: 64,
            rate: NotYet,
            sdk: false,
            on_unknown: None,
            retry: Retry::default(),
            headers: BTreeMap::new(),
            auth: Auth::None,
            tls: None,
            status_map: BTreeMap::new(),
            breaker: Breaker::default(),
            cel: None,
            secret: None,
        }
    }

    /// Every URL that is asked for it, with the field that names it.
    pub fn urls(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        let token_url = match &self.auth {
            Auth::Oauth2 { token_url, .. } => Some(("auth.token_url", token_url)),
            _ => None,
        };
        std::iter::once(("url", &self.url)).chain(token_url)
    }

    /// Reads an endpoint. `Err` holds every fault (at most 100); a text that is not JSON is the single fault
    /// `malformed_json` (see [`crate::problem::Problem::invalid`]).
    pub fn parse(json: &str) -> Result<Self, Vec<FieldError>> {
        let mut faults = Faults::default();
        let mut draft = Draft::default();
        read_document(json, SHAPE, &mut faults, |name, field, faults| {
            draft.set(name, &field, faults);
        })?;
        if !draft.url_given && json.trim_ascii_start().starts_with('{') {
            faults.push(&Path::Field(&Path::Root, "url"), "required", "is required");
        }
        draft.check(&mut faults);
        faults.or(draft.finish())
    }
}

/// An endpoint while it is read: fields come in any order, and faults must not stop the others from being read.
#[derive(Default)]
struct Draft {
    url_given: bool,
    url: Option<Url>,
    kinds: Vec<String>,
    format: Option<Format>,
    invocation_type: Option<InvocationType>,
    timeout_ms: Option<u64>,
    callback_timeout_ms: Option<u64>,
    max_run_ms: Option<u64>,
    cancel_grace_ms: Option<u64>,
    idempotency: Option<Idempotency>,
    accept_202: Option<Accept202>,
    concurrency: Option<u64>,
    sdk: Option<bool>,
    on_unknown: Option<OnUnknown>,
    retry: Option<Retry>,
    headers: BTreeMap<String, HeaderSource>,
    auth: Option<Auth>,
    tls: Option<Tls>,
    status_map: BTreeMap<u16, StatusAction>,
    breaker: Option<Breaker>,
    cel: Option<CelSpec>,
    secret: Option<Secret>,
}

impl Draft {
    fn set(&mut self, name: &str, field: &Field, faults: &mut Faults) {
        match name {
            "url" => {
                self.url_given = !field.is_null();
                self.url = target::read(field, faults);
            }
            "kinds" => self.kinds = kinds::read(field, faults),
            "format" => self.format = field.word(faults),
            "invocation_type" => self.invocation_type = field.word(faults),
            "timeout_ms" => self.timeout_ms = field.integer_in(1, 3_600_000, faults),
            "callback_timeout_ms" => self.callback_timeout_ms = field.integer_in(1, MAX_MS, faults),
            "max_run_ms" => self.max_run_ms = field.integer_in(1, MAX_MS, faults),
            "cancel_grace_ms" => self.cancel_grace_ms = field.integer_in(0, 600_000, faults),
            "idempotency" => self.idempotency = field.word(faults),
            "accept_202" => self.accept_202 = field.word(faults),
            "concurrency" => self.concurrency = field.integer_in(1, 10_000, faults),
            "sdk" => self.sdk = field.flag(faults),
            "on_unknown" => self.on_unknown = field.word(faults),
            "retry" => self.retry = retry::read(field, faults),
            "headers" => self.headers = headers::read(field, faults),
            "auth" => self.auth = auth::read(field, faults),
            "tls" => self.tls = tls::read(field, faults),
            "status_map" => self.status_map = status::read(field, faults),
            "breaker" => self.breaker = breaker::read(field, faults),
            "cel" => self.cel = cel::read(field, faults),
            "secret" => self.secret = read_secret(field, faults),
            // `rate`.
            _ if field.is_null() => {}
            _ => field.fault("not_supported_yet", "is not supported yet", faults),
        }
    }

    /// What two fields say together.
    fn check(&self, faults: &mut Faults) {
        let at_root = |name| Path::Field(&Path::Root, name);
        let is_lambda = self.format == Some(Format::Lambda);
        if self.invocation_type == Some(InvocationType::Event) && !is_lambda {
            faults.push(&at_root("invocation_type"), "conflict", "event is for the format lambda");
        }
        let Some(url) = &self.url else { return };
        if is_lambda && !target::is_invoke(url) {
            faults.push(&at_root("url"), "invalid_url", target::INVOKE);
        }
        if self.tls.is_some() && url.scheme() != "https" {
            faults.push(&at_root("tls"), "conflict", "is for an https URL");
        }
        let Some(auth) = &self.auth else { return };
        if matches!(auth, Auth::AwsSigv4 { .. }) && auth.region(url).is_none() {
            let message = "is required: the URL's host names no region of AWS";
            faults.push(&Path::Field(&at_root("auth"), "region"), "required", message);
        }
        // In an event the endpoint's headers are the function's, and meet nothing that authenticates the request.
        let name = auth.header(self.headers.contains_key("authorization"));
        if let Some(name) = name.filter(|name| !is_lambda && self.headers.contains_key(*name)) {
            faults.push(&Path::Field(&at_root("headers"), name), "conflict", "is what auth sets too");
        }
    }

    /// The endpoint with its defaults; `None` without a URL.
    fn finish(self) -> Option<EndpointSpec> {
        let defaults = EndpointSpec::new(self.url?);
        let format = self.format.unwrap_or(defaults.format);
        let accept_202 = match format {
            Format::Envelope | Format::Lambda => Accept202::Wait,
            Format::Raw | Format::Cloudevents => Accept202::Complete,
        };
        Some(EndpointSpec {
            kinds: self.kinds,
            format,
            invocation_type: self.invocation_type.unwrap_or(defaults.invocation_type),
            timeout_ms: self.timeout_ms.unwrap_or(defaults.timeout_ms),
            callback_timeout_ms: self.callback_timeout_ms.unwrap_or(defaults.callback_timeout_ms),
            max_run_ms: self.max_run_ms.unwrap_or(defaults.max_run_ms),
            cancel_grace_ms: self.cancel_grace_ms.unwrap_or(defaults.cancel_grace_ms),
            idempotency: self.idempotency.unwrap_or(defaults.idempotency),
            accept_202: self.accept_202.unwrap_or(accept_202),
            concurrency: self.concurrency.and_then(|n| n.try_into().ok()).unwrap_or(defaults.concurrency),
            sdk: self.sdk.unwrap_or(defaults.sdk),
            on_unknown: self.on_unknown,
            retry: self.retry.unwrap_or(defaults.retry),
            headers: self.headers,
            auth: self.auth.unwrap_or(defaults.auth),
            tls: self.tls,
            status_map: self.status_map,
            breaker: self.breaker.unwrap_or(defaults.breaker),
            cel: self.cel,
            secret: self.secret,
            ..defaults
        })
    }
}

fn read_secret(field: &Field, faults: &mut Faults) -> Option<Secret> {
    match Secret::parse(&zeroize::Zeroizing::new(field.text(faults)?)) {
        Ok(secret) => Some(secret),
        Err(error) => {
            field.fault("invalid_secret", error.to_string(), faults);
            None
        }
    }
}

#[cfg(test)]
mod tests;

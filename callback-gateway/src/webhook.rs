//! Webhooks: what third parties send for a run. A callback by token goes the same way where expressions are asked about it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use posthaste_engine::{held::RunRef, inbox::Quarantine};
use posthaste_protocol::{
    action::Action,
    callback::{Callback, CallbackRequest, Digest, of_hook},
    id::JobId,
    inbound::{InboundRequest, InboundSignature, gives_access},
    token::Claims,
};
use posthaste_service::clock;

use crate::{came::Came, limit::Limits, refusal::Refusal, sender, work::run_of};

/// A webhook for a run.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The run; of what is for a job, whichever run that has, or had when it was looked up.
    pub run: RunRef,
    /// How it came.
    pub came: Came,
    /// What recognises it when it comes again.
    pub digest: Digest,
    /// Its headers, as expressions see them.
    pub headers: BTreeMap<String, String>,
    /// Its body as it came; of a callback the result, or the payload, as JSON.
    pub body: Bytes,
    /// When it came, seconds since 1970.
    pub received_unix: i64,
    /// Which signatures it needs no more.
    pub verified: Verified,
}

/// Which signatures a webhook needs no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// None was verified.
    None,
    /// That of the wait of this name was, when it came first.
    For(String),
    /// Any: that of its source was verified, or it has a token.
    All,
}

impl Verified {
    /// Whether the signature of this wait is verified.
    pub fn is_for(&self, wait: &str) -> bool {
        match self {
            Self::None => false,
            Self::For(name) => name == wait,
            Self::All => true,
        }
    }
}

/// Headers as expressions see them: names in lower case, of several values all.
pub fn visible(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut visible: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let Some(text) = value.to_str().ok().filter(|_| !gives_access(name.as_str())) else { continue };
        visible
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(text);
            })
            .or_insert_with(|| text.to_owned());
    }
    visible
}

impl Webhook {
    /// A webhook to a capability URL.
    pub fn of_hook(claims: &Claims, headers: &HeaderMap, body: Bytes) -> Self {
        let (headers, digest, received_unix) = (visible(headers), of_hook(&body), clock::unix_now());
        Self { run: run_of(claims), came: Came::Hook, digest, headers, body, received_unix, verified: Verified::None }
    }

    /// A callback by token.
    pub fn of_callback(claims: &Claims, action: Action, headers: &HeaderMap, request: CallbackRequest) -> Self {
        let json = match request.callback {
            Callback::Complete { result } => result,
            Callback::Resume { payload } => payload,
            _ => None,
        };
        let body = json.map_or_else(Bytes::new, |json| Box::<str>::from(json).into_string().into());
        let (headers, received_unix) = (visible(headers), clock::unix_now());
        let (run, came, digest) = (run_of(claims), Came::Callback(action), request.digest);
        Self { run, came, digest, headers, body, received_unix, verified: Verified::All }
    }

    /// It, to be kept; `signed_for` is the wait whose signature it has.
    pub fn kept(&self, error: String, signed_for: Option<String>) -> Quarantine {
        Quarantine {
            run: if self.is_for_job() { RunRef::whichever(self.run.job_id) } else { self.run },
            wait: signed_for,
            via: self.came.to_string(),
            digest: self.digest,
            payload: self.body.to_vec(),
            headers: serde_json::to_string(&self.headers).ok(),
            error,
        }
    }

    /// It names a job, and none of its runs.
    pub fn is_for_job(&self) -> bool {
        self.came.source().is_some() || self.run.is_whichever()
    }

    /// The job of its run.
    pub fn job(&self) -> JobId {
        JobId(self.run.job_id)
    }

    /// Whether it has the signature that a wait asks for. Reads secrets from where they are, which may take its time.
    pub fn verify(&self, signature: &str, limits: &Limits) -> Result<(), Refusal> {
        let unverifiable = |error: &str| {
            if limits.logs_stranger() {
                tracing::warn!(job.id = self.run.job_id, error, "the signature of a wait cannot be verified here");
            }
            Refusal::unverifiable(error)
        };
        let signature = InboundSignature::parse(signature)
            .map_err(|_| unverifiable("the signature that the wait asks for is not known to this version"))?;
        let secrets = sender::references(&signature).map_err(|error| unverifiable(&error))?;
        let pairs = self
            .headers
            .iter()
            .map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?)));
        let headers: HeaderMap = pairs.flatten().collect();
        let request = InboundRequest { headers: &headers, body: &self.body, now_unix: self.received_unix };
        signature.verify(&secrets, &request).map_err(|invalid| Refusal::invalid_signature(invalid.fault()))
    }
}

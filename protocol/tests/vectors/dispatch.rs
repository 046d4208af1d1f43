//! Dispatch requests, and the URLs that callbacks come to.

use std::collections::BTreeMap;

use http::HeaderMap;
use posthaste_protocol::dispatch::{
    CallbackGrant, DispatchJob, Format, Resume, RunContext, body_with, callback_headers, headers,
};
use posthaste_protocol::gateway_url::GatewayUrl;
use posthaste_protocol::id::JobId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::check;
use super::token::ClaimsVector;

/// The ring that the file names.
const KEYS: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[derive(Deserialize)]
struct Given {
    format: Format,
    job: Job,
    context: Context,
}

#[derive(Deserialize)]
struct Job {
    id: JobId,
    kind: String,
    queue: String,
    attempt: i32,
    max_attempts: i32,
    run_lease: i64,
    enqueued_at: chrono::DateTime<chrono::Utc>,
    tags: Vec<String>,
    metadata: String,
    args: String,
    timeout_ms: u64,
    idempotency_key: String,
}

#[derive(Deserialize)]
struct Context {
    callback: Option<Callback>,
    progress: Option<String>,
    steps: Option<String>,
    resume: Option<Woken>,
}

#[derive(Deserialize)]
struct Callback {
    gateway: String,
    token: ClaimsVector,
    hook_token: Option<ClaimsVector>,
    deadline_in_ms: u64,
    token_expires_in_ms: u64,
}

#[derive(Deserialize)]
struct Woken {
    name: String,
    payload: Option<String>,
    timed_out: bool,
}

impl Job {
    fn run(&self) -> DispatchJob<'_> {
        DispatchJob {
            id: self.id,
            kind: &self.kind,
            queue: &self.queue,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            run_lease: self.run_lease,
            enqueued_at: self.enqueued_at,
            tags: &self.tags,
            metadata: &self.metadata,
            args: &self.args,
            timeout_ms: self.timeout_ms,
            idempotency_key: &self.idempotency_key,
        }
    }
}

#[test]
fn dispatches_are_written_as_published() {
    check(include_str!("../../../tests/vectors/dispatch.json"), |given: &Given| {
        let job = given.job.run();
        let callback = given.context.callback.as_ref();
        let gateway = callback.map(|callback| GatewayUrl::parse(&callback.gateway).expect("a base"));
        let token = callback.map(|callback| callback.token.mint(KEYS));
        let hook_token = callback.and_then(|callback| callback.hook_token.as_ref()).map(|claims| claims.mint(KEYS));
        let grant =
            callback.zip(gateway.as_ref()).zip(token.as_ref()).map(|((callback, gateway), token)| CallbackGrant {
                gateway,
                token,
                hook_token: hook_token.as_ref(),
                actions: callback.token.claims().actions,
                deadline_in_ms: callback.deadline_in_ms,
                token_expires_in_ms: callback.token_expires_in_ms,
            });
        let resume = given.context.resume.as_ref().map(|resume| Resume {
            name: &resume.name,
            payload: resume.payload.as_deref(),
            timed_out: resume.timed_out,
        });
        let (progress, steps) = (given.context.progress.as_deref(), given.context.steps.as_deref());
        let mut body = Vec::new();
        body_with(given.format, &job, &RunContext { callback: grant, progress, steps, resume }, &mut body);
        let body = String::from_utf8(body).expect("text");
        if given.format == Format::Envelope {
            assert!(serde_json::from_str::<Value>(&body).is_ok(), "{body}");
        }
        let mut out = HeaderMap::new();
        headers(given.format, &job, &mut out).expect("headers");
        if let Some(grant) = &grant {
            callback_headers(grant, &mut out).expect("headers");
        }
        out.remove("user-agent");
        let text = |value: &http::HeaderValue| value.to_str().expect("ASCII").to_owned();
        let sent: BTreeMap<_, _> = out.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        Ok(json!({"body": body, "headers": sent}))
    });
}

#[test]
fn callback_urls_are_built_as_published() {
    #[derive(Deserialize)]
    struct Setting {
        setting: String,
    }

    check(include_str!("../../../tests/vectors/gateway_url.json"), |given: &Setting| {
        let url = GatewayUrl::parse(&given.setting).map_err(|_| "invalid")?;
        Ok(json!({"callbacks": url.callbacks(), "hooks": url.hooks()}))
    });
}

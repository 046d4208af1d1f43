//! Caller: calls back for the jobs that the endpoint accepted, as a function would, and counts the answers.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use posthaste_dispatcher::egress::{Client, ClientOptions, EgressPolicy};

/// How often a callback is tried when it is told to come again, and the pause before.
const TRIES: usize = 1200;
const PAUSE: Duration = Duration::from_millis(25);
/// How long one answer may take, and how large it may be.
const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_CAP: usize = 64 * 1024;
/// What every callback says.
const RESULT: &[u8] = br#"{"result":{"ok":true,"n":1}}"#;

/// Calls back on kept-alive connections, and knows what came of it.
pub struct Caller {
    client: Client,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Sent to answered, microseconds.
    times: Mutex<Vec<u64>>,
}

impl Caller {
    /// A caller that has not called yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(EgressPolicy::from_entries(["127.0.0.0/8"])?, &ClientOptions::default()),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            times: Mutex::default(),
        })
    }

    /// Callbacks answered with 200 so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    /// Callbacks answered otherwise, or not at all, after all their tries.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }

    /// How long each answered callback took since the last time this was asked, microseconds, a line each.
    pub fn take_times(&self) -> String {
        use std::fmt::Write as _;
        let times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        times.iter().fold(String::with_capacity(times.len() * 8), |mut text, us| {
            // Writing to a string cannot fail.
            let _ok = writeln!(text, "{us}");
            text
        })
    }

    /// Completes the job that this dispatch is of, in a task of its own: Posthaste names URL and token in headers.
    pub fn complete(self: &Arc<Self>, dispatch: &HeaderMap) {
        let text = |name: &str| dispatch.get(name).and_then(|value| value.to_str().ok());
        let (Some(url), Some(token)) = (text("posthaste-callback-url"), text("posthaste-callback-token")) else {
            self.refused.fetch_add(1, Ordering::AcqRel);
            return;
        };
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).ok();
        self.spawn(format!("{url}/complete"), bearer);
    }

    /// The same for Awa, which names the URL in the body.
    pub fn complete_awa(self: &Arc<Self>, dispatch: &[u8]) {
        let body: serde_json::Value = serde_json::from_slice(dispatch).unwrap_or_default();
        match body["callback_url"].as_str() {
            Some(url) => self.spawn(url.to_owned(), None),
            None => {
                self.refused.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    fn spawn(self: &Arc<Self>, url: String, bearer: Option<HeaderValue>) {
        let caller = Arc::clone(self);
        tokio::spawn(async move {
            for _ in 0..TRIES {
                let sent = Instant::now();
                match caller.ask(&url, bearer.as_ref()).await {
                    Some(StatusCode::OK) => {
                        caller.stamp(sent);
                        caller.answered.fetch_add(1, Ordering::AcqRel);
                        return;
                    }
                    None | Some(StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) => {}
                    Some(_) => break,
                }
                tokio::time::sleep(PAUSE).await;
            }
            caller.refused.fetch_add(1, Ordering::AcqRel);
        });
    }

    fn stamp(&self, sent: Instant) {
        let us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.times.lock().unwrap_or_else(PoisonError::into_inner).push(us);
    }

    async fn ask(&self, url: &str, bearer: Option<&HeaderValue>) -> Option<StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(bearer) = bearer {
            headers.insert(header::AUTHORIZATION, bearer.clone());
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let uri: Uri = url.parse().ok()?;
        let answer = self.client.post(uri, headers, Bytes::from_static(RESULT), deadline, ANSWER_CAP).await;
        answer.ok().map(|answer| answer.status)
    }
}

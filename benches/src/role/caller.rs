//! Caller: calls back for the jobs that the endpoint accepted, as a function would, and counts the answers. A function runs
//! elsewhere; this one shares the machine with what is measured, hence no more client than connections that are kept.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    uri::{Authority, PathAndQuery},
};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// How often a callback is tried when it is told to come again, and the pause before.
const TRIES: usize = 1200;
const PAUSE: Duration = Duration::from_millis(25);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What every callback says.
const RESULT: &[u8] = br#"{"result":{"ok":true,"n":1}}"#;

type Connection = SendRequest<Full<Bytes>>;

/// Calls back on kept-alive connections, and knows what came of it.
#[derive(Default)]
pub struct Caller {
    idle: Mutex<HashMap<Authority, Vec<Connection>>>,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Sent to answered, microseconds.
    times: Mutex<Vec<u64>>,
}

impl Caller {
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
        self.spawn(&format!("{url}/complete"), bearer);
    }

    /// The same for Awa, which names the URL in the body.
    pub fn complete_awa(self: &Arc<Self>, dispatch: &[u8]) {
        let body: serde_json::Value = serde_json::from_slice(dispatch).unwrap_or_default();
        self.spawn(body["callback_url"].as_str().unwrap_or_default(), None);
    }

    fn spawn(self: &Arc<Self>, url: &str, bearer: Option<HeaderValue>) {
        let Some(call) = Call::to(url, bearer) else {
            self.refused.fetch_add(1, Ordering::AcqRel);
            return;
        };
        let caller = Arc::clone(self);
        tokio::spawn(async move {
            for _ in 0..TRIES {
                let sent = Instant::now();
                match timeout(PATIENCE, caller.ask(&call)).await {
                    Ok(Ok(StatusCode::OK)) => {
                        caller.stamp(sent);
                        caller.answered.fetch_add(1, Ordering::AcqRel);
                        return;
                    }
                    Err(_) | Ok(Err(_) | Ok(StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)) => {}
                    Ok(Ok(_)) => break,
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

    async fn ask(&self, call: &Call) -> anyhow::Result<StatusCode> {
        let mut connection = self.connection(&call.to).await?;
        let answer = connection.send_request(call.request()).await?;
        let status = answer.status();
        // A connection is free when its answer was read to the end.
        answer.into_body().collect().await?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(call.to.clone()).or_default().push(connection);
        Ok(status)
    }

    /// The one that was used last, or a new one.
    async fn connection(&self, to: &Authority) -> anyhow::Result<Connection> {
        while let Some(mut idle) = self.pop(to) {
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let stream = TcpStream::connect(to.as_str()).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn pop(&self, to: &Authority) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(to)?.pop()
    }
}

/// One callback.
struct Call {
    to: Authority,
    host: HeaderValue,
    path: PathAndQuery,
    bearer: Option<HeaderValue>,
}

impl Call {
    /// `None`: this is no URL.
    fn to(url: &str, bearer: Option<HeaderValue>) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        let to = url.authority()?.clone();
        Some(Self { host: HeaderValue::try_from(to.as_str()).ok()?, to, path: url.path_and_query()?.clone(), bearer })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        let mut request = Request::new(Full::new(Bytes::from_static(RESULT)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone().into();
        *request.headers_mut() = headers;
        request
    }
}

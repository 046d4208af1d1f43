//! POSTs: one pooled client, one deadline over connect, headers and body.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header::ACCEPT_ENCODING};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use posthaste_service::config::EgressProxy;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use super::{
    body::{Outgoing, Received, Taken},
    connector::Connector,
    error::{Class, SendError},
    policy::EgressPolicy,
};
use crate::outcome::AnswerView;

/// Largest head of an answer. hyper's own limit of 100 headers stands beside it.
const HEAD_CAP: u32 = 16 * 1024;

/// Bounds of the client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Idle connections kept to one host (512).
    pub pool_idle_per_host: usize,
    /// How long a connection is kept idle (60 s).
    pub pool_idle: Duration,
    /// Longest time for name, TCP and TLS together (5 s).
    pub connect_timeout: Duration,
    /// Through what everything is dialled (nothing).
    pub proxy: Option<EgressProxy>,
    /// The TLS of an endpoint of its own (that of everybody).
    pub tls: Option<Arc<ClientConfig>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            pool_idle_per_host: 512,
            pool_idle: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            proxy: None,
            tls: None,
        }
    }
}

/// What a function answered.
#[derive(Debug)]
pub struct Answer {
    /// As sent; redirects are not followed.
    pub status: StatusCode,
    /// As sent.
    pub headers: HeaderMap,
    /// At most `body_cap` bytes.
    pub body: Bytes,
    /// There was more body than `body_cap`; the connection was closed instead of reading it.
    pub body_over_cap: bool,
    /// The body of this error answer broke off or missed the deadline; its status had said enough.
    pub body_cut_short: bool,
    /// Microseconds until the headers, connecting included.
    pub headers_us: u64,
    /// Microseconds from the headers to the end of the body.
    pub body_us: u64,
}

impl Answer {
    /// What [`crate::outcome::classify`] looks at.
    pub fn view(&self) -> AnswerView<'_> {
        AnswerView {
            status: self.status.as_u16(),
            headers: &self.headers,
            body: &self.body,
            over_cap: self.body_over_cap,
        }
    }
}

/// The one guarded HTTP client. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Outgoing>,
}

impl Client {
    /// A client that dials only what `policy` lets through.
    pub fn new(policy: EgressPolicy, options: &ClientOptions) -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one guarded client")]
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(options.pool_idle)
            .pool_max_idle_per_host(options.pool_idle_per_host)
            // Only a request that no byte was written of is sent again, on another connection.
            .retry_canceled_requests(true)
            .http1_max_buf_size(HEAD_CAP as usize)
            .http2_max_header_list_size(HEAD_CAP)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        Self { http: builder.build(Connector::new(Arc::new(policy), options)) }
    }

    /// POSTs `body` and reads the answer, at most `body_cap` bytes of it, all before `deadline`.
    pub async fn post(
        &self,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
        body_cap: usize,
    ) -> Result<Answer, SendError> {
        self.send(Method::POST, uri, headers, body, deadline, body_cap).await
    }

    /// The same by any method.
    pub async fn send(
        &self,
        method: Method,
        uri: Uri,
        mut headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
        body_cap: usize,
    ) -> Result<Answer, SendError> {
        let started = Instant::now();
        if started >= deadline {
            return Err(SendError::timeout(Class::NotSent));
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let taken = Taken::default();
        let mut request = Request::new(Outgoing::new(body, taken.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let class = || if taken.is_taken() { Class::Unknown } else { Class::NotSent };
        let response = match timeout_at(deadline, self.http.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(SendError::pool(&error, class())),
            Err(_) => return Err(SendError::timeout(class())),
        };
        receive(response, started, deadline, body_cap).await
    }
}

async fn receive(
    response: http::Response<Incoming>,
    started: Instant,
    deadline: Instant,
    body_cap: usize,
) -> Result<Answer, SendError> {
    let (head, incoming) = response.into_parts();
    let headers_at = Instant::now();
    let mut received = Received::default();
    let broken = match timeout_at(deadline, received.fill(incoming, body_cap)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(SendError::http(&error, Class::Unknown)),
        Err(_) => Some(SendError::timeout(Class::Unknown)),
    };
    // A success is nothing without its whole result; any other status is known although its body is not.
    let body_cut_short = match broken {
        Some(error) if head.status.is_success() => return Err(error),
        broken => broken.is_some(),
    };
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body_over_cap: received.over_cap,
        body: received.into_bytes(),
        body_cut_short,
        headers_us: micros(headers_at - started),
        body_us: micros(headers_at.elapsed()),
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

//! A fake endpoint: a real HTTP server with scripted answers that remembers every request.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Frame, body::Incoming, service::service_fn};
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Barrier, watch},
    task::JoinHandle,
};

use crate::WAIT_LIMIT;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// When its body had been read.
    pub at: Instant,
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, byte for byte.
    pub body: Bytes,
}

impl Request {
    /// A header that must be there, as text.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers));
        value.to_str().unwrap_or_else(|_| panic!("header {name} is not text: {value:?}"))
    }

    /// The body, which must be JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Whether `key` names this request: its job id, its kind, or its path.
    fn is(&self, key: &str) -> bool {
        let named = |name: &str| self.headers.get(name).is_some_and(|value| value == key);
        named("posthaste-job-id") || named("posthaste-kind") || self.uri.path() == key
    }
}

/// Opens once, for everybody who waits at it.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// Lets everybody pass, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        // The sender is ours, so waiting cannot fail.
        let mut gate = self.0.subscribe();
        let _open = gate.wait_for(|open| *open).await;
    }
}

#[derive(Debug, Clone)]
enum Ending {
    Whole,
    NoAnswer,
    MidBody,
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    gate: Option<Gate>,
    barrier: Option<Arc<Barrier>>,
    ending: Ending,
}

impl Answer {
    /// An answer with this status and no body.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            gate: None,
            barrier: None,
            ending: Ending::Whole,
        }
    }

    /// 200 with this JSON.
    pub fn json(body: &serde_json::Value) -> Self {
        Self::status(200).header("content-type", "application/json").body(body.to_string())
    }

    /// The connection is cut without an answer.
    pub fn cut() -> Self {
        Self { ending: Ending::NoAnswer, ..Self::status(200) }
    }

    /// The connection is cut after the head and `part` of a body that promised to be longer.
    pub fn cut_mid_body(part: impl Into<Bytes>) -> Self {
        Self { ending: Ending::MidBody, ..Self::status(200).body(part) }
    }

    /// With this header too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        self.headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Not before the gate is opened.
    #[must_use]
    pub fn when(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Not before as many requests have come to the barrier as it was made for.
    #[must_use]
    pub fn together(mut self, barrier: &Arc<Barrier>) -> Self {
        self.barrier = Some(Arc::clone(barrier));
        self
    }

    async fn response(self) -> Result<Response<Body>, std::io::Error> {
        if let Some(barrier) = &self.barrier {
            barrier.wait().await;
        }
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        let cut = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let mut response = Response::new(match self.ending {
            Ending::NoAnswer => return Err(cut()),
            Ending::Whole => Full::new(self.body).map_err(|never: Infallible| match never {}).boxed_unsync(),
            Ending::MidBody => {
                // The second frame comes after the first was written, so that the head is surely sent.
                let frames = stream::iter([Ok(Frame::data(self.body)), Err(cut())]).then(async |frame| {
                    tokio::task::yield_now().await;
                    frame
                });
                StreamBody::new(Box::pin(frames)).boxed_unsync()
            }
        });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        Ok(response)
    }
}

/// One line of the script: the answers for the requests that a key names, in order; the last one for ever.
#[derive(Debug)]
struct Rule {
    key: String,
    answers: VecDeque<Answer>,
}

#[derive(Debug)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    fallback: Mutex<Answer>,
    requests: watch::Sender<Vec<Request>>,
    given_up: watch::Sender<usize>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// A server on loopback; it stops with this value.
#[derive(Debug)]
pub struct FakeEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl FakeEndpoint {
    /// A server that answers 200 `null` to everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            rules: Mutex::default(),
            fallback: Mutex::new(Answer::json(&serde_json::Value::Null)),
            requests: watch::Sender::new(Vec::new()),
            given_up: watch::Sender::new(0),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, server }
    }

    /// The URL of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the requests that `key` names (a job id, a kind or a path) with these, in order, then with the last
    /// one for ever. Earlier rules win.
    pub fn on(&self, key: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers: VecDeque<Answer> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "a rule needs an answer");
        lock(&self.shared.rules).push(Rule { key: key.to_owned(), answers });
    }

    /// Answers every other request with this.
    pub fn otherwise(&self, answer: Answer) {
        *lock(&self.shared.fallback) = answer;
    }

    /// Waits until at least `count` requests have come; returns all of them, in the order of arrival.
    pub async fn requests(&self, count: usize) -> Vec<Request> {
        let mut requests = self.shared.requests.subscribe();
        let waiting = tokio::time::timeout(WAIT_LIMIT, requests.wait_for(|all| all.len() >= count));
        let waited = waiting.await.map(|all| all.expect("the endpoint is ours").clone());
        waited.unwrap_or_else(|_| panic!("{} of {count} requests came", self.seen().len()))
    }

    /// The requests that have come by now.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until at least `count` callers have gone away before their answer.
    pub async fn given_up(&self, count: usize) {
        let mut given_up = self.shared.given_up.subscribe();
        let waited = tokio::time::timeout(WAIT_LIMIT, given_up.wait_for(|gone| *gone >= count)).await;
        assert!(waited.is_ok(), "fewer than {count} callers gave up");
    }

    /// The most requests that were open at once.
    pub fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }
}

impl Drop for FakeEndpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with the server, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _best_effort = stream.set_nodelay(true);
    let Ok((stream, twin)) = twins(stream) else { return };
    let service = service_fn(move |request| answer(request, Arc::clone(&shared), Arc::clone(&twin)));
    // Errors are what the script asked for.
    let _expected = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// A second handle of the socket, through which a cut makes its close a reset instead of an orderly end.
fn twins(stream: TcpStream) -> std::io::Result<(TcpStream, Arc<TcpStream>)> {
    let stream = stream.into_std()?;
    let twin = TcpStream::from_std(stream.try_clone()?)?;
    Ok((TcpStream::from_std(stream)?, Arc::new(twin)))
}

async fn answer(
    request: http::Request<Incoming>,
    shared: Arc<Shared>,
    socket: Arc<TcpStream>,
) -> Result<Response<Body>, std::io::Error> {
    let (head, body) = request.into_parts();
    let mut open = Open::new(&shared);
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let request = Request { at: Instant::now(), method: head.method, uri: head.uri, headers: head.headers, body };
    let answer = scripted(&shared, &request);
    shared.requests.send_modify(|all| all.push(request));
    if !matches!(answer.ending, Ending::Whole) {
        socket.set_zero_linger()?;
    }
    let response = answer.response().await;
    open.answered = true;
    response
}

/// The answer that the script has for this request.
fn scripted(shared: &Shared, request: &Request) -> Answer {
    let mut rules = lock(&shared.rules);
    let next = rules
        .iter_mut()
        .find(|rule| request.is(&rule.key))
        .and_then(|rule| if rule.answers.len() > 1 { rule.answers.pop_front() } else { rule.answers.front().cloned() });
    next.unwrap_or_else(|| lock(&shared.fallback).clone())
}

/// Counts a request for as long as it is open, and its caller's going away.
struct Open<'a> {
    shared: &'a Shared,
    answered: bool,
}

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_open.fetch_max(open, Ordering::SeqCst);
        Self { shared, answered: false }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
        if !self.answered {
            self.shared.given_up.send_modify(|count| *count += 1);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

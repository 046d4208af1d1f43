//! Endpoint: the smallest function there can be. Reads the JSON body, answers a small JSON, counts, and stamps if asked.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};

use super::{caller::Caller, now_us, say, until_dismissed};

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(4);
/// How long `/brief` takes: long enough to begin waiting for it.
const BRIEF: Duration = Duration::from_millis(50);

struct Counts {
    posts: AtomicU64,
    open: AtomicU64,
    stamps: Mutex<Vec<(i64, i64)>>,
    caller: Arc<Caller>,
}

/// Serves until dismissed: `/job` counts, `/stamped` also notes when each job arrived, `/slow` and `/brief` take a while,
/// `/accept` and `/accept-awa` answer 202 and call back at once.
pub async fn run() -> anyhow::Result<()> {
    // Each open POST is a file; shells grant 1024.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&format!("ready {}", listener.local_addr()?.port()))?;
    let counts = Arc::new(Counts {
        posts: AtomicU64::new(0),
        open: AtomicU64::new(0),
        stamps: Mutex::default(),
        caller: Arc::default(),
    });
    tokio::spawn(accept(listener, counts));
    until_dismissed().await;
    Ok(())
}

async fn accept(listener: TcpListener, counts: Arc<Counts>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&counts)));
    }
}

async fn connection(stream: TcpStream, counts: Arc<Counts>) {
    // A connection that breaks is its client's affair.
    let _unimportant = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, Arc::clone(&counts)));
    let _unimportant = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, counts: Arc<Counts>) -> Result<Response<Full<Bytes>>, Infallible> {
    let arrived = now_us();
    let (head, body) = request.into_parts();
    let text = match head.uri.path() {
        "/count" => counts.posts.load(Ordering::Acquire).to_string(),
        "/open" => counts.open.load(Ordering::Acquire).to_string(),
        "/stamps" => stamps(&counts),
        "/answered" => counts.caller.answered().to_string(),
        "/callback-times" => counts.caller.take_times(),
        "/refused" => counts.caller.refused().to_string(),
        _ => return Ok(post(&head, arrived, body, &counts).await),
    };
    Ok(Response::new(Full::from(text)))
}

async fn post(head: &Parts, arrived: i64, body: Incoming, counts: &Counts) -> Response<Full<Bytes>> {
    let path = head.uri.path();
    if path == "/stamped" {
        let id = head.headers.get("posthaste-job-id").and_then(|id| id.to_str().ok()?.parse().ok());
        counts.stamps.lock().unwrap_or_else(PoisonError::into_inner).push((id.unwrap_or(0), arrived));
    }
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    counts.posts.fetch_add(1, Ordering::AcqRel);
    if path == "/slow" {
        counts.open.fetch_add(1, Ordering::AcqRel);
        tokio::time::sleep(SLOW).await;
        counts.open.fetch_sub(1, Ordering::AcqRel);
    }
    if path == "/brief" {
        tokio::time::sleep(BRIEF).await;
    }
    let mut response = Response::new(Full::from(Bytes::from_static(b"{\"ok\":true,\"n\":1}")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if !body.starts_with(b"{") {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    } else if path.starts_with("/accept") {
        accept_job(path, &head.headers, &body, counts, &mut response);
    }
    response
}

/// Promises a callback, and makes it.
fn accept_job(path: &str, dispatch: &HeaderMap, body: &[u8], counts: &Counts, response: &mut Response<Full<Bytes>>) {
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert("posthaste-protocol", HeaderValue::from_static("1"));
    if path == "/accept" {
        counts.caller.complete(dispatch);
    } else {
        counts.caller.complete_awa(body);
    }
}

/// What was stamped since the last time, `job microseconds` a line.
fn stamps(counts: &Counts) -> String {
    use std::fmt::Write as _;
    let taken = std::mem::take(&mut *counts.stamps.lock().unwrap_or_else(PoisonError::into_inner));
    taken.iter().fold(String::with_capacity(taken.len() * 24), |mut text, (id, us)| {
        // Writing to a string cannot fail.
        let _ok = writeln!(text, "{id} {us}");
        text
    })
}

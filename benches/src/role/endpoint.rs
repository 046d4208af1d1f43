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
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::{now_us, say, until_dismissed};

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(4);
/// How long `/brief` takes: long enough to begin waiting for it.
const BRIEF: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Counts {
    posts: AtomicU64,
    open: AtomicU64,
    stamps: Mutex<Vec<(i64, i64)>>,
}

/// Serves until dismissed: `/job` counts, `/stamped` also notes when each job arrived, `/slow` and `/brief` take a while.
pub async fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(&format!("ready {}", listener.local_addr()?.port()))?;
    let counts = Arc::new(Counts::default());
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
        path => {
            let id = head.headers.get("posthaste-job-id").and_then(|id| id.to_str().ok()?.parse().ok());
            return Ok(post(path, id, arrived, body, &counts).await);
        }
    };
    Ok(Response::new(Full::from(text)))
}

async fn post(path: &str, id: Option<i64>, arrived: i64, body: Incoming, counts: &Counts) -> Response<Full<Bytes>> {
    if path == "/stamped" {
        counts.stamps.lock().unwrap_or_else(PoisonError::into_inner).push((id.unwrap_or(0), arrived));
    }
    let whole = body.collect().await.is_ok_and(|body| body.to_bytes().starts_with(b"{"));
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
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if !whole {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
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

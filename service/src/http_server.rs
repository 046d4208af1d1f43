//! Serving requests with every bound set: connections, header time, streams, and an end.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{extract::ConnectInfo, response::Response};
use hyper::{
    Request,
    body::Incoming,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::{
    connections::{Activity, Peers},
    shutdown::Shutdown,
};

/// What HTTP/2 clients say first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What hyper needs to read a head at all.
const MIN_HEAD_BYTES: usize = 8 * 1024;
/// How long to leave the listener alone when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The bounds of a server.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// How long a client may take to send a request's head, also on an idle kept-alive HTTP/1 connection.
    pub header_read_timeout: Duration,
    /// How long a connection may be open with no request in flight; a client that answers pings and does no more has so long.
    pub idle_timeout: Duration,
    /// Open connections at once; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// Of these, those of one peer: an IPv4 address, or 64 bits of IPv6. Further ones are closed at once.
    pub max_connections_per_peer: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// The largest head of a request, in bytes: at least 8,192.
    pub max_head_bytes: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(5),
            max_connections: 4096,
            max_connections_per_peer: 4096,
            max_streams: 256,
            max_head_bytes: 64 * 1024,
        }
    }
}

/// What answers requests.
pub trait Handler:
    Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static
{
}

impl<S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Clone + Send + 'static> Handler for S {}

/// Serves HTTP/1 and HTTP/2 (without TLS) until the soft shutdown, then lets requests in flight finish, and
/// returns when they have or at the hard shutdown.
///
/// `handler` is a router of axum, or one service for everything. It finds the peer in `ConnectInfo<SocketAddr>`.
pub async fn serve<H: Handler>(listener: TcpListener, handler: H, limits: HttpLimits, shutdown: Shutdown)
where
    H::Future: Send,
{
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let (peers, connections) = (Peers::default(), TaskTracker::new());
    let builder = builder(&limits);
    loop {
        let (stream, peer, permit) = tokio::select! {
            biased;
            () = shutdown.soft().cancelled() => break,
            accepted = accept(&listener, &permits) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Some(place) = peers.place(peer.ip(), limits.max_connections_per_peer) else {
            tracing::debug!(peer = %peer, "it has as many connections as one may have");
            continue;
        };
        let served = connection(builder.clone(), stream, peer, handler.clone(), limits.clone(), shutdown.clone());
        connections.spawn(async move {
            served.await;
            drop((permit, place));
        });
    }
    drop(listener);
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = shutdown.hard().cancelled() => {}
    }
}

/// Serves one connection until its client ends it, it has been idle for too long, or the shutdown; then lets requests in flight
/// finish. Those of an idle one that are never read are not waited for.
async fn connection<H: Handler>(
    builder: Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
    limits: HttpLimits,
    shutdown: Shutdown,
) where
    H::Future: Send,
{
    // Small answers must not wait for the client's acknowledgement; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let activity = Activity::new();
    let counted = activity.clone();
    let service = tower::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        counted.clone().count(handler.clone().oneshot(request))
    });
    let io = FirstBytesDeadline::new(TokioIo::new(stream), limits.header_read_timeout);
    let mut served = pin!(builder.serve_connection_with_upgrades(io, TowerToHyperService::new(service)));
    let patience = tokio::select! {
        result = served.as_mut() => return ended(peer, result),
        () = activity.idle(limits.idle_timeout) => limits.idle_timeout,
        () = shutdown.soft().cancelled() => Duration::MAX,
    };
    served.as_mut().graceful_shutdown();
    tokio::select! {
        result = served => ended(peer, result),
        () = tokio::time::sleep(patience) => {}
        () = shutdown.hard().cancelled() => {}
    }
}

/// Clients that go away or talk nonsense are their own business.
fn ended<E: std::fmt::Display>(peer: SocketAddr, result: Result<(), E>) {
    if let Err(error) = result {
        tracing::debug!(%error, %peer, "connection ended");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

fn builder(limits: &HttpLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let head_bytes = usize::try_from(limits.max_head_bytes).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size(head_bytes.max(MIN_HEAD_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(limits.max_head_bytes)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Ends a connection that has not said within `limit` whether it speaks HTTP/1 or HTTP/2: hyper's header timeout
/// begins only after that.
struct FirstBytesDeadline {
    inner: TokioIo<TcpStream>,
    /// How much of [`PREFACE`] was read; `None` in `deadline` once it is clear what the client speaks.
    matched: usize,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl FirstBytesDeadline {
    fn new(inner: TokioIo<TcpStream>, limit: Duration) -> Self {
        Self { inner, matched: 0, deadline: Some(Box::pin(tokio::time::sleep(limit))) }
    }

    fn saw(&mut self, bytes: &[u8]) {
        let rest = &PREFACE[self.matched..];
        let compared = bytes.len().min(rest.len());
        self.matched += compared;
        if bytes[..compared] != rest[..compared] || self.matched == PREFACE.len() || bytes.is_empty() {
            self.deadline = None;
        }
    }
}

impl Read for FirstBytesDeadline {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(deadline) = self.deadline.as_mut() else {
            return Pin::new(&mut self.inner).poll_read(context, target);
        };
        if deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let mut bytes = [0; PREFACE.len()];
        let room = target.remaining().min(bytes.len());
        let mut buffer = hyper::rt::ReadBuf::new(&mut bytes[..room]);
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer.unfilled()))?;
        self.saw(buffer.filled());
        target.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for FirstBytesDeadline {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }
}

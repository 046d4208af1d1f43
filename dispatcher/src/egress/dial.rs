//! Dial: a TCP connection with typed errors, made directly or by a proxy that is asked to CONNECT.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use hyper_util::{
    client::legacy::connect::{HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use posthaste_service::config::EgressProxy;
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{
    connector::ConnectFailure,
    policy::EgressPolicy,
    resolver::{GuardedResolver, ResolveError},
};

type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, ConnectFailure>> + Send>>;

/// How TCP connections are made.
#[derive(Clone)]
pub(super) enum Dial {
    /// What a name resolves to is judged, and then dialled.
    Direct(HttpConnector<GuardedResolver>),
    /// The proxy resolves and dials; what it is asked for was judged by its name.
    Proxied(Tunnel<HttpConnector>),
}

impl Dial {
    /// For connections by plain HTTP (`plain`) or by HTTPS.
    pub(super) fn direct(policy: &Arc<EgressPolicy>, plain: bool) -> Self {
        Self::Direct(tuned(HttpConnector::new_with_resolver(GuardedResolver::new(Arc::clone(policy), plain))))
    }

    /// Through a proxy, to port 443 where a target names none.
    pub(super) fn through(proxy: &EgressProxy) -> Self {
        let address = Uri::try_from(proxy.address()).expect("the URL of a proxy was checked");
        let tunnel = Tunnel::new(address, tuned(HttpConnector::new()));
        Self::Proxied(match authorization(proxy) {
            Some(value) => tunnel.with_auth(value),
            None => tunnel,
        })
    }
}

fn authorization(proxy: &EgressProxy) -> Option<HeaderValue> {
    let (user, password) = proxy.credentials()?;
    let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose_secret()));
    HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.as_bytes()))).ok()
}

fn tuned<R>(mut tcp: HttpConnector<R>) -> HttpConnector<R> {
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(15)));
    tcp.set_keepalive_interval(Some(Duration::from_secs(15)));
    tcp.set_keepalive_retries(Some(3));
    tcp
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectFailure;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match self {
            Self::Direct(tcp) => {
                let connecting = tcp.call(target);
                Box::pin(async move { connecting.await.map_err(|error| tcp_failure(&error)) })
            }
            Self::Proxied(tunnel) => {
                let tunneling = tunnel.call(target);
                Box::pin(async move { tunneling.await.map_err(|error| ConnectFailure::Proxy(error.to_string())) })
            }
        }
    }
}

fn tcp_failure(error: &(dyn Error + 'static)) -> ConnectFailure {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(resolve) = error.downcast_ref::<ResolveError>() {
            return match resolve {
                ResolveError::Refused(refusal) => ConnectFailure::Refused(*refusal),
                ResolveError::Lookup(_) | ResolveError::Empty => ConnectFailure::Dns,
            };
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return ConnectFailure::Tcp(io.kind().into());
        }
        cause = error.source();
    }
    ConnectFailure::Tcp(io::ErrorKind::Other.into())
}

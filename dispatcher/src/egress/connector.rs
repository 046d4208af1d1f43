//! Dials: judges literals, resolves, connects and shakes hands, all within one time-out.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tower_service::Service;
use url::Host;

use super::{
    policy::{EgressPolicy, EgressRefusal},
    resolver::{GuardedResolver, ResolveError},
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Why no connection was made. Nothing reached the function.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectFailure {
    #[error(transparent)]
    Refused(EgressRefusal),
    #[error("the name could not be resolved")]
    Dns,
    #[error("no connection within the connect time-out")]
    TimedOut,
    #[error("no TCP connection: {}", .0.kind())]
    Tcp(io::Error),
    #[error("no TLS connection: {0}")]
    Tls(String),
}

impl ConnectFailure {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "egress_forbidden",
            Self::Dns => "dns",
            Self::TimedOut => "connect_timeout",
            Self::Tls(_) => "tls",
            Self::Tcp(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => "refused",
                io::ErrorKind::TimedOut => "connect_timeout",
                io::ErrorKind::ConnectionReset => "reset",
                _ => "unreachable",
            },
        }
    }
}

/// The connector of the one client. Cloned for every request, hence one `Arc`.
#[derive(Clone)]
pub(super) struct Connector(Arc<Parts>);

struct Parts {
    policy: Arc<EgressPolicy>,
    plain: Dial,
    tls: HttpsConnector<Dial>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(policy: Arc<EgressPolicy>, timeout: Duration) -> Self {
        let dial = |plain| Dial::new(GuardedResolver::new(Arc::clone(&policy), plain));
        let tls = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config())
            .https_only()
            .enable_all_versions()
            .wrap_connector(dial(false));
        Self(Arc::new(Parts { plain: dial(true), tls, timeout, policy }))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectFailure;
    type Future = BoxFuture<Result<Stream, ConnectFailure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let parts = Arc::clone(&self.0);
        Box::pin(async move {
            let connecting = parts.connect(target);
            tokio::time::timeout(parts.timeout, connecting).await.unwrap_or(Err(ConnectFailure::TimedOut))
        })
    }
}

impl Parts {
    async fn connect(&self, target: Uri) -> Result<Stream, ConnectFailure> {
        let plain = judge(&self.policy, &target).map_err(ConnectFailure::Refused)?;
        if plain {
            return self.plain.clone().call(target).await.map(MaybeHttpsStream::Http);
        }
        self.tls.clone().call(target).await.map_err(|error| match error.downcast::<ConnectFailure>() {
            Ok(failure) => *failure,
            // Everything that is not ours comes from the handshake.
            Err(error) => ConnectFailure::Tls(tls_reason(&*error)),
        })
    }
}

/// Judges scheme, credentials and literal (the resolver never sees literals); says whether it is plain HTTP.
fn judge(policy: &EgressPolicy, target: &Uri) -> Result<bool, EgressRefusal> {
    let plain = match target.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => false,
        Some(scheme) if *scheme == Scheme::HTTP => true,
        _ => return Err(EgressRefusal::Scheme),
    };
    let authority = target.authority().ok_or(EgressRefusal::NoHost)?;
    if authority.as_str().contains('@') {
        return Err(EgressRefusal::UserInfo);
    }
    // The URL standard's parser knows every spelling of an address: `0x7f.1` is a literal to it.
    match Host::parse(authority.host()).map_err(|_| EgressRefusal::NoHost)? {
        Host::Domain(name) => drop(policy.judge_name(&name, plain)?),
        Host::Ipv4(v4) => policy.judge_literal(v4.into(), plain)?,
        Host::Ipv6(v6) => policy.judge_literal(v6.into(), plain)?,
    }
    Ok(plain)
}

/// TCP with typed errors.
#[derive(Clone)]
struct Dial(HttpConnector<GuardedResolver>);

impl Dial {
    fn new(resolver: GuardedResolver) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(15)));
        tcp.set_keepalive_interval(Some(Duration::from_secs(15)));
        tcp.set_keepalive_retries(Some(3));
        Self(tcp)
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectFailure;
    type Future = BoxFuture<Result<Self::Response, ConnectFailure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move { connecting.await.map_err(|error| tcp_failure(&error)) })
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

/// What the handshake failed on: rustls's own words, or the kind of I/O error.
fn tls_reason(error: &(dyn Error + 'static)) -> String {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return tls.to_string();
    }
    let Some(io) = error.downcast_ref::<io::Error>() else { return "handshake failed".to_owned() };
    match io.get_ref() {
        Some(inner) => tls_reason(inner),
        None => io.kind().to_string(),
    }
}

fn tls_config() -> ClientConfig {
    let builder = || {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
    };
    match builder().with_native_roots() {
        Ok(config) => config.with_no_client_auth(),
        Err(error) => {
            // A container without certificates can still reach what is allowed by plain HTTP.
            tracing::warn!(%error, "no root certificates found: every https endpoint will fail with `tls`");
            builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    }
}

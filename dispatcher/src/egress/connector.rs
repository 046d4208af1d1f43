//! Dials: judges literals, resolves, connects and shakes hands, all within one time-out.

use std::{
    error::Error,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;
use url::Host;

use super::{
    client::ClientOptions,
    dial::Dial,
    policy::{EgressPolicy, EgressRefusal, Trust},
    tls,
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
    #[error("no connection through the proxy: {0}")]
    Proxy(String),
}

impl ConnectFailure {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "egress_forbidden",
            Self::Dns => "dns",
            Self::TimedOut => "connect_timeout",
            Self::Tls(_) => "tls",
            Self::Proxy(_) => "proxy",
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
    /// For what is public, where there is a proxy.
    proxied: Option<HttpsConnector<Dial>>,
    timeout: Duration,
}

/// How a target is dialled.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Plain HTTP, to what the operator lists.
    Plain,
    /// HTTPS to what the operator lists, or to a local name that resolves to it.
    Listed,
    /// HTTPS to everything else.
    Public,
}

impl Connector {
    pub(super) fn new(policy: Arc<EgressPolicy>, options: &ClientOptions) -> Self {
        let config = options.tls.as_deref().cloned().unwrap_or_else(tls::default_config);
        let secured = |dial| {
            let builder = HttpsConnectorBuilder::new().with_tls_config(config.clone());
            builder.https_only().enable_all_versions().wrap_connector(dial)
        };
        let tls = secured(Dial::direct(&policy, false));
        let proxied = options.proxy.as_ref().map(|proxy| secured(Dial::through(proxy)));
        let timeout = options.connect_timeout;
        Self(Arc::new(Parts { plain: Dial::direct(&policy, true), tls, proxied, timeout, policy }))
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
        let way = judge(&self.policy, &target).map_err(ConnectFailure::Refused)?;
        let tls = match (&way, &self.proxied) {
            (Way::Plain, _) => return self.plain.clone().call(target).await.map(MaybeHttpsStream::Http),
            (Way::Public, Some(proxied)) => proxied,
            (Way::Public | Way::Listed, _) => &self.tls,
        };
        tls.clone().call(target).await.map_err(|error| match error.downcast::<ConnectFailure>() {
            Ok(failure) => *failure,
            // Everything that is not ours comes from the handshake.
            Err(error) => ConnectFailure::Tls(tls_reason(&*error)),
        })
    }
}

/// Judges scheme, credentials and literal (the resolver never sees literals), and says how to dial.
fn judge(policy: &EgressPolicy, target: &Uri) -> Result<Way, EgressRefusal> {
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
    let address: IpAddr = match Host::parse(authority.host()).map_err(|_| EgressRefusal::NoHost)? {
        Host::Domain(name) => {
            return Ok(match policy.judge_name(&name, plain)? {
                _ if plain => Way::Plain,
                Trust::Public => Way::Public,
                Trust::Listed | Trust::ListedAddresses => Way::Listed,
            });
        }
        Host::Ipv4(v4) => v4.into(),
        Host::Ipv6(v6) => v6.into(),
    };
    policy.judge_literal(address, plain)?;
    Ok(match policy.lists_address(address) {
        _ if plain => Way::Plain,
        true => Way::Listed,
        false => Way::Public,
    })
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

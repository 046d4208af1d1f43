//! Looks names up and drops every address that may not be dialled: what was checked is what is dialled.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::policy::{EgressPolicy, EgressRefusal};

/// Why a name yields no address to dial.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The lookup itself failed.
    #[error("the name could not be resolved")]
    Lookup(#[source] io::Error),
    /// The lookup found nothing.
    #[error("the name has no address")]
    Empty,
    /// The name, or every address of it, is refused.
    #[error(transparent)]
    Refused(EgressRefusal),
}

/// `getaddrinfo`, then the policy.
#[derive(Debug, Clone)]
pub struct GuardedResolver {
    policy: Arc<EgressPolicy>,
    plain: bool,
}

impl GuardedResolver {
    /// A resolver for connections by plain HTTP (`plain`) or by HTTPS.
    pub fn new(policy: Arc<EgressPolicy>, plain: bool) -> Self {
        Self { policy, plain }
    }

    async fn lookup(self, name: Name) -> Result<vec::IntoIter<SocketAddr>, ResolveError> {
        // Refused names are not even looked up: a query can carry data out.
        let trust = self.policy.judge_name(name.as_str(), self.plain).map_err(ResolveError::Refused)?;
        let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(ResolveError::Lookup)?;
        let (mut allowed, mut refusal) = (Vec::new(), None);
        for address in found {
            match self.policy.judge_address(address.ip(), trust) {
                Ok(()) => allowed.push(address),
                Err(why) => refusal = Some(why),
            }
        }
        match refusal {
            _ if !allowed.is_empty() => Ok(allowed.into_iter()),
            Some(why) => Err(ResolveError::Refused(why)),
            None => Err(ResolveError::Empty),
        }
    }
}

impl Service<Name> for GuardedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().lookup(name))
    }
}

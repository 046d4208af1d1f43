//! Reach: whether an endpoint can be dialled at all, guarded as every POST is. Nothing is sent.

use std::{sync::Arc, time::Duration};

use http::Uri;
use posthaste_protocol::{endpoint::EndpointSpec, excerpt};
use posthaste_service::config::EgressProxy;
use tokio::time::Instant;
use tower_service::Service as _;

use super::{
    client::ClientOptions,
    connector::Connector,
    error::{Class, SendError},
    policy::EgressPolicy,
};
use crate::own_client::Files;

/// Resolves, connects and shakes hands with the server of `spec`, with its own TLS, and says how long that took.
pub async fn reach(
    policy: &EgressPolicy,
    proxy: Option<&EgressProxy>,
    spec: &EndpointSpec,
) -> Result<Duration, SendError> {
    let refused = |code, message: String| SendError { class: Class::NotSent, code, message };
    policy.check_url(&spec.url).map_err(|refusal| refused("egress_forbidden", refusal.to_string()))?;
    let uri: Uri =
        spec.url.as_str().parse().map_err(|_| refused("egress_forbidden", "the URL cannot be dialled".to_owned()))?;
    let own = spec.tls.as_ref().map(|tls| Files::read(tls)?.config()).transpose();
    let tls = own.map_err(|reason| refused("tls", reason))?;
    let options = ClientOptions { proxy: proxy.cloned(), tls, ..ClientOptions::default() };
    let started = Instant::now();
    let mut connector = Connector::new(Arc::new(policy.clone()), &options);
    let connecting = connector.call(uri).await;
    let failed = |message: String| excerpt::clean(message.as_bytes(), 512);
    connecting.map(drop).map_err(|failure| refused(failure.code(), failed(failure.to_string())))?;
    Ok(started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_listens_is_reached_and_what_does_not_is_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(r#"{{"url":"http://{}/f"}}"#, listener.local_addr().unwrap());
        let spec = EndpointSpec::parse(&url).unwrap();
        let policy = EgressPolicy::from_entries(["127.0.0.0/8"]).unwrap();

        assert!(reach(&policy, None, &spec).await.is_ok());
        assert_eq!(reach(&EgressPolicy::default(), None, &spec).await.unwrap_err().code, "egress_forbidden");
        drop(listener);
        assert_eq!(reach(&policy, None, &spec).await.unwrap_err().code, "refused");
    }

    #[tokio::test]
    async fn a_certificate_that_cannot_be_read_is_named() {
        let spec = r#"{"url":"https://a.example/","tls":{"ca":{"file":"/no/such/ca.pem"}}}"#;
        let spec = EndpointSpec::parse(spec).unwrap();
        let said = reach(&EgressPolicy::default(), None, &spec).await.unwrap_err();
        assert!(said.code == "tls" && said.message.contains("tls.ca: ") && said.message.contains("ca.pem"), "{said}");
    }
}

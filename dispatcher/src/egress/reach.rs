//! Reach: whether a target can be dialled at all, guarded as every POST is. Nothing is sent.

use std::{sync::Arc, time::Duration};

use http::Uri;
use posthaste_protocol::excerpt;
use tokio::time::Instant;
use tower_service::Service as _;
use url::Url;

use super::{
    client::ClientOptions,
    connector::Connector,
    error::{Class, SendError},
    policy::EgressPolicy,
};

/// Resolves, connects and shakes hands with the server of `url`, and says how long that took.
pub async fn reach(policy: &EgressPolicy, options: &ClientOptions, url: &Url) -> Result<Duration, SendError> {
    let refused = |code, message: String| SendError { class: Class::NotSent, code, message };
    policy.check_url(url).map_err(|refusal| refused("egress_forbidden", refusal.to_string()))?;
    let uri: Uri =
        url.as_str().parse().map_err(|_| refused("egress_forbidden", "the URL cannot be dialled".to_owned()))?;
    let started = Instant::now();
    let mut connector = Connector::new(Arc::new(policy.clone()), options);
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
        let url = Url::parse(&format!("http://{}/f", listener.local_addr().unwrap())).unwrap();
        let (policy, options) = (EgressPolicy::from_entries(["127.0.0.0/8"]).unwrap(), ClientOptions::default());

        assert!(reach(&policy, &options, &url).await.is_ok());
        assert_eq!(reach(&EgressPolicy::default(), &options, &url).await.unwrap_err().code, "egress_forbidden");
        drop(listener);
        assert_eq!(reach(&policy, &options, &url).await.unwrap_err().code, "refused");
    }
}

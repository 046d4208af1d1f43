//! Bare loop: the product's own HTTP client and nothing else, 64 in flight. The limit of the machine in these minutes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header::CONTENT_TYPE};
use posthaste_dispatcher::egress::{Client, ClientOptions, EgressPolicy};

use super::{say, until_dismissed};
use crate::lab::job;

/// As many as an endpoint takes by default.
const IN_FLIGHT: u64 = 64;
const BODY_CAP: usize = 1 << 20;

/// POSTs `count` bodies as large as the dispatcher's, says how long that took, and waits to be looked at.
pub async fn run(url: &str, count: u64) -> anyhow::Result<()> {
    let uri: Uri = url.parse()?;
    let client = Client::new(EgressPolicy::from_entries(["127.0.0.0/8"])?, &ClientOptions::default());
    let body = Bytes::from(job::envelope());
    let left = Arc::new(AtomicU64::new(count));
    let started = Instant::now();
    let loops: Vec<_> = (0..IN_FLIGHT)
        .map(|_| tokio::spawn(post_all(client.clone(), uri.clone(), body.clone(), Arc::clone(&left))))
        .collect();
    for one in loops {
        one.await??;
    }
    say(&format!("done {}", started.elapsed().as_secs_f64()))?;
    until_dismissed().await;
    Ok(())
}

async fn post_all(client: Client, uri: Uri, body: Bytes, left: Arc<AtomicU64>) -> anyhow::Result<()> {
    while left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let answer = client.post(uri.clone(), headers, body.clone(), deadline, BODY_CAP).await;
        let answer = answer.map_err(|error| anyhow::anyhow!("a bare POST failed: {error:?}"))?;
        anyhow::ensure!(answer.status.is_success(), "the endpoint answered {}", answer.status);
    }
    Ok(())
}

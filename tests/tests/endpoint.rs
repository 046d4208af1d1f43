//! The fake endpoint does what its script says.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic; the lint's exception covers test functions only")]

use std::sync::Arc;

use posthaste_tests::{Answer, FakeEndpoint, Gate};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
};

/// Sends one request and reads until the endpoint closes.
async fn post(endpoint: &FakeEndpoint, path: &str, kind: &str) -> std::io::Result<String> {
    let mut stream = send(endpoint, path, kind).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn send(endpoint: &FakeEndpoint, path: &str, kind: &str) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint.address()).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nposthaste-kind: {kind}\r\ncontent-length: 7\r\n\r\n{{\"a\":1}}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn requests_are_remembered_and_answered_by_the_script() {
    let endpoint = FakeEndpoint::start().await;
    endpoint.on("flaky", [Answer::status(500).body("oops"), Answer::status(429).header("retry-after", "3")]);
    endpoint.on("/gone", [Answer::status(410)]);

    assert!(post(&endpoint, "/a", "flaky").await.unwrap().starts_with("HTTP/1.1 500"));
    assert!(post(&endpoint, "/a", "flaky").await.unwrap().contains("retry-after: 3"));
    assert!(post(&endpoint, "/a", "flaky").await.unwrap().starts_with("HTTP/1.1 429"));
    assert!(post(&endpoint, "/gone", "other").await.unwrap().starts_with("HTTP/1.1 410"));
    assert!(post(&endpoint, "/a", "other").await.unwrap().ends_with("null"));

    let requests = endpoint.requests(5).await;
    assert_eq!((requests[0].header("posthaste-kind"), requests[0].uri.path()), ("flaky", "/a"));
    assert_eq!(requests[4].json(), serde_json::json!({"a": 1}));
    assert_eq!(endpoint.url("/x"), format!("http://{}/x", endpoint.address()));
}

#[tokio::test]
async fn an_answer_waits_for_its_gate_and_together_for_the_others() {
    let endpoint = Arc::new(FakeEndpoint::start().await);
    let (gate, barrier) = (Gate::default(), Arc::new(Barrier::new(2)));
    endpoint.on("gated", [Answer::status(204).when(&gate)]);
    endpoint.on("pair", [Answer::status(200).together(&barrier)]);

    let (one, two) = tokio::join!(post(&endpoint, "/", "pair"), post(&endpoint, "/", "pair"));
    assert!(one.unwrap().starts_with("HTTP/1.1 200") && two.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(endpoint.most_open(), 2);

    let other = Arc::clone(&endpoint);
    let waiting = tokio::spawn(async move { post(&other, "/", "gated").await.unwrap() });
    endpoint.requests(3).await;
    assert!(!waiting.is_finished());
    gate.open();
    assert!(waiting.await.unwrap().starts_with("HTTP/1.1 204"));
}

#[tokio::test]
async fn connections_are_cut_before_or_within_an_answer() {
    let endpoint = FakeEndpoint::start().await;
    endpoint.on("cut", [Answer::cut()]);
    endpoint.on("part", [Answer::cut_mid_body("half of ")]);

    let cut = post(&endpoint, "/", "cut").await;
    assert!(cut.as_ref().map_or(true, String::is_empty), "{cut:?}");
    let mut stream = send(&endpoint, "/", "part").await;
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).await;
    assert!(end.is_err(), "a reset, not an orderly end: {end:?}");
    assert!(String::from_utf8_lossy(&answer).contains("half of "), "{answer:?}");
}

#[tokio::test]
async fn a_caller_who_gives_up_is_noticed() {
    let endpoint = FakeEndpoint::start().await;
    endpoint.otherwise(Answer::status(200).when(&Gate::default()));
    let stream = send(&endpoint, "/", "k").await;
    endpoint.requests(1).await;
    drop(stream);
    endpoint.given_up(1).await;
}

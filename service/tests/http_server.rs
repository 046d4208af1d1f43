//! The HTTP server bounds connections and header time, and ends gracefully.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, routing::get};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use posthaste_service::{
    http_server::{HttpLimits, serve},
    shutdown::Shutdown,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

async fn start(router: Router, limits: HttpLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let task = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    Server { address, shutdown, task }
}

async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A connection that the server resets counts as an empty answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn quick() -> HttpLimits {
    HttpLimits { header_read_timeout: Duration::from_millis(100), ..HttpLimits::default() }
}

#[tokio::test]
async fn a_handler_sees_its_peer() {
    let router =
        Router::new().route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()));
    let server = start(router, HttpLimits::default()).await;
    let answer = exchange(server.address, REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
}

#[tokio::test]
async fn clients_that_do_not_finish_their_head_are_dropped() {
    let server = start(Router::new(), quick()).await;
    // Silence, the first letters of an HTTP/2 preface, half a head: each answer ends although we send no more.
    for beginning in ["", "P", "PRI * HT", "GET / HTTP/1.1\r\nhost:"] {
        let answer = exchange(server.address, beginning.as_bytes()).await;
        assert!(!answer.contains(" 200 "), "{beginning:?} got {answer}");
    }
}

#[tokio::test]
async fn a_slow_handler_is_not_cut_by_the_header_timeout() {
    let (server, entered, release) = start_held(quick()).await;
    let request = tokio::spawn(exchange(server.address, REQUEST));
    entered.notified().await;

    // Its end tells that the header timeout has passed.
    exchange(server.address, b"").await;
    release.notify_one();

    let answer = request.await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let server = start(Router::new().route("/", get(async || "two")), quick()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(format!("http://{}/", server.address)).body(String::new()).unwrap();

    let response = sender.send_request(request).await.unwrap();

    assert_eq!(response.version(), hyper::Version::HTTP_2);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "two");
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_a_free_place() {
    let limits = HttpLimits { max_connections: 1, ..quick() };
    let server = start(Router::new().route("/", get(async || "ok")), limits).await;
    // Holds the only place until its header time is over.
    let _idle = TcpStream::connect(server.address).await.unwrap();
    let answer = exchange(server.address, REQUEST).await;
    assert!(answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn an_http_2_connection_that_only_answers_pings_is_ended() {
    let limits = HttpLimits { idle_timeout: Duration::from_millis(100), ..HttpLimits::default() };
    let server = start(Router::new(), limits).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, String>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::time::timeout(Duration::from_secs(10), connection).await.expect("an end").unwrap();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn a_connection_with_a_request_in_flight_is_not_idle() {
    let limits = HttpLimits { idle_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let (server, entered, release) = start_held(limits).await;
    let request = tokio::spawn(exchange(server.address, REQUEST));
    entered.notified().await;
    // The end of another tells that the time is over.
    assert_eq!(exchange(server.address, b"").await, "");
    release.notify_one();
    assert!(request.await.unwrap().ends_with("done"));
}

#[tokio::test]
async fn one_peer_has_no_more_connections_than_its_own_bound() {
    let limits = HttpLimits { max_connections_per_peer: 1, ..HttpLimits::default() };
    let (server, entered, release) = start_held(limits).await;
    let first = tokio::spawn(exchange(server.address, REQUEST));
    entered.notified().await;
    assert_eq!(exchange(server.address, REQUEST).await, "", "closed at once");
    release.notify_one();
    assert!(first.await.unwrap().ends_with("done"));
}

/// A server whose one handler says when it was entered and then waits to be let go.
async fn start_held(limits: HttpLimits) -> (Server, Arc<Notify>, Arc<Notify>) {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (enter, wait) = (Arc::clone(&entered), Arc::clone(&release));
    let handler = move || async move {
        enter.notify_one();
        wait.notified().await;
        "done"
    };
    let server = start(Router::new().route("/", get(handler)), limits).await;
    (server, entered, release)
}

#[tokio::test]
async fn a_soft_shutdown_lets_requests_in_flight_finish() {
    let (server, entered, release) = start_held(HttpLimits::default()).await;
    let request = tokio::spawn(exchange(server.address, REQUEST));
    entered.notified().await;

    server.shutdown.begin();
    release.notify_one();

    assert!(request.await.unwrap().ends_with("done"));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_hard_shutdown_waits_for_nobody() {
    let (server, entered, _release) = start_held(HttpLimits::default()).await;
    let request = tokio::spawn(exchange(server.address, REQUEST));
    entered.notified().await;

    server.shutdown.force();

    server.task.await.unwrap();
    assert_eq!(request.await.unwrap(), "");
}

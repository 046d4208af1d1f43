//! The client against a server made of bytes.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Uri};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

use super::*;

const CAP: usize = 1024;
const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

fn client(allowed: &[&str]) -> Client {
    let policy = EgressPolicy::from_entries(allowed.iter().copied()).unwrap();
    Client::new(policy, &ClientOptions { connect_timeout: Duration::from_secs(2), ..ClientOptions::default() })
}

async fn post_within(client: &Client, url: &str, within: Duration) -> Result<Answer, SendError> {
    let uri: Uri = url.parse().unwrap();
    client.post(uri, HeaderMap::new(), Bytes::from_static(b"{\"a\":1}"), Instant::now() + within, CAP).await
}

async fn post(client: &Client, url: &str) -> Result<Answer, SendError> {
    post_within(client, url, LONG).await
}

/// A server that gives each connection, numbered from 0, to `serve`.
async fn server<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(serve(number, stream));
        }
    });
    address
}

/// Reads one whole request and returns it; empty at the end of the connection.
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"{\"a\":1}") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return String::new();
        }
    }
    String::from_utf8(read).unwrap()
}

/// A server that answers every request with the same bytes and keeps the connection open.
async fn canned(answer: impl Into<Vec<u8>>) -> String {
    let answer: Vec<u8> = answer.into();
    let address = server(move |_, mut stream| {
        let answer = answer.clone();
        async move {
            while !request(&mut stream).await.is_empty() {
                let _ = stream.write_all(&answer).await;
            }
        }
    })
    .await;
    format!("http://{address}/f")
}

#[tokio::test]
async fn an_answer_comes_back_with_status_headers_and_body() {
    let url = canned("HTTP/1.1 201 Created\r\nx-a: b\r\ncontent-length: 2\r\n\r\nok").await;
    let answer = post(&client(&["127.0.0.1"]), &url).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..], answer.body_over_cap), (201, &b"ok"[..], false));
    assert_eq!(answer.headers["x-a"], "b");
    assert!(answer.headers_us > 0 && !answer.body_cut_short);
}

#[tokio::test]
async fn identity_is_asked_for_and_the_body_is_sent_whole() {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let address = server(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(request(&mut stream).await).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let answer = post(&client(&["127.0.0.1"]), &format!("http://{address}/f?x=1")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /f?x=1 HTTP/1.1\r\n"), "{request}");
    for header in ["accept-encoding: identity\r\n", "content-length: 7\r\n", &format!("host: {address}\r\n")] {
        assert!(request.contains(header), "{header} not in {request}");
    }
}

#[tokio::test]
async fn a_closed_port_is_refused_and_not_sent() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = post(&client(&["127.0.0.1"]), &format!("http://{address}/secret")).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::NotSent, "refused"));
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_sent() {
    let address = server(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let error = post(&client(&["127.0.0.1"]), &format!("https://{address}/f")).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::NotSent, "tls"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_finishes_the_handshake_is_not_sent() {
    let address = server(|_, stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let client = client(&["127.0.0.1"]);
    let error = post_within(&client, &format!("https://{address}/f"), SOON).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::NotSent, "timeout"));
    let error = post(&client, &format!("https://{address}/f")).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::NotSent, "connect_timeout"));
}

#[tokio::test]
async fn a_deadline_in_the_past_sends_nothing() {
    let error = post_within(&client(&[]), "https://example.com/", Duration::ZERO).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::NotSent, "timeout"));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_sent() {
    let error = post(&client(&[]), "https://no-such-host.invalid/").await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::NotSent, "dns"), "{error}");
}

#[tokio::test]
async fn a_connection_closed_after_the_request_is_unknown() {
    let address = server(|_, mut stream| async move {
        request(&mut stream).await;
    })
    .await;
    let error = post(&client(&["127.0.0.1"]), &format!("http://{address}/f")).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Unknown, "reset"));
}

#[tokio::test]
async fn an_idle_connection_that_died_is_replaced_without_a_second_delivery() {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let address = server(move |number, mut stream| {
        let seen = seen.clone();
        async move {
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            drop(stream);
            seen.send(number).unwrap();
        }
    })
    .await;
    let client = client(&["127.0.0.1"]);
    for number in 0..20 {
        post(&client, &format!("http://{address}/f")).await.unwrap();
        // Only once the connection is closed may the next request try it.
        assert_eq!(requests.recv().await, Some(number));
    }
}

#[tokio::test]
async fn no_answer_before_the_deadline_is_unknown() {
    let address = server(|_, mut stream| async move {
        request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let error = post_within(&client(&["127.0.0.1"]), &format!("http://{address}/f"), SOON).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Unknown, "timeout"));
}

/// Sends `head`, then a byte of `drip` for ever, every ten milliseconds.
async fn dripping(head: &'static str, drip: &'static [u8]) -> String {
    let address = server(move |_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while stream.write_all(drip).await.is_ok() {
            ticks.tick().await;
        }
    })
    .await;
    format!("http://{address}/f")
}

#[tokio::test]
async fn trickling_headers_do_not_move_the_deadline() {
    let url = dripping("HTTP/1.1 200 OK\r\nx-a: ", b"a").await;
    let started = Instant::now();
    let error = post_within(&client(&["127.0.0.1"]), &url, SOON).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Unknown, "timeout"));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_trickling_result_does_not_move_the_deadline() {
    let url = dripping("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"a").await;
    let error = post_within(&client(&["127.0.0.1"]), &url, SOON).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Unknown, "timeout"));
}

#[tokio::test]
async fn an_error_status_is_known_although_its_body_breaks_off() {
    let url = dripping("HTTP/1.1 422 No\r\ncontent-length: 1000\r\n\r\nwhy", b"y").await;
    let answer = post_within(&client(&["127.0.0.1"]), &url, SOON).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body_cut_short), (422, true));
    assert!(answer.body.starts_with(b"why"));
}

#[tokio::test]
async fn a_result_that_breaks_off_is_unknown() {
    let address = server(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let error = post(&client(&["127.0.0.1"]), &format!("http://{address}/f")).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::Unknown, "reset"));
}

#[tokio::test]
async fn a_gigabyte_stops_at_the_cap_and_the_connection_is_closed() {
    for head in ["content-length: 1000000000", "transfer-encoding: chunked"] {
        let (sent, mut sizes) = mpsc::unbounded_channel();
        let address = server(move |_, mut stream| {
            let sent = sent.clone();
            async move {
                request(&mut stream).await;
                stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()).await.unwrap();
                let part = [&b"10000\r\n"[..], &vec![b'x'; 65536], b"\r\n"].concat();
                let mut bytes = 0_usize;
                while bytes < 1_000_000_000 && stream.write_all(&part).await.is_ok() {
                    bytes += part.len();
                }
                sent.send(bytes).unwrap();
            }
        })
        .await;
        let answer = post(&client(&["127.0.0.1"]), &format!("http://{address}/f")).await.unwrap();
        assert_eq!((answer.body.len(), answer.body_over_cap), (CAP, true), "{head}");
        let bytes = sizes.recv().await.unwrap();
        assert!(bytes < 100_000_000, "{head}: the server could write {bytes} bytes");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let url = canned("HTTP/1.1 307 Go\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n").await;
    let answer = post(&client(&["127.0.0.1"]), &url).await.unwrap();
    assert_eq!(answer.status.as_u16(), 307);
}

#[tokio::test]
async fn a_compressed_answer_is_handed_on_as_it_is() {
    let url = canned("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x08\x00").await;
    let answer = post(&client(&["127.0.0.1"]), &url).await.unwrap();
    assert_eq!(&answer.body[..], b"\x1f\x08\x00");
    assert_eq!(answer.headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error_of_a_request_that_was_sent() {
    let huge = format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "a".repeat(64 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(101));
    for answer in ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 banana\r\n\r\n", &huge, &many] {
        let error = post(&client(&["127.0.0.1"]), &canned(answer).await).await.unwrap_err();
        assert_eq!((error.class, error.code), (Class::Unknown, "protocol"), "{answer:.40}");
    }
}

#[tokio::test]
async fn private_literals_and_names_are_not_dialled() {
    let (dialled, mut connections) = mpsc::unbounded_channel();
    let address = server(move |number, _| {
        let _ = dialled.send(number);
        async {}
    })
    .await;
    let port = address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://0x7f.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://user:pass@127.0.0.1:{port}/"),
        format!("http://example.com:{port}/"),
    ] {
        let error = post(&client(&[]), &url).await.unwrap_err();
        assert_eq!((error.class, error.code), (Class::NotSent, "egress_forbidden"), "{url}: {error}");
    }
    assert!(connections.try_recv().is_err());
}

#[tokio::test]
async fn a_name_for_loopback_is_dialled_only_if_name_or_address_is_allowed() {
    let url = canned("HTTP/1.1 204 No Content\r\n\r\n").await.replace("127.0.0.1", "localhost");
    for allowed in [&["localhost"][..], &["127.0.0.0/8", "::1"]] {
        assert_eq!(post(&client(allowed), &url).await.unwrap().status.as_u16(), 204);
    }
    let error = post(&client(&["10.0.0.0/8"]), &url).await.unwrap_err();
    assert_eq!((error.class, error.code), (Class::NotSent, "egress_forbidden"));
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let address = server(|number, mut stream| async move {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
        while !request(&mut stream).await.is_empty() {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let client = client(&["127.0.0.1"]);
    for _ in 0..10 {
        let answer = post(&client, &format!("http://{address}/f")).await.unwrap();
        assert_eq!(&answer.body[..], b"0");
    }
}

#[tokio::test]
async fn informational_answers_are_skipped() {
    let url = canned("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(post(&client(&["127.0.0.1"]), &url).await.unwrap().status.as_u16(), 204);
}

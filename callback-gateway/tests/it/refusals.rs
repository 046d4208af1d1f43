//! Refusals: each stage of the way in, and that what comes after it was not begun.

use std::time::Instant;

use posthaste_protocol::{
    key_ring::KeyRing,
    token::{Claims, TokenKind},
};
use posthaste_service::clock;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    client::{Answer, answer, exchange, post, request},
    rig::{Rig, Served, bearing, claims, entry, ring},
};

/// Where no Postgres is.
const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/nothing";

#[tokio::test]
async fn every_bad_token_has_one_answer_and_asks_the_database_nothing() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    // Without a database, whatever asks it is a 503.
    let gateway = Served::start(NOWHERE).await;
    gateway.ring.store(KeyRing::parse(&format!("{},9:revoked", entry(1))).unwrap().into());
    assert_eq!(gateway.call(&gateway.token(&run), "complete", "{}").await.status, 503);
    let good = gateway.token(&run);
    let other_ring = |kid| posthaste_protocol::token::mint(&ring(kid), &claims(&run)).expose().to_owned();
    let mut forged = good.clone().into_bytes();
    forged[50] = if forged[50] == b'A' { b'B' } else { b'A' };

    let mut answers = Vec::new();
    for bad in [
        String::new(),
        "ph1.".to_owned(),
        "x".repeat(130),
        format!("{good}A"),
        String::from_utf8(forged).unwrap(),
        other_ring(2),
        other_ring(9),
        gateway.token_of(&Claims { kind: TokenKind::Hook, ..claims(&run) }),
        gateway.token_of(&Claims { expires_at_unix: clock::unix_now(), ..claims(&run) }),
    ] {
        answers.push((gateway.call(&bad, "complete", "{}").await, bad));
    }
    answers.push((exchange(gateway.address, &post("/v1/callbacks/complete", &[], b"{}")).await, "none".to_owned()));

    let (first, _) = answers[0].clone();
    assert_eq!((first.status, first.word()), (401, "invalid_token"));
    assert_eq!(first.header("www-authenticate"), Some("bearer"));
    for (answer, token) in answers {
        assert_eq!(answer, first, "{token}");
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_before_its_body_is_read_or_its_type_looked_at() {
    let gateway = Served::start(NOWHERE).await;
    let head = bearing("ph1.x", "complete", &["content-type: text/plain", "content-length: 1000000"], b"");
    // The body never comes.
    let answer = exchange(gateway.address, &head).await;
    assert_eq!((answer.status, answer.word()), (401, "invalid_token"));
}

#[tokio::test]
async fn bad_tokens_of_one_peer_are_limited_and_good_ones_are_not() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let mut limited = 0;
    for _ in 0..200 {
        let answer = rig.gateway.call("ph1.x", "complete", "{}").await;
        if answer.status == 429 {
            assert_eq!((answer.word(), answer.header("retry-after")), ("rate_limited", Some("1")));
            limited += 1;
        }
    }
    assert!(limited > 0);
    assert_eq!(rig.call(&run, "complete", "{}").await.status, 200);
    let metrics = rig.gateway.registry.render();
    assert!(metrics.contains(r#"posthaste_gateway_token_faults_total{fault="malformed"} 200"#), "{metrics}");
    assert!(metrics.contains(&format!(r#"posthaste_gateway_rate_limited_total{{limit="bad_tokens"}} {limited}"#)));
}

#[tokio::test]
async fn a_malformed_body_is_refused_with_what_is_wrong() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);
    let large = format!(r#"{{"result": "{}"}}"#, "x".repeat(1 << 20));
    let larger = "x".repeat(2 << 20);
    let send = async |action: &str, headers: &[&str], body: &[u8]| -> Answer {
        exchange(rig.gateway.address, &bearing(&token, action, headers, body)).await
    };
    for (action, headers, body, status, word) in [
        ("complete", &[][..], &b"{"[..], 400, "malformed_json"),
        ("complete", &[], b"\xff", 400, "malformed_json"),
        ("complete", &[], large.as_bytes(), 413, "payload_too_large"),
        ("complete", &[], larger.as_bytes(), 413, "payload_too_large"),
        ("complete", &["content-type: text/plain"], b"{}", 415, "unsupported_media_type"),
        ("complete", &["content-encoding: gzip"], b"{}", 415, "unsupported_media_type"),
        ("complete", &[], b"[]", 422, "invalid"),
        ("complete", &[], br#"{"results": 1}"#, 422, "invalid"),
        ("complete", &[], br#"{"result": "\u0000"}"#, 422, "invalid"),
        ("heartbeat", &[], br#"{"extend_ms": 0}"#, 422, "invalid"),
        ("progress", &[], br#"{"percent": 101}"#, 422, "invalid"),
    ] {
        let answer = send(action, headers, body).await;
        assert_eq!((answer.status, answer.word()), (status, word), "{action} {headers:?} {:?}", body.get(..30));
        assert_eq!(answer.body["type"], format!("/problems/{word}"));
    }
    assert_eq!(rig.state(&run).await, "waiting");
}

#[tokio::test]
async fn nothing_but_post_has_an_effect_anywhere() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        for path in [format!("/v1/callbacks/{token}/complete"), format!("/v1/hooks/{token}"), "/".to_owned()] {
            let answer = exchange(rig.gateway.address, &request(method, &path, &[], b"")).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("post")), "{method} {path}");
        }
    }
    assert_eq!(rig.state(&run).await, "waiting");
}

#[tokio::test]
async fn what_is_nowhere_is_404_and_does_not_repeat_the_path() {
    let gateway = Served::start(NOWHERE).await;
    for path in [
        "/",
        "/livez",
        "/metrics",
        "/v1/jobs",
        "/v1/callbacks",
        "/v1/callbacks/ph1.secret",
        "/v1/callbacks/ph1.secret/finish",
    ] {
        let answer = exchange(gateway.address, &post(path, &[], b"{}")).await;
        assert_eq!((answer.status, answer.word()), (404, "not_found"), "{path}");
        assert!(!answer.body.to_string().contains("secret"));
        let detail = answer.body["detail"].as_str().unwrap();
        let ends = "the URL of a callback ends in an action, one of complete, fail, retry, snooze, cancel, ";
        assert_eq!(detail.starts_with(ends), path.starts_with("/v1/callbacks"), "{path}: {detail}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_or_too_slow_is_refused() {
    let gateway = Served::start(NOWHERE).await;
    let long = format!("x-long: {}", "x".repeat(20 * 1024));
    let answer = exchange(gateway.address, &post("/v1/callbacks/complete", &[&long], b"{}")).await;
    assert_eq!(answer.status, 431);
    let mut slow = TcpStream::connect(gateway.address).await.unwrap();
    slow.write_all(b"POST /v1/callbacks/complete HTTP/1.1\r\nhost: a\r\nx-").await.unwrap();
    let begun = Instant::now();
    // Not a byte more; the gateway ends it.
    let mut rest = Vec::new();
    let _reset = tokio::io::AsyncReadExt::read_to_end(&mut slow, &mut rest).await;
    assert!(begun.elapsed().as_secs() < 8, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_body_that_does_not_end_is_408_and_changes_nothing() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);
    let mut slow = TcpStream::connect(rig.gateway.address).await.unwrap();
    slow.write_all(&bearing(&token, "complete", &["content-length: 100"], b"{\"result\"")).await.unwrap();
    let answer = answer(&mut slow).await;
    assert_eq!((answer.status, answer.word()), (408, "request_timeout"));
    assert_eq!(rig.state(&run).await, "waiting");
}

#[tokio::test]
async fn keys_are_rotated_and_revoked_while_it_runs() {
    let mut rig = Rig::start().await;
    let (one, two) = (rig.park().await, rig.park().await);
    let old = [rig.gateway.token(&one), rig.gateway.token(&two)];
    let store = |text: &str| rig.gateway.ring.store(KeyRing::parse(text).unwrap().into());

    store(&format!("{},{}", entry(2), entry(1)));
    assert_eq!(rig.gateway.call(&old[0], "complete", "{}").await.status, 200, "accepted");
    store(&format!("{},1:revoked", entry(2)));
    assert_eq!(rig.gateway.call(&old[1], "complete", "{}").await.status, 401, "revoked");
    assert_eq!(rig.call(&two, "complete", "{}").await.status, 200, "the new key");
}

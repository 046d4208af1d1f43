//! The egress proxy: what is public goes through it by its name, and what the operator lists does not.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use posthaste_engine::session::Role;
use posthaste_service::config::EgressProxy;
use posthaste_tests::{FakeEndpoint, TestDb, sql};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    fleet::{Running, put_endpoint, settings, until, until_state},
    secure::{Authority, SecureFunction},
};

/// A proxy that leads everything to `target`, and refuses `denied.example`.
struct FakeProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl FakeProxy {
    async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, target, Arc::clone(&seen)));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(mut client: TcpStream, target: SocketAddr, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if client.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let denied = head.starts_with("CONNECT denied.example");
    heads.lock().unwrap().push(head);
    if denied {
        let _gone = client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _gone = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    let _gone = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test]
async fn what_is_public_goes_through_the_proxy_and_what_is_listed_does_not() {
    let (authority, db, inside) = (Authority::new(), TestDb::new().await, FakeEndpoint::start().await);
    let function = SecureFunction::start(&authority, "f.example", None).await;
    let proxy = FakeProxy::start(function.address).await;
    let mut connection = db.connect(Role::General).await;
    let tls = || json!({"tls": authority.trusted()});
    put_endpoint(&mut connection, "public", "https://f.example/run", &["public"], tls()).await;
    put_endpoint(&mut connection, "denied", "https://denied.example:8443/", &["denied"], json!({})).await;
    put_endpoint(&mut connection, "inside", &inside.url("/f"), &["inside"], json!({})).await;
    put_endpoint(&mut connection, "private", "https://10.1.2.3/", &["private"], json!({})).await;
    put_endpoint(&mut connection, "local", "https://printer.local/", &["local"], json!({})).await;
    let mut settings = settings(db.url_as("dispatcher"), 8, None);
    settings.proxy = Some(EgressProxy::parse(&format!("http://ada:s3cret@{}", proxy.address)).unwrap());
    let dispatcher = Running::start_as(settings);

    for kind in ["public", "inside"] {
        let job = sql::enqueue(&mut connection, &format!("'{kind}'")).await;
        until_state(&mut connection, job, "completed").await;
    }
    assert_eq!((function.served(), inside.seen().len(), proxy.heads().len()), (1, 1, 1));
    let head = proxy.heads()[0].to_ascii_lowercase();
    assert!(head.starts_with("connect f.example:443 http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic ywrhonmzy3jlda=="), "{head}");

    for (kind, code) in [("denied", "not_sent:proxy"), ("local", "not_sent:")] {
        let job = sql::enqueue(&mut connection, &format!("'{kind}'")).await;
        until_state(&mut connection, job, "scheduled").await;
        let told = format!("select class || ':' || error_code from posthaste.attempt where job_id = {job} limit 1");
        assert!(sql::text(&mut connection, &told).await.starts_with(code), "{kind}");
    }
    until(&mut connection, "select state::text like '%the address is not public: private%' from posthaste.dispatcher")
        .await;
    let asked: Vec<String> = proxy.heads().iter().map(|head| head.lines().next().unwrap().to_owned()).collect();
    assert!(asked.iter().all(|line| line.contains(".example:")), "the proxy was asked for what is private: {asked:?}");
    dispatcher.stop().await;
}

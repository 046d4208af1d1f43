//! The API under test, called without a network.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use posthaste_api::{ApiSettings, ApiState, router};
use posthaste_protocol::seal::SealKeys;
use posthaste_service::{health::Health, shutdown::Shutdown, telemetry::metrics::Registry};
use posthaste_tests::TestDb;
use serde_json::Value;
use tower::ServiceExt as _;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Answer {
    /// The problem's stable code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap()
    }
}

/// One API process on a database; clones share it.
#[derive(Clone)]
pub struct Client {
    router: Router,
    peer: SocketAddr,
}

impl Client {
    /// Without a bootstrap key, called from loopback.
    pub fn start(db: &TestDb) -> Self {
        Self::start_with(db, None)
    }

    pub fn start_with(db: &TestDb, api_key: Option<&str>) -> Self {
        let settings = ApiSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            database_url: db.url().into(),
            listen_url: db.url().into(),
            api_key: api_key.map(Into::into),
            seal_keys: Some(SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap()),
            url_check: Arc::new(|url| {
                if url.host_str() == Some("10.0.0.1") { Err("is a private address".to_owned()) } else { Ok(()) }
            }),
            pool_size: 4,
        };
        let state = ApiState::start(&settings, Registry::new(), Health::new(), Shutdown::new()).unwrap();
        Self { router: router(state), peer: "127.0.0.1:9".parse().unwrap() }
    }

    /// The same API, called from another machine.
    pub fn afar(&self) -> Self {
        Self { peer: "192.0.2.1:9".parse().unwrap(), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(json(Request::post(path), body)).await
    }

    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.send(json(Request::put(path), body)).await
    }

    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }
}

pub fn json(builder: http::request::Builder, body: &str) -> Request<Body> {
    builder.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()
}

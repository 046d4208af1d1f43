//! Who may call.

use axum::body::Body;
use http::Request;
use posthaste_engine::{api_key, session::Role};
use posthaste_protocol::api_key::{ApiKey, Scope};
use posthaste_tests::TestDb;

use crate::client::Client;

const BOOTSTRAP: &str = "0123456789abcdef0123456789abcdef";

fn with_key(method: &str, path: &str, key: &str) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
    builder.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn without_any_key_only_loopback_is_served_and_a_wrong_key_never() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    assert_eq!(api.get("/v1/jobs").await.status, 200);
    assert_eq!(api.afar().get("/v1/jobs").await.status, 401);
    assert_eq!(api.send(with_key("GET", "/v1/jobs", "wrong")).await.status, 401);
    assert_eq!(api.afar().get("/livez").await.status, 200);
}

#[tokio::test]
async fn the_bootstrap_key_is_needed_on_loopback_too() {
    let db = TestDb::new().await;
    let api = Client::start_with(&db, Some(BOOTSTRAP));
    assert_eq!(api.get("/v1/jobs").await.status, 401);
    assert_eq!(api.get("/v1/no-such-route").await.status, 401);
    assert_eq!(api.afar().send(with_key("GET", "/v1/jobs", BOOTSTRAP)).await.status, 200);
}

#[tokio::test]
async fn a_minted_key_does_what_its_scopes_say_until_it_is_revoked() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let key = ApiKey::mint([7; 40]);
    api_key::mint(&mut connection, &key, "reader", &[Scope::Read], None).await.unwrap();
    let api = Client::start(&db);
    assert_eq!(api.get("/v1/jobs").await.status, 401);
    assert_eq!(api.send(with_key("GET", "/v1/jobs", key.expose())).await.status, 200);
    for (method, path) in [
        ("POST", "/v1/jobs"),
        ("POST", "/v1/jobs/batch"),
        ("POST", "/v1/jobs/1/cancel"),
        ("POST", "/v1/jobs/1/retry"),
        ("PUT", "/v1/endpoints/a"),
        ("DELETE", "/v1/endpoints/a"),
        ("POST", "/v1/endpoints/a/pause"),
        ("POST", "/v1/endpoints/a/resume"),
        ("POST", "/v1/endpoints/a/rotate-secret"),
    ] {
        assert_eq!(api.send(with_key(method, path, key.expose())).await.code(), "forbidden", "{method} {path}");
    }
    api_key::revoke(&mut connection, key.kid()).await.unwrap();
    // Another process has not cached it; one revoked key is still a key.
    let other = Client::start(&db);
    assert_eq!(other.send(with_key("GET", "/v1/jobs", key.expose())).await.status, 401);
    assert_eq!(other.get("/v1/jobs").await.status, 401);
    assert!(!api_key::list(&mut connection).await.unwrap()[0].active);
}

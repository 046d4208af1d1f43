//! Endpoints over REST.

use axum::body::Body;
use http::Request;
use posthaste_engine::{endpoint, session::Role};
use posthaste_protocol::seal::SealKeys;
use posthaste_tests::TestDb;
use serde_json::Value;

use crate::client::Client;

#[tokio::test]
async fn the_secret_is_shown_once_and_kept_sealed() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let made = api.put("/v1/endpoints/pdf", r#"{"url":"https://a.example/","kinds":["pdf"]}"#).await;
    assert_eq!(made.status, 201);
    let shown = made.body["secret"].as_str().unwrap().to_owned();
    let again = api.put("/v1/endpoints/pdf", r#"{"url":"https://b.example/","kinds":["pdf","x"]}"#).await;
    assert_eq!((again.status.as_u16(), &again.body["secret"]), (200, &Value::Null));
    assert_eq!(api.get("/v1/endpoints/pdf").await.body["secret"], Value::Null);

    let mut connection = db.connect(Role::General).await;
    let row = endpoint::endpoint(&mut connection, "pdf").await.unwrap();
    let keys = SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap();
    let opened: Value = serde_json::from_slice(&keys.open(&row.secret, "pdf").unwrap()).unwrap();
    assert_eq!((row.version, &opened[0]["secret"]), (2, &Value::from(shown)));

    let rotated = api.post("/v1/endpoints/pdf/rotate-secret", "").await;
    assert!(rotated.body["secret"].as_str().unwrap().starts_with("whsec_"));
}

#[tokio::test]
async fn a_kind_belongs_to_one_endpoint_whoever_comes_at_the_same_time() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let body = r#"{"url":"https://a.example/","kinds":["pdf"]}"#;
    let (one, two) = tokio::join!(api.put("/v1/endpoints/one", body), api.put("/v1/endpoints/two", body));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(api.get("/v1/endpoints").await.body["endpoints"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn explain_follows_the_endpoint() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let id = api.post("/v1/jobs", r#"{"kind":"pdf"}"#).await.body["id"].as_str().unwrap().to_owned();
    let reason = async || api.get(&format!("/v1/jobs/{id}/explain")).await.body["reason"].clone();
    assert_eq!(reason().await, "no_endpoint_for_kind");
    api.put("/v1/endpoints/all", r#"{"url":"https://a.example/","kinds":["*"]}"#).await;
    assert_eq!(reason().await, "no_dispatcher");
    api.post("/v1/endpoints/all/pause", r#"{"reason":"deploy"}"#).await;
    assert_eq!(reason().await, "endpoint_paused");
    api.post("/v1/endpoints/all/resume", "").await;
    assert_eq!(reason().await, "no_dispatcher");
    let gone = api.send(Request::delete("/v1/endpoints/all").body(Body::empty()).unwrap()).await;
    assert_eq!(gone.status, 204);
    assert_eq!(reason().await, "no_endpoint_for_kind");
    assert_eq!(api.get("/v1/endpoints/all").await.code(), "endpoint_not_found");
}

#[tokio::test]
async fn a_url_that_the_dispatcher_refuses_is_refused_here() {
    let db = TestDb::new().await;
    let answer = Client::start(&db).put("/v1/endpoints/x", r#"{"url":"http://10.0.0.1/"}"#).await;
    assert_eq!((answer.status.as_u16(), &answer.body["errors"][0]["field"]), (422, &Value::from("url")));
}

//! Sources and deliveries.

use http::Request;
use posthaste_engine::{
    delivery::{self, Delivery, DeliveryVerdict, Via},
    session::Role,
};
use posthaste_tests::TestDb;

use crate::client::Client;

const SPEC: &str =
    r#"{"signature": {"scheme": "github", "secrets": ["0123456789abcdef"]}, "correlate": "payload.job"}"#;

#[tokio::test]
async fn a_source_is_written_read_changed_and_deleted_without_showing_its_secret() {
    let db = TestDb::new().await;
    let client = Client::start(&db);
    let made = client.put("/v1/sources/gh", SPEC).await;
    assert_eq!((made.status.as_u16(), &made.body["version"]), (201, &1.into()), "{made:?}");
    assert_eq!(made.body["sealed_secrets"], true);
    let kept = SPEC.replace(r#", "secrets": ["0123456789abcdef"]"#, "");
    let changed = client.put("/v1/sources/gh", &kept).await;
    assert_eq!((changed.status.as_u16(), &changed.body["version"]), (200, &2.into()));
    let list = client.get("/v1/sources").await;
    assert_eq!(list.body["sources"][0]["name"], "gh");
    assert!(!list.body.to_string().contains("0123456789abcdef"));
    assert_eq!(client.put("/v1/sources/new", &kept).await.status, 409, "it has no secret to keep");
    let deleted = client.send(Request::delete("/v1/sources/gh").body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(deleted.status, 204);
    let gone = client.get("/v1/sources/gh").await;
    assert_eq!((gone.status.as_u16(), gone.code()), (404, "source_not_found"));
}

#[tokio::test]
async fn a_source_that_does_not_compile_is_refused_naming_each_field() {
    let db = TestDb::new().await;
    let bad = SPEC.replace("payload.job\"", "payload.\", \"cel\": {\"filter\": \"nobody\"}");
    let answer = Client::start(&db).put("/v1/sources/gh", &bad).await;
    let fields: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!((answer.status.as_u16(), fields), (422, vec!["correlate".into(), "cel.filter".into()]));
}

#[tokio::test]
async fn deliveries_are_listed_by_page_and_only_kept_ones_are_judged_again() {
    let db = TestDb::new().await;
    let client = Client::start(&db);
    let mut connection = db.connect(Role::General).await;
    let one = |job_id, verdict| Delivery {
        ago: std::time::Duration::ZERO,
        job_id: Some(job_id),
        run_lease: Some(1),
        inbox_id: None,
        bytes: 2,
        via: Via::Hook,
        verdict,
        action: None,
        reason: None,
        source: None,
    };
    let rows = [one(1, DeliveryVerdict::Ignored), one(2, DeliveryVerdict::Applied), one(2, DeliveryVerdict::Duplicate)];
    delivery::log(&mut connection, &rows).await.unwrap();

    let first = client.get("/v1/deliveries?limit=2").await;
    assert_eq!(first.body["deliveries"][0]["verdict"], "duplicate");
    let next = first.body["next_cursor"].as_str().unwrap();
    let second = client.get(&format!("/v1/deliveries?limit=2&cursor={next}")).await;
    assert_eq!((&second.body["deliveries"][0]["job_id"], &second.body["next_cursor"]), (&"1".into(), &().into()));
    let of_job = client.get("/v1/deliveries?job=2&verdict=applied").await;
    assert_eq!(of_job.body["deliveries"].as_array().unwrap().len(), 1);
    assert_eq!(client.get("/v1/deliveries?verdict=lost").await.status, 422);
    let unkept = client.post("/v1/deliveries/1/replay", "").await;
    assert_eq!((unkept.status.as_u16(), unkept.code()), (404, "delivery_not_found"));
}

//! Expressions over REST: tried, and refused where they are registered.

use posthaste_tests::TestDb;
use serde_json::{Value, json};

use crate::client::Client;

fn faults(body: &Value) -> Vec<(&str, &str)> {
    let errors = body["errors"].as_array().unwrap();
    errors.iter().map(|error| (error["field"].as_str().unwrap(), error["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn expressions_are_tried_on_a_payload() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let paid = api
        .post(
            "/v1/cel/eval",
            r#"{"cel":{"filter":"headers['x-kind'] == job.kind","transform":"{'id': payload.id}"},
                "payload":{"id":"in_1","n":1},"headers":{"X-Kind":"pay"},"job":{"kind":"pay"}}"#,
        )
        .await;
    assert_eq!((paid.status.as_u16(), paid.body), (200, json!({"verdict": "complete", "result": {"id": "in_1"}})));
    let value = api.post("/v1/cel/eval", r#"{"expression":"payload[0] + attempt.number","payload":[41]}"#).await;
    assert_eq!(value.body, json!({"value": 42}));
    let failed = api.post("/v1/cel/eval", r#"{"expression":"payload.a","payload":[]}"#).await;
    assert_eq!((failed.status.as_u16(), &failed.body["error"]["code"]), (200, &Value::from("cel_failed")));

    let refused = api.post("/v1/cel/eval", r#"{"cel":{"filter":"payload.","on_fail":"nope"},"payload":1}"#).await;
    assert_eq!(refused.status, 422);
    assert_eq!(faults(&refused.body), [("cel.filter", "invalid_expression"), ("cel.on_fail", "invalid_expression")]);
    let refused = api.post("/v1/cel/eval", r#"{"cel":{},"x":1}"#).await;
    assert_eq!(faults(&refused.body), [("x", "unknown_field"), ("payload", "required")]);
}

#[tokio::test]
async fn an_endpoint_whose_expressions_do_not_compile_is_not_written() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let put =
        async |cel: &str| api.put("/v1/endpoints/pay", &format!(r#"{{"url":"https://a.example/","cel":{cel}}}"#)).await;
    let refused = put(r#"{"filter":"payload.","transform":"payload.re.matches(payload.re)"}"#).await;
    assert_eq!(refused.status, 422);
    assert_eq!(faults(&refused.body), [("cel.filter", "invalid_expression"), ("cel.transform", "invalid_expression")]);
    assert_eq!(api.get("/v1/endpoints/pay").await.status, 404);

    let cel = r#"{"on_complete":"payload.done","default_action":"fail","fail_open":true}"#;
    assert_eq!(put(cel).await.status, 201);
    assert_eq!(api.get("/v1/endpoints/pay").await.body["cel"], serde_json::from_str::<Value>(cel).unwrap());
}

#[tokio::test]
async fn a_job_whose_expressions_do_not_compile_is_not_written() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let (good, bad) = (
        r#"{"kind":"pay","callback":{"cel":{"on_complete":"payload.done"}}}"#,
        r#"{"kind":"pay","priority":9,"callback":{"cel":{"on_complete":"payload.","transform":"nope"}}}"#,
    );
    let refused = api.post("/v1/jobs", bad).await;
    assert_eq!(refused.status, 422);
    let named = [("callback.cel.on_complete", "invalid_expression"), ("callback.cel.transform", "invalid_expression")];
    assert_eq!(faults(&refused.body), [&named[..], &[("priority", "out_of_range")]].concat());

    let batch = api.post("/v1/jobs/batch", &format!("[{bad},{good}]")).await;
    assert_eq!(faults(&batch.body["jobs"][0]["error"])[..2], named);
    assert_eq!(batch.body["jobs"][1]["state"], "available");
    assert_eq!(api.post("/v1/jobs", good).await.status, 201);
    assert_eq!(api.get("/v1/jobs").await.body["jobs"].as_array().unwrap().len(), 2);
}

//! Enqueue, list, cancel, retry.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use posthaste_engine::session::Role;
use posthaste_tests::{FakeDispatcher, TestDb, failed, sql};
use serde_json::Value;

use crate::client::{Client, json};

#[tokio::test]
async fn a_job_is_read_back_as_it_was_written() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let made = api.post("/v1/jobs", r#"{"kind":"pdf","args":{"b":1.50},"tags":["x"],"metadata":{"m":1}}"#).await;
    assert_eq!((made.status.as_u16(), made.body["state"].as_str()), (201, Some("available")));
    let read = api.get(&format!("/v1/jobs/{}", made.body["id"].as_str().unwrap())).await;
    assert_eq!(read.body["args"].to_string(), r#"{"b":1.5}"#);
    assert_eq!((read.body["attempt"].as_i64(), read.body["run_lease"].as_i64()), (Some(0), Some(0)));
    assert_eq!(read.body["metadata"]["m"], 1);
}

#[tokio::test]
async fn null_args_stay_null_through_every_door() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    api.post("/v1/jobs", r#"{"kind":"k","args":null}"#).await;
    let mut connection = db.connect(Role::General).await;
    sql::run(&mut connection, r#"select * from posthaste.enqueue_many('[{"kind":"k","args":null},{"kind":"k"}]')"#)
        .await;
    let args =
        sql::text(&mut connection, "select string_agg(args::text, ' ' order by job_id) from posthaste.job").await;
    assert_eq!(args, "null null {}");
}

#[tokio::test]
async fn singles_that_arrive_together_are_answered_each_for_itself() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let calls = (0..60).map(|n| {
        let (api, kind) = (api.clone(), if n % 10 == 3 { "" } else { "k" });
        tokio::spawn(async move { api.post("/v1/jobs", &format!(r#"{{"kind":"{kind}"}}"#)).await })
    });
    let (mut ids, mut refused) = (BTreeSet::new(), 0);
    for call in calls.collect::<Vec<_>>() {
        let answer = call.await.unwrap();
        if answer.status == 422 {
            refused += 1;
        } else {
            ids.insert(answer.body["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!((ids.len(), refused), (54, 6));
}

/// A job that is wrong in what reading it finds (tags, nope) and in what only the database knows (kind, priority).
const WRONG: &str = r#"{"kind":"bad kind","tags":[1],"nope":{},"priority":9,"args":[1]}"#;

fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_fault_of_a_job_is_in_one_problem_and_nothing_is_written() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let keyed = json(Request::post("/v1/jobs").header("idempotency-key", "k"), WRONG);
    for answer in [api.post("/v1/jobs", WRONG).await, api.send(keyed).await] {
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "invalid"));
        assert_eq!(fields(&answer.body), ["tags[0]", "nope", "kind", "priority"]);
    }
    let batch = api.post("/v1/jobs/batch", &format!(r#"[{WRONG},{{"kind":"k"}},7,{{"kind":"","nope":1}}]"#)).await;
    let jobs = &batch.body["jobs"];
    assert_eq!(fields(&jobs[0]["error"]), ["tags[0]", "nope", "kind", "priority"]);
    assert_eq!((&jobs[1]["state"], fields(&jobs[2]["error"])), (&"available".into(), vec![""]));
    assert_eq!(fields(&jobs[3]["error"]), ["nope", "kind"]);
    let lines = Request::post("/v1/jobs/batch").header("content-type", "application/x-ndjson");
    let lines = api.send(lines.body(Body::from(format!("{{\n\n{WRONG}"))).unwrap()).await;
    assert_eq!(lines.body["jobs"][0]["error"]["code"], "malformed_json");
    assert_eq!(fields(&lines.body["jobs"][1]["error"]), ["tags[0]", "nope", "kind", "priority"]);
    let mut connection = db.connect(Role::General).await;
    assert_eq!(sql::count(&mut connection, "job").await, 1);
}

#[tokio::test]
async fn a_fault_says_its_field_once() {
    let db = TestDb::new().await;
    let problem = Client::start(&db).post("/v1/jobs", r#"{"kind":"bad kind"}"#).await.body;
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("may hold only letters"), "{message}");
    assert_eq!(problem["detail"], format!("kind: {message}"));
}

#[tokio::test]
async fn of_requests_with_one_idempotency_key_one_enqueues() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let keyed = |body: &str| json(Request::post("/v1/jobs").header("idempotency-key", "k"), body);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (api, request) = (api.clone(), keyed(r#"{"kind":"k"}"#));
            tokio::spawn(async move { api.send(request).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap().status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 9].as_slice(), &[201]].concat());
    let mut connection = db.connect(Role::General).await;
    assert_eq!(sql::count(&mut connection, "job").await, 1);
    assert_eq!(api.send(keyed(r#"{"kind":"other"}"#)).await.code(), "idempotency_mismatch");
}

#[tokio::test]
async fn a_key_whose_request_was_refused_is_free_again() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let keyed = |body: &str| json(Request::post("/v1/jobs").header("idempotency-key", "k"), body);
    assert_eq!(api.send(keyed(r#"{"kind":""}"#)).await.status, 422);
    assert_eq!(api.send(keyed(r#"{"kind":"k"}"#)).await.status, 201);
}

#[tokio::test]
async fn of_two_retries_of_a_dead_job_one_wins() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let mut connection = db.connect(Role::General).await;
    let id = sql::enqueue(&mut connection, "'k', max_attempts => 1").await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let run = dispatcher.claim_one().await;
    dispatcher.finish(&run, failed("http_500")).await;
    assert_eq!(sql::count(&mut connection, "dead_letter").await, 1);

    let path = format!("/v1/jobs/{id}/retry");
    let (one, two) = tokio::join!(api.post(&path, ""), api.post(&path, ""));

    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(sql::count(&mut connection, "dead_letter").await, 0);
    let job = api.get(&format!("/v1/jobs/{id}")).await.body;
    assert_eq!((job["state"].as_str(), job["attempts"].as_array().unwrap().len()), (Some("available"), 1));
    let run = dispatcher.claim_one().await;
    assert_eq!((run.job_id, run.run_lease), (id, 3));
    assert_eq!(api.post(&path, "").await.code(), "conflict");
}

#[tokio::test]
async fn a_running_job_is_asked_to_cancel_and_an_ended_one_is_a_conflict() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let mut connection = db.connect(Role::General).await;
    let id = sql::enqueue(&mut connection, "'k', max_attempts => 1").await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let run = dispatcher.claim_one().await;
    let path = format!("/v1/jobs/{id}/cancel");
    let asked = api.post(&path, "").await;
    assert_eq!((asked.status.as_u16(), asked.body["cancel_requested"].as_bool()), (202, Some(true)));
    assert_eq!(api.get(&format!("/v1/jobs/{id}/explain")).await.body["cancel_requested"], true);
    dispatcher.finish(&run, failed("http_500")).await;
    let ended = api.post(&path, "").await;
    assert!(ended.status == 200 || ended.code() == "already_finished", "{ended:?}");
}

#[tokio::test]
async fn every_list_walks_all_its_jobs_once() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let mut connection = db.connect(Role::General).await;
    sql::run(&mut connection, "select posthaste.enqueue('a', queue => 'q' || n % 3, priority => 1 + n % 4, tags => array['t' || n % 2]) from generate_series(1, 40) n").await;
    sql::run(&mut connection, "select posthaste.enqueue('b', delay_ms => 100000) from generate_series(1, 10)").await;
    sql::run(&mut connection, "select posthaste.cancel(n) from generate_series(1, 40, 4) n").await;
    for (filter, expected) in [
        ("", 50),
        ("state=available&", 30),
        ("state=scheduled&", 10),
        ("state=cancelled&", 10),
        ("state=available&tag=t1&", 10),
        ("state=available&queue=q0&", 10),
        ("kind=a&tag=t0&", 20),
        ("state=dead&", 0),
        ("state=waiting&", 0),
    ] {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("/v1/jobs?{filter}limit=7{cursor}")).await.body;
            ids.extend(page["jobs"].as_array().unwrap().iter().map(|job| job["id"].to_string()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (expected, expected), "{filter}");
    }
}

#[tokio::test]
async fn what_is_no_route_or_no_json_is_a_problem_with_its_code() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let call = async |request: Request<Body>| api.send(request).await;
    assert_eq!(api.get("/v1/nope").await.code(), "not_found");
    assert_eq!(call(Request::patch("/v1/jobs").body(Body::empty()).unwrap()).await.code(), "method_not_allowed");
    assert_eq!(call(Request::post("/v1/jobs").body(Body::from("{}")).unwrap()).await.code(), "unsupported_media_type");
    assert_eq!(api.post("/v1/jobs", "{").await.code(), "malformed_json");
    assert_eq!(api.get("/v1/jobs/7").await.code(), "job_not_found");
    assert_eq!(api.get("/v1/jobs/x").await.code(), "job_not_found");
    assert_eq!(api.get("/v1/jobs?page=2").await.code(), "invalid");
    assert_eq!(api.post("/v1/jobs/7/cancel", r#"{"why":1}"#).await.body["errors"][0]["field"], "why");
    let large = format!(r#"{{"kind":"k","args":"{}"}}"#, "x".repeat(1_048_576));
    assert_eq!(api.post("/v1/jobs", &large).await.code(), "payload_too_large");
}

//! Lambda's `Invoke`: what its function is handed, and what its answers come to.

use posthaste_engine::session::Role;
use posthaste_protocol::signature::{Secret, verify};
use posthaste_service::clock;
use posthaste_tests::{Answer, FakeEndpoint, TestDb, sql};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    callbacks::callbacks,
    fleet::{Running, SECRET, put_endpoint, until_state},
};

/// Where the function `f` is invoked.
pub const INVOKE: &str = "/2015-03-31/functions/f/invocations";

/// A database, Lambda, and an endpoint that takes the kind `k`.
pub async fn scene(more: &Value) -> (TestDb, FakeEndpoint, PgConnection) {
    let (db, lambda) = (TestDb::new().await, FakeEndpoint::start().await);
    let mut connection = db.connect(Role::General).await;
    let mut fields = json!({"format": "lambda"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    put_endpoint(&mut connection, "e", &lambda.url(INVOKE), &["k"], fields).await;
    (db, lambda, connection)
}

/// What a function returns to answer a request.
fn returned(status: u16, headers: &Value, body: &str) -> Answer {
    Answer::json(&json!({"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": false}))
}

#[tokio::test]
async fn a_function_is_handed_the_signed_request_that_its_url_would_bring() {
    let (db, lambda, mut connection) =
        scene(&json!({"headers": {"Authorization": {"env": "HOME"}, "x-team": "blue"}})).await;
    lambda.otherwise(returned(200, &json!({"content-type": "application/json"}), r#"{"sum": 3}"#));
    let dispatcher = Running::start(&db, 8);
    let job =
        sql::enqueue(&mut connection, r#"kind => 'k', args => '{"a": "é\"\\"}', headers => '{"x-own":"1"}'"#).await;
    until_state(&mut connection, job, "completed").await;
    let result = format!("select result::text from posthaste.jobs where id = {job}");
    assert_eq!(sql::text(&mut connection, &result).await, r#"{"sum": 3}"#);

    let request = lambda.requests(1).await.remove(0);
    assert_eq!((request.method.as_str(), request.uri.path()), ("POST", INVOKE));
    assert_eq!(request.header("x-amz-invocation-type"), "RequestResponse");
    assert!(!request.headers.contains_key("webhook-id"), "what the function needs is in the event");
    assert!(!request.headers.contains_key("authorization"), "the function's, not Lambda's");
    let event = request.json();
    assert_eq!((&event["version"], &event["isBase64Encoded"]), (&json!("2.0"), &json!(false)));
    let header = |name: &str| event["headers"][name].as_str().unwrap_or_else(|| panic!("no {name} in {event}"));
    assert_eq!(
        (header("x-team"), header("x-own"), header("posthaste-job-id")),
        ("blue", "1", job.to_string().as_str())
    );
    assert!(!header("authorization").is_empty() && !header("traceparent").is_empty());
    let body = event["body"].as_str().unwrap();
    let envelope: Value = serde_json::from_str(body).unwrap();
    assert_eq!(envelope["args"], json!({"a": "é\"\\"}));
    let verified = verify(
        &[Secret::parse(SECRET).unwrap()],
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
        body.as_bytes(),
        clock::unix_now(),
        300,
    );
    assert_eq!(verified, Ok(()));
    dispatcher.stop().await;
}

/// What Lambda answers, the state after, the attempt as `outcome:class:status:code`.
fn rows() -> Vec<(Answer, &'static str, &'static str)> {
    let error =
        |status, kind: &str| Answer::status(status).header("x-amzn-errortype", kind).body(r#"{"Message":"no"}"#);
    vec![
        (returned(204, &json!({}), ""), "completed", "completed:responded:204:"),
        (Answer::json(&json!({"sum": 3})), "completed", "completed:responded:200:"),
        (Answer::json(&json!(null)), "completed", "completed:responded:200:"),
        (returned(500, &json!({}), "boom"), "scheduled", "retried:responded:500:http_500"),
        (returned(429, &json!({"retry-after": "30"}), ""), "scheduled", "throttled:responded:429:http_429"),
        (returned(422, &json!({}), ""), "dead", "dead:responded:422:http_422"),
        (returned(200, &json!({"posthaste-outcome": "cancel"}), ""), "cancelled", "cancelled:responded:200:cancelled"),
        (
            returned(200, &json!({"posthaste-outcome": "snooze", "retry-after": "60"}), ""),
            "scheduled",
            "snoozed:responded:200:",
        ),
        (returned(7, &json!({}), ""), "scheduled", "retried:responded:502:http_502"),
        (
            Answer::status(200).header("x-amz-function-error", "Unhandled").body(r#"{"errorMessage":"no"}"#),
            "scheduled",
            "retried:responded:200:function_error",
        ),
        (error(429, "TooManyRequestsException"), "scheduled", "throttled:responded:429:http_429"),
        (error(502, "EC2ThrottledException:http://internal/"), "scheduled", "throttled:responded:502:http_502"),
        (error(503, "ServiceUnavailableException"), "scheduled", "throttled:responded:503:http_503"),
        (error(500, "ServiceException"), "scheduled", "retried:responded:500:http_500"),
        (error(410, "EFSIOException"), "scheduled", "retried:responded:410:http_410"),
        (error(403, "AccessDeniedException"), "scheduled", "retried:responded:403:http_403"),
        (error(404, "ResourceNotFoundException"), "scheduled", "retried:responded:404:http_404"),
        (error(413, "RequestTooLargeException"), "dead", "dead:responded:413:http_413"),
    ]
}

#[tokio::test]
async fn each_answer_of_invoke_comes_to_what_the_table_says() {
    let (db, lambda, mut connection) = scene(&json!({"concurrency": 1, "breaker": {"min": 1000}})).await;
    let dispatcher = Running::start(&db, 8);
    for (answer, state, attempt) in rows() {
        lambda.otherwise(answer);
        let job = sql::enqueue(&mut connection, "kind => 'k'").await;
        until_state(&mut connection, job, state).await;
        let told =
            "select concat_ws(':', outcome, class, http_status, coalesce(error_code, '')) from posthaste.attempt";
        assert_eq!(sql::text(&mut connection, &format!("{told} where job_id = {job} limit 1")).await, attempt);
    }
    assert_eq!(sql::text(&mut connection, "select (paused_at is null)::text from posthaste.endpoint").await, "true");
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_event_that_lambda_queued_waits_for_the_functions_callback() {
    let event = json!({"invocation_type": "event", "sdk": true, "callback_timeout_ms": 60_000});
    let (db, lambda, mut connection) = scene(&event).await;
    lambda.otherwise(Answer::status(202));
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "waiting").await;
    let left = "select round(extract(epoch from deadline_at - parked_at))::bigint from posthaste.waiting";
    assert_eq!(sql::number(&mut connection, left).await, 60);

    let mut request = lambda.requests(1).await.remove(0);
    assert_eq!(request.header("x-amz-invocation-type"), "Event");
    // The function finds its token in the event.
    let token = request.json()["headers"]["posthaste-callback-token"].as_str().unwrap().to_owned();
    request.headers.insert("posthaste-callback-token", token.parse().unwrap());
    crate::callbacks::complete(&db, &request, "[1]").await;
    until_state(&mut connection, job, "completed").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_event_that_is_too_large_is_dead_and_never_sent() {
    let (db, lambda, mut connection) = scene(&json!({"invocation_type": "event"})).await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    // Each quote takes two bytes more in an event.
    let args = "args => to_json(array_fill(''::text, array[209600]))";
    let job = sql::enqueue(&mut connection, &format!("kind => 'k', {args}")).await;
    until_state(&mut connection, job, "dead").await;
    let why = format!("select error_code || ':' || error_message from posthaste.attempt where job_id = {job}");
    let why = sql::text(&mut connection, &why).await;
    assert!(why.starts_with("payload_too_large:the event has 1") && why.contains("takes 1048576"), "{why}");
    assert!(lambda.seen().is_empty());
    dispatcher.stop().await;
}

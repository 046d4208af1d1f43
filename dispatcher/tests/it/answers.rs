//! Every row of the answer table, told by a real function, as it ends up in the ledger.

use posthaste_protocol::signature::{Secret, verify};
use posthaste_service::clock;
use posthaste_tests::{Answer, sql};
use serde_json::{Value, json};

use crate::fleet::{Running, SECRET, put_endpoint, scene, until, until_state};

#[tokio::test]
async fn a_job_is_posted_as_the_contract_says_and_its_result_is_stored() {
    let (db, function, mut connection) = scene(json!({"headers": {"x-team": "blue"}})).await;
    function.otherwise(Answer::json(&json!({"sum": 3})));
    let dispatcher = Running::start(&db, 8);
    let arguments = r#"kind => 'k', args => '{"a":  1, "b": 2}', tags => '{x}', headers => '{"x-own":"1"}'"#;
    let job = sql::enqueue(&mut connection, arguments).await;
    until_state(&mut connection, job, "completed").await;
    let request = function.requests(1).await.remove(0);
    assert_eq!(request.header("posthaste-protocol"), "1");
    assert_eq!(request.header("posthaste-job-id"), job.to_string());
    assert_eq!((request.header("posthaste-attempt"), request.header("posthaste-run-lease")), ("1", "1"));
    assert_eq!((request.header("x-team"), request.header("x-own")), ("blue", "1"));
    assert_eq!(request.json()["args"], json!({"a": 1, "b": 2}));
    assert_eq!(request.json()["job"]["tags"], json!(["x"]));
    let verified = verify(
        &[Secret::parse(SECRET).unwrap()],
        request.header("webhook-id"),
        request.header("webhook-timestamp"),
        request.header("webhook-signature"),
        &request.body,
        clock::unix_now(),
        300,
    );
    assert_eq!(verified, Ok(()));
    assert_eq!(
        sql::text(&mut connection, &format!("select result::text from posthaste.jobs where id = {job}")).await,
        r#"{"sum":3}"#
    );
    dispatcher.stop().await;
    assert_eq!(sql::count(&mut connection, "lease").await, 0);
}

/// One row: what the function answers, the state after, the attempts as `outcome:class:status:code`.
struct Row {
    says: &'static str,
    answer: Answer,
    /// What the endpoint's definition says besides.
    endpoint: Value,
    state: &'static str,
    attempt: &'static str,
}

fn row(says: &'static str, answer: Answer, state: &'static str, attempt: &'static str) -> Row {
    Row { says, answer, endpoint: json!({}), state, attempt }
}

fn spoken(outcome: &str) -> Answer {
    Answer::status(200).header("posthaste-outcome", outcome)
}

fn rows() -> Vec<Row> {
    let mut rows = vec![
        row("done, 200", Answer::json(&json!([1])), "completed", "completed:responded:200:"),
        row(
            "done, text",
            Answer::status(201).header("content-type", "text/plain").body("hi"),
            "completed",
            "completed:responded:201:",
        ),
        row("done, 203", Answer::status(203).body("hi"), "completed", "completed:responded:203:"),
        row("done, 204", Answer::status(204), "completed", "completed:responded:204:"),
        row(
            "accepted",
            Answer::status(202).header("posthaste-protocol", "1"),
            "dead",
            "dead:responded:202:callbacks_unavailable",
        ),
        row(
            "suspend",
            Answer::status(202).header("posthaste-outcome", "suspend"),
            "dead",
            "dead:responded:202:callbacks_unavailable",
        ),
        row("snooze", spoken("snooze").header("retry-after", "60"), "scheduled", "snoozed:responded:200:"),
        row("retry by word", spoken("retry"), "scheduled", "retried:responded:200:http_200"),
        row(
            "fail by word",
            spoken("fail").header("content-type", "application/json").body(r#"{"code":"bad_order","message":"no"}"#),
            "dead",
            "dead:responded:200:bad_order",
        ),
        row("cancel by word", spoken("cancel"), "cancelled", "cancelled:responded:200:cancelled"),
        row("unknown word", spoken("explode"), "scheduled", "retried:responded:200:unknown_outcome"),
        row(
            "lambda's error",
            Answer::status(200).header("x-amz-function-error", "Unhandled"),
            "scheduled",
            "retried:responded:200:function_error",
        ),
        row(
            "too large a result",
            Answer::status(200).body(vec![b'x'; 1024 * 1024 + 1]),
            "dead",
            "dead:responded:200:result_too_large",
        ),
        row("reset after the request", Answer::cut(), "scheduled", "retried:unknown::reset"),
        row("retired", Answer::status(410), "dead", "dead:responded:410:http_410"),
    ];
    for status in [408, 409, 425, 500, 502, 504, 520, 527, 599] {
        rows.push(row("failed", Answer::status(status), "scheduled", "retried"));
    }
    for status in [429, 503] {
        rows.push(row("overloaded", Answer::status(status).header("retry-after", "30"), "scheduled", "throttled"));
    }
    for status in [400, 413, 414, 415, 422, 431, 451, 489, 501, 418] {
        rows.push(row("give up", Answer::status(status), "dead", "dead"));
    }
    for status in [206, 300, 301, 302, 304, 307, 308, 401, 403, 404, 405] {
        rows.push(row(
            "wrong endpoint",
            Answer::status(status).header("location", "/elsewhere"),
            "scheduled",
            "retried:responded",
        ));
    }
    rows.extend(rows_of_endpoints());
    rows
}

/// Rows that the endpoint's definition decides.
fn rows_of_endpoints() -> Vec<Row> {
    let spoken = |status| Answer::status(status).header("posthaste-protocol", "1");
    let sdk =
        |says, answer, state, attempt| Row { endpoint: json!({"sdk": true}), ..row(says, answer, state, attempt) };
    let map = json!({"status_map": {"404": "fail"}});
    let mapped = |says, answer, state, attempt| Row { endpoint: map.clone(), ..row(says, answer, state, attempt) };
    vec![
        sdk("not the sdk, 200", Answer::status(200), "scheduled", "retried:responded:200:not_sdk"),
        sdk("not the sdk, 202", Answer::status(202), "scheduled", "retried:responded:202:not_sdk"),
        sdk("not the sdk, 204", Answer::status(204), "scheduled", "retried:responded:204:not_sdk"),
        sdk("the sdk, done", spoken(200), "completed", "completed:responded:200:"),
        sdk("no 2xx, sdk or not", Answer::status(422), "dead", "dead:responded:422:http_422"),
        mapped("mapped", Answer::status(404), "dead", "dead:responded:404:http_404"),
        mapped("not mapped", Answer::status(405), "scheduled", "retried:responded:405:http_405"),
    ]
}

#[tokio::test]
async fn every_row_of_the_answer_table_ends_as_the_contract_says() {
    // One endpoint a row: what five jobs say together is another test's story.
    let (db, function, mut connection) = scene(json!({})).await;
    // Retries come long after the test has looked.
    let once = json!({"policy": "constant", "base_ms": 600_000});
    let rows = rows();
    let mut jobs = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let kind = format!("row{n}");
        function.on(&kind, [row.answer.clone()]);
        let mut more = row.endpoint.clone();
        more["retry"] = once.clone();
        put_endpoint(&mut connection, &format!("e{n}"), &function.url("/f"), &[&kind], more).await;
        jobs.push(sql::enqueue(&mut connection, &format!("kind => '{kind}'")).await);
    }
    let dispatcher = Running::start(&db, 64);
    for (job, row) in jobs.iter().zip(&rows) {
        let attempt = "outcome::text || ':' || coalesce(class::text, '') || ':' || coalesce(http_status::text, '') || ':' || coalesce(error_code, '')";
        until(&mut connection, &format!("select count(*) = 1 from posthaste.attempt where job_id = {job}")).await;
        let recorded =
            sql::text(&mut connection, &format!("select {attempt} from posthaste.attempt where job_id = {job}")).await;
        assert!(recorded.starts_with(row.attempt), "{}: {recorded}, not {}", row.says, row.attempt);
        assert_eq!(sql::state(&mut connection, *job).await, row.state, "{}: {recorded}", row.says);
    }
    let redirected = function.seen().iter().filter(|request| request.uri.path() == "/elsewhere").count();
    assert_eq!(redirected, 0, "redirects are never followed");
    dispatcher.stop().await;
}

//! The sample function: an ordinary HTTP server, as one would write it behind a function URL.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a slow function takes: less than the grace of `dev`, or Ctrl-C would warn of it now and then.
const SLOW: Duration = Duration::from_millis(800);

/// The parts of the envelope that this function looks at.
#[derive(Debug, Deserialize)]
struct Envelope {
    job: Job,
    #[serde(default)]
    args: Value,
}

#[derive(Debug, Deserialize)]
struct Job {
    kind: String,
    attempt: u32,
    run_lease: u64,
}

/// `POST /` of anything, told apart by the job's kind.
pub fn router() -> Router {
    Router::new().route("/", post(answer)).route("/{*rest}", post(async |_: Path<String>| StatusCode::NOT_FOUND))
}

async fn answer(headers: HeaderMap, Json(envelope): Json<Envelope>) -> Response {
    let Envelope { job, args } = envelope;
    let name = args.get("name").and_then(Value::as_str).unwrap_or("whoever you are").to_owned();
    let first_run = job.run_lease == 1;
    match job.kind.strip_prefix("sample.").unwrap_or_default() {
        "hello" => {
            let signed = headers.contains_key("webhook-signature");
            Json(json!({"greeting": format!("Hello, {name}!"), "signed": signed})).into_response()
        }
        "slow" => {
            tokio::time::sleep(SLOW).await;
            Json(json!({"slept_ms": SLOW.as_millis()})).into_response()
        }
        "flaky" if job.attempt == 1 => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the first attempt always fails").into_response()
        }
        "busy" if first_run => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "too many at once").into_response()
        }
        "snooze" if first_run => ([("posthaste-outcome", "snooze"), ("retry-after", "1")], "not yet").into_response(),
        "empty" => StatusCode::NO_CONTENT.into_response(),
        "text" => format!("plain text for {name}").into_response(),
        "fail" => (StatusCode::BAD_REQUEST, "these args make no sense").into_response(),
        "giveup" => {
            let said = json!({"error": {"code": "no_such_customer", "message": "customer 7 does not exist"}});
            ([("posthaste-outcome", "fail")], Json(said)).into_response()
        }
        "cancel" => ([("posthaste-outcome", "cancel")], "nobody needs this any more").into_response(),
        "flaky" | "busy" | "snooze" => {
            Json(json!({"after": {"attempt": job.attempt, "run": job.run_lease}})).into_response()
        }
        other => (StatusCode::UNPROCESSABLE_ENTITY, format!("there is no sample {other:?}")).into_response(),
    }
}

//! Everything that a handler can say, through a real dispatcher.

use posthaste::{App, Job as _, JobId};
use posthaste_tests::sql;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    handlers::{self, Say},
    rig::Rig,
};

/// What a function says; the state of its job; how the attempt is recorded.
const ROWS: &[(&str, &str, &str)] = &[
    ("a result", "completed", "completed:responded:200:"),
    ("nothing", "completed", "completed:responded:204:"),
    ("snooze", "scheduled", "snoozed:responded:200:"),
    ("snooze, raised", "scheduled", "snoozed:responded:200:"),
    ("retry", "scheduled", "retried:responded:500:on_fire"),
    ("retry, raised", "scheduled", "retried:responded:500:retry"),
    ("an error", "scheduled", "retried:responded:500:unhandled_exception"),
    ("panic", "scheduled", "retried:responded:500:panic"),
    ("throttle", "scheduled", "throttled:responded:429:http_429"),
    ("fail", "dead", "dead:responded:422:no_such_order"),
    ("fail, raised", "dead", "dead:responded:422:no_such_order"),
    ("retire", "dead", "dead:responded:410:http_410"),
    ("cancel", "cancelled", "cancelled:responded:200:cancelled"),
    ("cancel, raised", "cancelled", "cancelled:responded:200:cancelled"),
];
/// What a function says that then waits: nothing has ended.
const WAITING: &[&str] = &["accepted", "accepted, raised", "suspend", "suspend, raised"];

/// The handlers of the tests behind axum, in this process.
pub async fn serve() -> String {
    serve_app(handlers::app()).await
}

/// The URL of an app that is served in this process.
pub async fn serve_app(app: App) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app.into_router()).await });
    url
}

/// Has the function at `url`, an endpoint of this format, say everything.
pub async fn check_every_outcome(rig: &mut Rig, url: &str, format: &str) {
    let kinds = ["say", "nobody_handles_this"];
    let fields = json!({"format": format, "retry": {"policy": "constant", "base_ms": 600_000}});
    rig.endpoint("e", url, &kinds, &fields).await;
    let mut jobs = Vec::new();
    for (word, state, attempt) in ROWS {
        let id = Say { word: (*word).to_owned() }.enqueue(&mut rig.connection).await.unwrap();
        jobs.push((*word, id, *state, *attempt));
    }
    let wrong = posthaste::NewJob::new("say", &json!({"words": 1})).enqueue(&mut rig.connection).await.unwrap();
    jobs.push(("wrong args", wrong, "dead", "dead:responded:422:invalid_args"));
    let unknown = posthaste::NewJob::new("nobody_handles_this", &()).enqueue(&mut rig.connection).await.unwrap();
    jobs.push(("no handler", unknown, "scheduled", "retried:responded:404:unknown_kind"));
    let mut waiting = Vec::new();
    for word in WAITING {
        waiting.push(Say { word: (*word).to_owned() }.enqueue(&mut rig.connection).await.unwrap());
    }
    for (word, id, state, attempt) in jobs {
        assert_eq!(rig.attempt(id, 1).await, attempt, "{word}");
        assert_eq!(sql::state(&mut rig.connection, id.0).await, state, "{word}");
    }
    for id in waiting {
        rig.until_state(id, posthaste::State::Waiting).await;
    }
}

#[tokio::test]
async fn everything_that_a_handler_can_say_does_to_its_job_what_the_answer_table_says() {
    let mut rig = Rig::start().await;
    let url = serve().await;
    check_every_outcome(&mut rig, &url, "envelope").await;
}

#[tokio::test]
async fn the_result_and_the_words_of_a_failure_are_read_back() {
    let mut rig = Rig::start().await;
    let url = serve().await;
    rig.endpoint("e", &url, &["say"], &json!({})).await;
    let done = say(&mut rig, "a result").await;
    let job = rig.client.wait(done, posthaste_tests::WAIT_LIMIT).await.unwrap();
    assert!(job.result.unwrap().get().starts_with(r#"{"attempt":1,"key":""#));
    let dead = say(&mut rig, "fail").await;
    let error = rig.client.wait(dead, posthaste_tests::WAIT_LIMIT).await.unwrap().error.unwrap();
    assert_eq!((&*error.code, &*error.message), ("no_such_order", "there is no such order"));
}

#[tokio::test]
async fn a_function_with_another_secret_is_a_misconfigured_endpoint() {
    let mut rig = Rig::start().await;
    let app = App::signed_with(["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]).unwrap();
    rig.endpoint("e", &serve_app(app).await, &["say"], &json!({})).await;
    let id = say(&mut rig, "a result").await;
    assert_eq!(rig.attempt(id, 1).await, "retried:responded:401:invalid_signature");
    let told = rig.client.job(id).await.unwrap().error.unwrap().message;
    assert_eq!(told, "no signature matches: compare the signing secret with that of the endpoint");
}

pub async fn say(rig: &mut Rig, word: &str) -> JobId {
    Say { word: word.to_owned() }.enqueue(&mut rig.connection).await.unwrap()
}

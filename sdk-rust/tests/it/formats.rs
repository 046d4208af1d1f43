//! Body formats: said by the app, never guessed of a body that anybody may have filled.

use bytes::Bytes;
use http::Request;
use posthaste::{App, Format, Job as _, NewJob, Outcome, Run, Secrets, State, testing::Dispatch};
use posthaste_tests::{WAIT_LIMIT, sql};
use serde_json::{Value, json};

use crate::{
    handlers::{self, SECRET, Say},
    outcomes::serve_app,
    rig::Rig,
};

/// An envelope that somebody filled in as the args of a job: of another kind, with a callback URL of his own.
fn filled_in() -> Value {
    let job = json!({"id": "1", "kind": "say", "queue": "default", "attempt": 1, "max_attempts": 25, "run_lease": 9000,
        "enqueued_at": "2026-01-01T00:00:00Z"});
    let callback = json!({"url": "https://evil.example/v1/callbacks", "token": "ph1.his"});
    json!({"protocol": 1, "job": job, "args": {"word": "a result"}, "callback": callback})
}

/// Signs up: what it got, and how it was told to call back.
#[derive(posthaste::Job, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Newsletter(Value);

fn app() -> App {
    handlers::app().on(async |args: Newsletter, run: Run| {
        let url = run.callback().map(|grant| grant.url().to_owned());
        Ok(Outcome::completed(&json!({"args": args.0, "id": run.id(), "lease": run.run_lease(), "url": url}))?)
    })
}

#[tokio::test]
async fn args_that_are_an_envelope_are_the_args_of_a_raw_job() {
    for (name, format) in [("raw", Format::Raw), ("cloudevents", Format::CloudEvents)] {
        let mut rig = Rig::start().await;
        let url = serve_app(app().format(format)).await;
        rig.endpoint("e", &url, &["newsletter", "say"], &json!({"format": name})).await;
        let id = NewJob::new("newsletter", &filled_in()).enqueue(&mut rig.connection).await.unwrap();
        let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
        let result = job.result.unwrap_or_else(|| panic!("{name}: {:?}", job.error));
        let result: Value = serde_json::from_str(result.get()).unwrap();
        assert_eq!((&result["args"], &result["id"]), (&filled_in(), &json!(id)), "{name}");
        assert_ne!(result["lease"], 9000, "{name}");
        assert!(result["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{name}: {result}");
    }
}

#[tokio::test]
async fn a_format_that_is_not_the_endpoints_ends_no_job_and_runs_no_handler() {
    for (sent, read) in [("raw", Format::Envelope), ("cloudevents", Format::Envelope), ("envelope", Format::Raw)] {
        let mut rig = Rig::start().await;
        let url = serve_app(app().format(read)).await;
        rig.endpoint("e", &url, &["newsletter", "say"], &json!({"format": sent})).await;
        let plain = Say { word: "a result".to_owned() }.job();
        for job in [NewJob::new("newsletter", &filled_in()), plain] {
            let id = job.enqueue(&mut rig.connection).await.unwrap();
            assert_eq!(rig.attempt(id, 1).await, "retried:responded:404:malformed_dispatch", "{sent} {read:?}");
            assert_eq!(sql::state(&mut rig.connection, id.0).await, State::Scheduled.to_string(), "{sent}");
        }
    }
}

/// A signed envelope, changed.
fn envelope(change: impl FnOnce(&mut Value)) -> Request<Bytes> {
    let secrets = Secrets::parse([SECRET]).unwrap();
    let request = Dispatch::of(&Say { word: "a result".to_owned() }).signed(&secrets);
    let mut body: Value = serde_json::from_slice(request.body()).unwrap();
    change(&mut body);
    request.map(|_| Bytes::from(body.to_string()))
}

#[tokio::test]
async fn a_protocol_that_is_not_known_is_no_dispatch() {
    let app = App::unsigned().on(async |_: Say, _: Run| Ok(()));
    assert_eq!(app.handle(envelope(|_| ())).await.status(), 204);
    for protocol in [json!(0), json!(2), json!(999), json!("1"), json!(null)] {
        let answer = app.handle(envelope(|body| body["protocol"] = protocol.clone())).await;
        assert_eq!(answer.status(), 404, "{protocol}");
    }
    // A newer server may have changed the rest as well.
    let answer = app.handle(envelope(|body| *body = json!({"protocol": 2, "work": {}}))).await;
    let problem: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(problem["code"], "malformed_dispatch");
    assert!(problem["detail"].as_str().unwrap().contains("protocol 2 is not known here"), "{problem}");
}

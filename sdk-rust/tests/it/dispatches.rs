//! Requests as an app takes them, without a network.

use bytes::Bytes;
use http::{Request, Response};
use posthaste::{App, Format, Job, NewJob, Result, Run, Secrets, testing::Dispatch};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::handlers::{SECRET, Say, app};

const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn code(answer: &Response<Bytes>) -> (u16, String) {
    assert_eq!(answer.headers()["posthaste-protocol"], "1");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), problem["code"].as_str().unwrap().to_owned())
}

/// The answer to what is no dispatch.
fn malformed() -> (u16, String) {
    (404, "malformed_dispatch".to_owned())
}

fn said() -> Dispatch {
    Dispatch::of(&Say { word: "a result".to_owned() })
}

fn signed_with(secret: &str) -> Request<Bytes> {
    said().signed(&Secrets::parse([secret]).unwrap())
}

#[tokio::test]
async fn only_what_is_signed_with_a_secret_of_the_app_is_taken() {
    let app = app();
    assert_eq!(app.handle(signed_with(SECRET)).await.status(), 200);
    let refused = (401, "invalid_signature".to_owned());
    let other = app.handle(signed_with(OTHER)).await;
    assert_eq!(code(&other), refused);
    let problem: Value = serde_json::from_slice(other.body()).unwrap();
    let advice = "no signature matches: compare the signing secret with that of the endpoint";
    assert_eq!(problem["detail"], advice);
    let mut changed = signed_with(SECRET);
    let body = String::from_utf8(changed.body().to_vec()).unwrap();
    *changed.body_mut() = body.replace("a result", "nothing!").into();
    assert_eq!(code(&app.handle(changed).await), refused);
    let mut unsigned = signed_with(SECRET);
    unsigned.headers_mut().remove("webhook-signature");
    assert_eq!(code(&app.handle(unsigned).await), refused);
    let mut old = signed_with(SECRET);
    old.headers_mut().insert("webhook-timestamp", 1_614_265_330.into());
    assert_eq!(code(&app.handle(old).await), refused);
}

#[tokio::test]
async fn while_a_secret_is_rotated_both_are_taken() {
    let app = App::signed_with([OTHER, SECRET]).unwrap().on(async |_: Say, _: Run| Ok(()));
    for secret in [SECRET, OTHER] {
        assert_eq!(app.handle(signed_with(secret)).await.status(), 204);
    }
}

#[tokio::test]
async fn what_no_handler_can_take_is_refused_by_name() {
    let app = App::unsigned().on(async |_: Say, _: Run| Ok(()));
    let got = Request::get("/").body(Bytes::new()).unwrap();
    let refused = app.handle(got).await;
    assert_eq!(code(&refused), (405, "method_not_allowed".to_owned()));
    assert_eq!(refused.headers()["allow"], "POST");
    for body in ["", "{", "[]", r#"{"protocol": 1}"#] {
        let odd = Request::post("/").body(Bytes::from(body)).unwrap();
        assert_eq!(code(&app.handle(odd).await), malformed(), "{body}");
    }
    let run = async |job| code(&posthaste::testing::run(&app, &Dispatch::of_job(job)).await.answer);
    assert_eq!(run(NewJob::new("other", &json!({}))).await, (404, "unknown_kind".to_owned()));
    assert_eq!(run(NewJob::new("say", &json!({"word": 1}))).await, (422, "invalid_args".to_owned()));
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_as_too_large() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app().into_router()).await });
    for (bytes, status) in [(40 * 1024 * 1024, 401), (40 * 1024 * 1024 + 1, 413)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut answer, mut request) = stream.split();
        let head = format!("POST / HTTP/1.1\r\nhost: f\r\ncontent-length: {bytes}\r\n\r\n");
        let body = [head.into_bytes(), vec![b' '; bytes]].concat();
        let mut said = [0; 12];
        // The server may hang up on what is too large: what it said before that counts.
        let (_sent, read) = tokio::join!(request.write_all(&body), answer.read_exact(&mut said));
        read.unwrap();
        assert_eq!(String::from_utf8_lossy(&said), format!("HTTP/1.1 {status}"), "{bytes} bytes");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = app().serve(address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("cannot listen on {address}: Address already in use")), "{error}");
}

#[tokio::test]
async fn the_idempotency_key_is_the_one_that_is_signed() {
    let mut replayed = signed_with(SECRET);
    replayed.headers_mut().insert("idempotency-key", "another".parse().unwrap());
    let answer = app().handle(replayed).await;
    let result: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(result["key"], "test-1-0");
}

#[derive(Job, Serialize, Deserialize)]
#[job(kind = "thumb/nail:v2")]
struct Thumbnail {
    image: String,
}

async fn thumbnail(args: Thumbnail, run: Run) -> Result<Value> {
    Ok(json!({"image": args.image, "id": run.id(), "attempt": run.attempt(), "queue": run.queue()}))
}

#[tokio::test]
async fn the_formats_raw_and_cloudevents_say_in_headers_what_the_envelope_says() {
    let request = Request::post("/")
        .header("posthaste-protocol", "1")
        .header("posthaste-job-id", "42")
        .header("posthaste-kind", "thumb/nail:v2")
        .header("posthaste-queue", "images")
        .header("posthaste-attempt", "3")
        .header("posthaste-max-attempts", "25")
        .header("posthaste-run-lease", "7")
        .body(Bytes::from(r#"{"image": "a.png"}"#))
        .unwrap();
    for format in [Format::Raw, Format::CloudEvents] {
        let app = App::unsigned().format(format).on(thumbnail);
        let answer = app.handle(request.clone()).await;
        let result: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(result, json!({"image": "a.png", "id": "42", "attempt": 3, "queue": "images"}));
        let mut newer = request.clone();
        newer.headers_mut().insert("posthaste-protocol", 2.into());
        assert_eq!(code(&app.handle(newer).await), malformed());
    }
}

#[tokio::test]
async fn the_testing_kit_dispatches_in_the_format_of_the_app() {
    let dispatch = Dispatch::of(&Thumbnail { image: "a.png".to_owned() }).attempt(3);
    for format in [Format::Envelope, Format::Raw, Format::CloudEvents] {
        let app = App::signed_with([SECRET]).unwrap().format(format).on(thumbnail);
        let ran = posthaste::testing::run(&app, &dispatch).await;
        let result: Value = serde_json::from_slice(ran.answer.body()).unwrap();
        assert_eq!(result, json!({"image": "a.png", "id": "1", "attempt": 3, "queue": "default"}), "{format:?}");
    }
}

#[test]
fn two_handlers_of_one_kind_are_a_mistake_in_the_program() {
    let app = || App::unsigned().on(async |_: Say, _: Run| Ok(())).on(async |_: Say, _: Run| Ok(1));
    let panic = std::panic::catch_unwind(app).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "two handlers of the kind say");
}

#[tokio::test]
async fn a_function_without_a_secret_ends_and_says_what_to_do() {
    let mut function = crate::process::example("lambda");
    function.env_remove("POSTHASTE_SIGNING_SECRET").stderr(std::process::Stdio::piped());
    let ended = function.output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    let expected = "Error: no signing secret: set POSTHASTE_SIGNING_SECRET to the whsec_…";
    assert!(!ended.status.success() && said.starts_with(expected) && said.contains("App::unsigned()"), "{said}");
}

#[test]
fn an_error_prints_what_it_came_from() {
    let source = std::io::Error::other("the disk is full");
    let error = posthaste::Error::new(posthaste::enqueue::EnqueueError::Sqlx(source.into()));
    assert_eq!(format!("{error:?}"), "error communicating with database: the disk is full");
}

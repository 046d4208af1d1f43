//! What a function is given to call back with; and calling back with it, as the gateway does.

use std::sync::Arc;

use posthaste_dispatcher::Callbacks;
use posthaste_engine::{
    callback::{CallbackEnd, EndTerms, LaneTerms, Told, finish},
    claim::Lease,
    floor::Scan,
    held::RunRef,
    lifecycle::Outcome,
    resume::{Signal, Signalled, resume},
    retry::RetryPolicy,
    session::Role,
};
use posthaste_protocol::{
    action::{Action, Actions},
    gateway_url::GatewayUrl,
    key_ring::KeyRing,
    token::{Claims, TokenKind, verify},
};
use posthaste_service::clock;
use posthaste_tests::{Answer, RETRY, Request, TestDb, sql};
use serde_json::json;
use uuid::Uuid;

use crate::fleet::{Running, scene, until_state};

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text).expect("a key ring")
}

/// A ring whose first key has this id.
fn keys(kid: u16) -> String {
    format!("{kid}:{}", format!("{kid:02x}").repeat(32))
}

/// How the functions of the tests call back.
pub fn callbacks() -> Callbacks {
    let gateway = GatewayUrl::parse("https://cb.example.com").expect("a URL");
    Callbacks { gateway, keys: Arc::new(Arc::new(ring(&keys(7))).into()) }
}

/// What the token of a request says, as the gateway reads it.
pub fn claims(request: &Request) -> Claims {
    let token = request.header("posthaste-callback-token");
    verify(&ring(&keys(7)), token.as_bytes(), TokenKind::Callback, clock::unix_now()).expect("a good token")
}

fn retry(_scan: Scan) -> RetryPolicy {
    RETRY
}

/// The run that the token of this request names.
fn run_of(request: &Request) -> RunRef {
    let claims = claims(request);
    let lease = Lease { lease_id: claims.lease_id, nonce: Uuid::from_bytes(claims.nonce) };
    RunRef { lease, job_id: claims.job_id.0, run_lease: claims.run_lease }
}

/// Wakes the function of this request with this payload.
pub async fn wake(db: &TestDb, request: &Request, payload: &str) -> Signalled {
    let mut connection = db.connect(Role::Settle).await;
    let (payload, via) = (Some(payload.to_owned()), "callback".to_owned());
    let signal = Signal { run: run_of(request), wait: None, payload, digest: [2; 16], via };
    resume(&mut connection, &[signal]).await.expect("a signal").remove(0)
}

/// Calls back with the token of this request.
pub async fn call_back(db: &TestDb, request: &Request, action: Action, outcome: Outcome) -> Told {
    let mut connection = db.connect(Role::Settle).await;
    let callback = CallbackEnd { run: run_of(request), outcome, action, digest: [1; 16], judged: true };
    let of = |scan| Some(EndTerms { retry: retry(scan), has_cel: false });
    let terms = LaneTerms { of: &of, plain: &[1] };
    finish(&mut connection, &[callback], terms, 0.0).await.expect("a callback").remove(0)
}

/// Calls back with `complete` and this result.
pub async fn complete(db: &TestDb, request: &Request, result: &str) -> Told {
    call_back(db, request, Action::Complete, Outcome::Completed { result: Some(result.to_owned()) }).await
}

#[tokio::test]
async fn every_dispatch_says_how_to_call_back() {
    let (db, function, mut connection) = scene(json!({"max_run_ms": 7_200_000, "callback_timeout_ms": 60_000})).await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let before = clock::unix_now();
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "completed").await;
    let request = function.requests(1).await.remove(0);
    let granted = &request.json()["callback"];
    assert_eq!(request.header("posthaste-callback-url"), "https://cb.example.com/v1/callbacks");
    assert_eq!(granted["url"], "https://cb.example.com/v1/callbacks");
    assert_eq!(granted["token"], request.header("posthaste-callback-token"));
    assert_eq!((&granted["deadline_in_ms"], &granted["token_expires_in_ms"]), (&json!(60_000), &json!(7_800_000)));
    assert_eq!(granted["actions"].as_array().unwrap().len(), 9);

    let claims = claims(&request);
    assert_eq!((claims.job_id.0, claims.run_lease, claims.wait, claims.actions), (job, 1, 0, Actions::ALL));
    let lifetime = claims.expires_at_unix - before;
    assert!((7_800..7_860).contains(&lifetime), "claim + max_run_ms + 10 minutes: {lifetime}");

    let hook = granted["hook_url"].as_str().unwrap().strip_prefix("https://cb.example.com/v1/hooks/").unwrap();
    let hook = verify(&ring(&keys(7)), hook.as_bytes(), TokenKind::Hook, clock::unix_now()).unwrap();
    assert_eq!((hook.job_id, hook.lease_id, hook.nonce), (claims.job_id, claims.lease_id, claims.nonce));
    assert!(hook.actions.allow(Action::Resume) && !hook.actions.allow(Action::Cancel));
    dispatcher.stop().await;
}

#[tokio::test]
async fn formats_without_an_envelope_have_the_token_in_their_headers() {
    let (db, function, mut connection) = scene(json!({"format": "raw"})).await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k', args => '[1]'").await;
    until_state(&mut connection, job, "completed").await;
    let request = function.requests(1).await.remove(0);
    assert_eq!((&request.body[..], claims(&request).job_id.0), (&b"[1]"[..], job));
    dispatcher.stop().await;
}

#[tokio::test]
async fn without_a_gateway_nothing_is_sent_to_call_back_with() {
    let (db, function, mut connection) = scene(json!({})).await;
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "completed").await;
    let request = function.requests(1).await.remove(0);
    assert!(request.headers.keys().all(|name| !name.as_str().starts_with("posthaste-callback")));
    assert_eq!(request.json()["callback"], json!(null));
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_ring_that_changes_while_it_runs_mints_with_its_new_key() {
    let (db, function, mut connection) = scene(json!({})).await;
    let callbacks = callbacks();
    let dispatcher = Running::start_with(&db, 8, Some(callbacks.clone()));
    let first = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, first, "completed").await;
    let both = format!("{},{}", keys(9), keys(7));
    callbacks.keys.store(Arc::new(ring(&both)));
    let second = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, second, "completed").await;
    let requests = function.requests(2).await;
    for (request, kid) in requests.iter().zip([7, 9]) {
        let token = request.header("posthaste-callback-token").as_bytes().to_vec();
        let alone = verify(&ring(&keys(kid)), &token, TokenKind::Callback, clock::unix_now());
        assert!(alone.is_ok(), "key {kid}");
        assert!(verify(&ring(&both), &token, TokenKind::Callback, clock::unix_now()).is_ok());
    }
    dispatcher.stop().await;
}

#[tokio::test]
async fn progress_goes_with_the_next_attempt() {
    let (db, function, mut connection) = scene(json!({"retry": {"policy": "constant", "base_ms": 1}})).await;
    function.on("k", [Answer::status(500), Answer::status(204)]);
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let reported = format!("insert into posthaste.progress (job_id, percent, message) values ({job}, 40, 'half')");
    sql::run(&mut connection, &reported).await;
    let dispatcher = Running::start(&db, 8);
    until_state(&mut connection, job, "completed").await;
    let requests = function.requests(2).await;
    let told = |n: usize| requests[n].json()["progress"].clone();
    // A first run cannot have reported anything.
    assert_eq!(told(0), json!(null));
    assert_eq!((&told(1)["percent"], &told(1)["message"]), (&json!(40), &json!("half")));
    dispatcher.stop().await;
}

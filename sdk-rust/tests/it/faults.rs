//! Functions that crash, hang, or are called twice.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use posthaste::{App, Job, Result, Run};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    handlers::SECRET,
    outcomes::{say, serve},
    process,
    rig::Rig,
};

#[tokio::test]
async fn a_function_that_crashes_is_tried_again() {
    let mut rig = Rig::start().await;
    // Free when asked; a test that meets another user of the port in between fails loudly.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut function = process::serve(port).await;
    let retry = json!({"retry": {"policy": "constant", "base_ms": 1000}});
    rig.endpoint("e", &format!("http://127.0.0.1:{port}/"), &["say"], &retry).await;
    let id = say(&mut rig, "crash once").await;
    function.wait().await.unwrap();
    let _again = process::serve(port).await;
    assert_eq!(rig.attempt(id, 1).await, "retried:unknown::reset");
    let job = rig.client.wait(id, posthaste_tests::WAIT_LIMIT).await.unwrap();
    assert_eq!((job.attempt, job.result.unwrap().get()), (2, r#""survived""#));
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_answers_the_run_that_is_open_first() {
    let mut rig = Rig::start().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut function = process::serve(port).await;
    rig.endpoint("e", &format!("http://127.0.0.1:{port}/"), &["say"], &json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    let id = say(&mut rig, &format!("until {}", file.display())).await;
    let begun = folder.path().join("go.begun");
    let waiting = async {
        while !begun.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(posthaste_tests::WAIT_LIMIT, waiting).await.unwrap();
    let pid = function.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    // It takes no new connection from then on.
    while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    std::fs::write(file, "").unwrap();
    let job = rig.client.wait(id, posthaste_tests::WAIT_LIMIT).await.unwrap();
    assert_eq!((job.attempt, job.result.unwrap().get()), (1, r#""in time""#));
    assert!(function.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_handler_that_misses_its_deadline_is_unknown_and_is_dropped() {
    let mut rig = Rig::start().await;
    let url = serve().await;
    rig.endpoint("e", &url, &["say"], &json!({"timeout_ms": 200})).await;
    let id = say(&mut rig, "never").await;
    assert_eq!(rig.attempt(id, 1).await, "retried:unknown::timeout");
}

#[derive(Job, Serialize, Deserialize)]
struct Charge {
    cents: i64,
}

#[tokio::test]
async fn a_run_that_comes_twice_has_its_effect_once_by_its_idempotency_key() {
    let mut rig = Rig::start().await;
    let charged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let (dropped, mut was_dropped) = watch::channel(false);
    let (effects, dropped) = (Arc::clone(&charged), Arc::new(DropSignal(dropped)));
    let app = App::signed_with([SECRET]).unwrap().on(move |args: Charge, run: Run| {
        let (effects, dropped) = (Arc::clone(&effects), Arc::clone(&dropped));
        async move { charge(args, run, &effects, &dropped).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app.into_router()).await });
    let more = json!({"timeout_ms": 200, "retry": {"policy": "constant", "base_ms": 1}});
    rig.endpoint("e", &url, &["charge"], &more).await;
    let id = Charge { cents: 1250 }.enqueue(&mut rig.connection).await.unwrap();
    let job = rig.client.wait(id, posthaste_tests::WAIT_LIMIT).await.unwrap();
    assert_eq!((job.attempt, job.result.unwrap().get()), (2, "false"));
    assert_eq!(charged.lock().unwrap().len(), 1);
    was_dropped.wait_for(|dropped| *dropped).await.unwrap();
}

struct DropSignal(watch::Sender<bool>);

/// Tells when the handler that holds it is gone.
struct OnDrop<'a>(&'a DropSignal);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.0.send_replace(true);
    }
}

/// Charges, and never answers the first time. Whether it charged.
async fn charge(args: Charge, run: Run, effects: &Mutex<BTreeSet<String>>, dropped: &DropSignal) -> Result<bool> {
    assert_eq!(args.cents, 1250);
    let new = effects.lock().unwrap().insert(run.idempotency_key().to_owned());
    if run.attempt() == 1 {
        let _guard = OnDrop(dropped);
        std::future::pending::<()>().await;
    }
    Ok(new)
}

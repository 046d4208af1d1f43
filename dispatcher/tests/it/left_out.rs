//! Endpoints that this dispatcher cannot use: what is theirs stays theirs.

use std::time::Duration;

use posthaste_engine::{
    lifecycle::wait::WaitTimes,
    park::{Park, park},
    session::Role,
};
use posthaste_tests::{Answer, FakeDispatcher, Gate, HOUR, TestDb, sql};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::{
    callbacks::callbacks,
    fleet::{Running, put_endpoint, scene, until, until_state, until_within},
    secure::{Authority, SecureFunction},
};

/// These fields, and a header whose reference cannot be read.
fn unreadable(mut more: Value) -> Value {
    more["headers"] = json!({"x-key": {"env": "NO_SUCH_VARIABLE_ANYWHERE"}});
    more
}

/// Waits until the one dispatcher says that it cannot use `e`, or that it can.
async fn until_used(connection: &mut PgConnection, used: bool) {
    let endpoint = "state::jsonb #> '{endpoints,e}'";
    let query = format!("select ({endpoint} ? 'unusable') <> {used} from posthaste.dispatcher");
    until(connection, &query).await;
}

#[tokio::test]
async fn a_kind_whose_endpoint_cannot_be_read_goes_to_nobody_else() {
    let (db, function, mut connection) = scene(unreadable(json!({}))).await;
    put_endpoint(&mut connection, "newer", &function.url("/newer"), &["newer"], json!({})).await;
    // As a later version may write it.
    sql::run(
        &mut connection,
        r#"update posthaste.endpoint set spec = (spec::jsonb || '{"tomorrow": 1}')::json where name = 'newer'"#,
    )
    .await;
    put_endpoint(&mut connection, "rest", &function.url("/rest"), &["*"], json!({})).await;
    let mut held = Vec::new();
    for kind in ["k", "newer"] {
        held.push(sql::enqueue(&mut connection, &format!("kind => '{kind}'")).await);
    }
    let dispatcher = Running::start(&db, 8);
    until_used(&mut connection, false).await;
    let other = sql::enqueue(&mut connection, "kind => 'whatever'").await;
    until_state(&mut connection, other, "completed").await;
    for job in &held {
        assert_eq!(sql::state(&mut connection, *job).await, "available");
    }
    put_endpoint(&mut connection, "e", &function.url("/f"), &["k"], json!({})).await;
    put_endpoint(&mut connection, "newer", &function.url("/newer"), &["newer"], json!({})).await;
    for job in held {
        until_state(&mut connection, job, "completed").await;
    }
    dispatcher.stop().await;
}

#[tokio::test]
async fn its_lost_runs_end_as_it_says_and_not_as_the_one_for_every_kind_does() {
    let (db, function, mut connection) = scene(unreadable(json!({"on_unknown": "fail"}))).await;
    put_endpoint(&mut connection, "rest", &function.url("/rest"), &["*"], json!({"on_unknown": "retry"})).await;
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let mut silent = FakeDispatcher::start(&db).await;
    silent.claim_one().await;
    let dispatcher = Running::start(&db, 8);
    // 15 s of silence, by the rescuer's monotonic clock: longer than any other test waits.
    let ended = format!("select state <> 'running' from posthaste.jobs where id = {job}");
    until_within(Duration::from_secs(40), &mut connection, &ended).await;
    assert_eq!(sql::state(&mut connection, job).await, "dead");
    assert!(function.seen().is_empty());
    dispatcher.stop().await;
}

#[tokio::test]
async fn its_waits_that_are_over_are_tried_again_as_it_says() {
    let at_once = json!({"retry": {"policy": "constant", "base_ms": 1, "jitter": 0.0}});
    let late = json!({"retry": {"policy": "constant", "base_ms": 36_000_000, "jitter": 0.0}});
    let (db, function, mut connection) = scene(unreadable(late)).await;
    put_endpoint(&mut connection, "rest", &function.url("/rest"), &["*"], at_once).await;
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let mut other = FakeDispatcher::start(&db).await;
    let run = other.claim_one().await;
    let times = WaitTimes { callback: Duration::from_millis(1), ..HOUR };
    let waits = Park { times, ..FakeDispatcher::accepted(&run) };
    park(&mut other.settles, &[waits], &[run.lease.lease_id]).await.unwrap();
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    until(&mut connection, &format!("select state <> 'waiting' from posthaste.jobs where id = {job}")).await;
    let later = format!(
        "select concat_ws(' ', state, run_at > now() + interval '9 hours') from posthaste.jobs where id = {job}"
    );
    assert_eq!(sql::text(&mut connection, &later).await, "scheduled t");
    dispatcher.stop().await;
}

#[tokio::test]
async fn its_open_posts_still_count_when_it_is_back() {
    let (db, function, mut connection) = scene(json!({"concurrency": 2})).await;
    let gate = Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let dispatcher = Running::start(&db, 8);
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 2)").await;
    function.requests(2).await;
    let (url, concurrency) = (function.url("/f"), json!({"concurrency": 2}));
    put_endpoint(&mut connection, "e", &url, &["k"], unreadable(concurrency.clone())).await;
    until_used(&mut connection, false).await;
    put_endpoint(&mut connection, "e", &url, &["k"], concurrency).await;
    until_used(&mut connection, true).await;
    let open = "select state #>> '{endpoints,e,in_flight}' from posthaste.dispatcher";
    assert_eq!(sql::text(&mut connection, open).await, "2");
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 20)").await;
    gate.open();
    until(&mut connection, "select count(*) = 22 from posthaste.jobs where state = 'completed'").await;
    assert!(function.most_open() <= 2, "{} at once", function.most_open());
    dispatcher.stop().await;
}

#[tokio::test]
async fn its_own_connections_are_used_again_when_it_is_back() {
    let (authority, db) = (Authority::new(), TestDb::new().await);
    let function = SecureFunction::start(&authority, "localhost", None).await;
    let mut connection = db.connect(Role::General).await;
    let url = format!("https://localhost:{}/f", function.address.port());
    let tls = json!({"tls": authority.trusted()});
    put_endpoint(&mut connection, "e", &url, &["k"], tls.clone()).await;
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "'k'").await;
    until_state(&mut connection, job, "completed").await;
    put_endpoint(&mut connection, "e", &url, &["k"], unreadable(tls.clone())).await;
    until_used(&mut connection, false).await;
    put_endpoint(&mut connection, "e", &url, &["k"], tls).await;
    let job = sql::enqueue(&mut connection, "'k'").await;
    until_state(&mut connection, job, "completed").await;
    assert_eq!((function.served(), function.connections()), (2, 1));
    dispatcher.stop().await;
}

//! Nobody knows whether the function ran: what the endpoint says of that.

use std::time::Duration;

use posthaste_engine::callback::Told;
use posthaste_tests::{Answer, FakeDispatcher, Gate, sql};
use serde_json::json;

use crate::{
    callbacks::{callbacks, complete},
    fleet::{Running, put_endpoint, scene, until, until_state, until_within},
};

#[tokio::test]
async fn a_post_that_breaks_off_waits_where_the_endpoint_says_so() {
    let (db, function, mut connection) = scene(json!({"on_unknown": "wait", "callback_timeout_ms": 60_000})).await;
    function.otherwise(Answer::cut());
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "waiting").await;
    let wait =
        "select concat_ws(' ', coalesce(http_status::text, '-'), round(extract(epoch from deadline_at - parked_at)))
        from posthaste.waiting";
    assert_eq!(sql::text(&mut connection, wait).await, "- 60");
    let request = function.requests(1).await.remove(0);
    assert!(matches!(complete(&db, &request, "1").await, Told::Applied { .. }));
    until_state(&mut connection, job, "completed").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_post_that_takes_too_long_waits_where_the_endpoint_says_so() {
    let (db, function, mut connection) = scene(json!({"on_unknown": "wait", "timeout_ms": 100})).await;
    let gate = Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "waiting").await;
    gate.open();
    dispatcher.stop().await;
    assert_eq!(sql::state(&mut connection, job).await, "waiting");
}

#[tokio::test]
async fn what_never_reached_a_function_does_not_wait() {
    let (db, _function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "gone", "http://127.0.0.1:9/", &["g"], json!({"on_unknown": "wait"})).await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'g'").await;
    until(&mut connection, &format!("select count(*) > 0 from posthaste.attempt where job_id = {job}")).await;
    assert_eq!(sql::count(&mut connection, "waiting").await, 0);
    dispatcher.stop().await;
}

#[tokio::test]
async fn unset_it_waits_only_where_the_last_answers_were_202() {
    let (db, function, mut connection) = scene(json!({"retry": {"policy": "constant", "base_ms": 600_000}})).await;
    let accepted = Answer::status(202);
    let answers = [Answer::cut(), accepted.clone(), accepted.clone(), accepted, Answer::cut()];
    function.on("k", answers);
    let dispatcher = Running::start_with(&db, 1, Some(callbacks()));
    let mut states = Vec::new();
    for _ in 0..5 {
        let job = sql::enqueue(&mut connection, "kind => 'k'").await;
        until(
            &mut connection,
            &format!("select state in ('waiting', 'scheduled') from posthaste.jobs where id = {job}"),
        )
        .await;
        states.push(sql::state(&mut connection, job).await);
    }
    assert_eq!(states, ["scheduled", "waiting", "waiting", "waiting", "waiting"]);
    dispatcher.stop().await;
}

#[tokio::test]
async fn without_callbacks_there_is_nothing_to_wait_for() {
    let (db, function, mut connection) = scene(json!({"on_unknown": "wait"})).await;
    function.otherwise(Answer::cut());
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "scheduled").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_hard_stop_leaves_open_runs_waiting_where_the_endpoint_says_so() {
    let (db, function, mut connection) = scene(json!({"on_unknown": "wait"})).await;
    let gate = Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let request = function.requests(1).await.remove(0);
    dispatcher.shutdown.force();
    dispatcher.stop().await;
    assert_eq!(sql::state(&mut connection, job).await, "waiting");
    assert!(matches!(complete(&db, &request, "1").await, Told::Applied { .. }));
    gate.open();
}

#[tokio::test]
async fn runs_of_a_silent_dispatcher_wait_where_the_endpoint_says_so() {
    let (db, _function, mut connection) = scene(json!({"on_unknown": "wait"})).await;
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let mut silent = FakeDispatcher::start(&db).await;
    silent.claim_one().await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    // 15 s of silence, by the rescuer's monotonic clock: longer than any other test waits.
    let waits = format!("select state = 'waiting' from posthaste.jobs where id = {job}");
    until_within(Duration::from_secs(40), &mut connection, &waits).await;
    assert!(sql::attempts(&mut connection, job).await.is_empty());
    dispatcher.stop().await;
}

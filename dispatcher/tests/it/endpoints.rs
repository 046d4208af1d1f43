//! Endpoints while they change, fail, throttle and retire.

use std::time::Duration;

use posthaste_engine::endpoint;
use posthaste_tests::{Answer, sql};
use serde_json::json;

use crate::fleet::{Running, put_endpoint, scene, until, until_state};

#[tokio::test]
async fn a_kind_without_an_endpoint_stays_available_until_one_takes_it() {
    let (db, function, mut connection) = scene(json!({})).await;
    let dispatcher = Running::start(&db, 8);
    let orphan = sql::enqueue(&mut connection, "kind => 'orphan'").await;
    let known = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, known, "completed").await;
    assert_eq!(sql::state(&mut connection, orphan).await, "available");
    put_endpoint(&mut connection, "late", &function.url("/late"), &["orphan"], json!({})).await;
    until_state(&mut connection, orphan, "completed").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_named_endpoint_and_the_one_for_every_kind_take_their_jobs() {
    let (db, function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "named", &function.url("/named"), &[], json!({})).await;
    put_endpoint(&mut connection, "rest", &function.url("/rest"), &["*"], json!({})).await;
    let dispatcher = Running::start(&db, 8);
    let named = sql::enqueue(&mut connection, "kind => 'k', endpoint => 'named'").await;
    let rest = sql::enqueue(&mut connection, "kind => 'whatever'").await;
    until_state(&mut connection, named, "completed").await;
    until_state(&mut connection, rest, "completed").await;
    let mut paths: Vec<String> = function.seen().iter().map(|request| request.uri.path().to_owned()).collect();
    paths.sort();
    assert_eq!(paths, ["/named", "/rest"]);
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_paused_endpoint_gets_nothing_until_it_is_resumed() {
    let (db, function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "other", &function.url("/other"), &["other"], json!({})).await;
    endpoint::pause(&mut connection, "e", "maintenance").await.unwrap();
    let dispatcher = Running::start(&db, 8);
    let held = sql::enqueue(&mut connection, "kind => 'k'").await;
    let other = sql::enqueue(&mut connection, "kind => 'other'").await;
    until_state(&mut connection, other, "completed").await;
    assert_eq!(sql::state(&mut connection, held).await, "available");
    endpoint::resume(&mut connection, "e").await.unwrap();
    until_state(&mut connection, held, "completed").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_endpoint_never_gets_more_than_its_concurrency() {
    let (db, function, mut connection) = scene(json!({"concurrency": 3})).await;
    function.otherwise(Answer::json(&json!(1)));
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 200)").await;
    let dispatcher = Running::start(&db, 64);
    until(&mut connection, "select count(*) = 200 from posthaste.jobs where state = 'completed'").await;
    assert!(function.most_open() <= 3, "{} at once", function.most_open());
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_failing_endpoint_is_left_alone_and_its_jobs_keep_their_attempts() {
    let breaker = json!({"breaker": {"min": 10, "probe_after_ms": 200}, "concurrency": 16});
    let (db, function, mut connection) = scene(breaker).await;
    function.otherwise(Answer::status(500));
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 500)").await;
    let dispatcher = Running::start(&db, 64);
    // A beat may meet it between a pause and the probe that follows.
    until(&mut connection, "select state::text ~ '\"breaker\":\"(open|half_open)\"' from posthaste.dispatcher").await;
    let untouched = sql::number(&mut connection, "select count(*) from posthaste.jobs where state = 'available'").await;
    assert!(untouched > 300, "only {untouched} jobs kept their attempts");
    function.otherwise(Answer::status(204));
    until(&mut connection, "select count(*) >= 300 from posthaste.jobs where state = 'completed'").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn five_jobs_told_410_pause_their_endpoint() {
    let (db, function, mut connection) = scene(json!({"concurrency": 1})).await;
    function.otherwise(Answer::status(410));
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 20)").await;
    let dispatcher = Running::start(&db, 8);
    until(&mut connection, "select paused_at is not null from posthaste.endpoint where name = 'e'").await;
    until(&mut connection, "select count(*) >= 5 from posthaste.dead_letter").await;
    let dead = sql::number(&mut connection, "select count(*) from posthaste.dead_letter").await;
    assert!((5..20).contains(&dead), "{dead} dead: a retired endpoint must not empty its queue");
    dispatcher.stop().await;
}

#[tokio::test]
async fn throttled_jobs_use_no_attempts_and_the_endpoint_gets_less() {
    let (db, function, mut connection) = scene(json!({"concurrency": 32})).await;
    function.otherwise(Answer::status(429).header("retry-after", "1"));
    sql::run(&mut connection, "select posthaste.enqueue('k', max_attempts => 1) from generate_series(1, 40)").await;
    let dispatcher = Running::start(&db, 64);
    until(&mut connection, "select count(*) >= 20 from posthaste.attempt where outcome = 'throttled'").await;
    function.otherwise(Answer::status(204));
    until(&mut connection, "select count(*) = 40 from posthaste.jobs where state = 'completed'").await;
    assert_eq!(sql::count(&mut connection, "dead_letter").await, 0);
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_unknown_and_the_jobs_own_time_out_counts() {
    let (db, function, mut connection) = scene(json!({"timeout_ms": 600_000})).await;
    let gate = posthaste_tests::Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k', timeout_ms => 150").await;
    until_state(&mut connection, job, "scheduled").await;
    let attempt = format!("select class || ':' || error_code from posthaste.attempt where job_id = {job}");
    assert_eq!(sql::text(&mut connection, &attempt).await, "unknown:timeout");
    gate.open();
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_costs_no_attempt() {
    let (db, _function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "gone", "http://127.0.0.1:9/", &["lost"], json!({})).await;
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'lost', max_attempts => 1").await;
    until_state(&mut connection, job, "scheduled").await;
    let attempt = format!("select class || ':' || error_code from posthaste.attempt where job_id = {job} limit 1");
    assert_eq!(sql::text(&mut connection, &attempt).await, "not_sent:refused");
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_private_address_is_refused_unless_it_is_allowed() {
    let (db, _function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "inside", "https://169.254.169.254/latest", &["inside"], json!({})).await;
    let dispatcher = Running::start(&db, 8);
    let inside = sql::enqueue(&mut connection, "kind => 'inside'").await;
    let known = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, known, "completed").await;
    assert_eq!(sql::state(&mut connection, inside).await, "available");
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_scheduled_job_is_posted_at_its_time() {
    let (db, _function, mut connection) = scene(json!({})).await;
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k', delay_ms => 700").await;
    assert_eq!(sql::state(&mut connection, job).await, "scheduled");
    until_state(&mut connection, job, "completed").await;
    let late = format!(
        "select extract(epoch from a.started_at - j.run_at) * 1000 from posthaste.attempt a join posthaste.job j using (job_id) where job_id = {job}"
    );
    let late: f64 = sql::text(&mut connection, &format!("select ({late})::text")).await.parse().unwrap();
    assert!((0.0..Duration::from_millis(500).as_secs_f64() * 1000.0).contains(&late), "{late} ms late");
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_job_that_expired_is_dead_whether_or_not_somebody_takes_its_kind() {
    let (db, function, mut connection) = scene(json!({})).await;
    let nobody = "select posthaste.enqueue('nobody', expires_at => clock_timestamp() + interval '300 ms')";
    let orphan = sql::number(&mut connection, nobody).await;
    let dispatcher = Running::start(&db, 8);
    until_state(&mut connection, orphan, "dead").await;
    let reason = format!("select reason from posthaste.dead_letter where job_id = {orphan}");
    assert_eq!(sql::text(&mut connection, &reason).await, "expired");
    assert!(function.seen().is_empty());
    dispatcher.stop().await;
}

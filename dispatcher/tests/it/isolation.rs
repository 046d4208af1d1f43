//! One endpoint's trouble is its own.

use posthaste_tests::{Answer, Gate, sql};
use serde_json::json;

use crate::fleet::{Running, put_endpoint, scene, until};

/// Jobs that nobody can take; a million in the benchmark, a hundred thousand here.
const STRANDED: i64 = 100_000;

async fn strand(connection: &mut sqlx::PgConnection, kind: &str) {
    let sql = format!(
        "with l as (select posthaste.intern_lane('default', '{kind}', null) as lane_id),
         j as (insert into posthaste.job (job_id, lane_id, priority, max_attempts, args)
               select nextval('posthaste.seq'), l.lane_id, 1, 25, '{{}}' from l, generate_series(1, {STRANDED})
               returning job_id, lane_id)
         insert into posthaste.ready (seq, job_id, run_lease, lane_id, priority, failures, uncounted)
         select job_id, job_id, 1, lane_id, 1, 0, 0 from j"
    );
    sql::run(connection, &sql).await;
}

#[tokio::test]
async fn a_crowd_of_jobs_without_an_endpoint_and_of_a_dead_one_stand_in_nobodys_way() {
    let (db, function, mut connection) = scene(json!({})).await;
    strand(&mut connection, "orphan").await;
    put_endpoint(&mut connection, "dead", "http://127.0.0.1:9/", &["dead"], json!({"breaker": {"min": 5}})).await;
    strand(&mut connection, "dead").await;
    let dispatcher = Running::start(&db, 64);
    until(&mut connection, "select state::text like '%\"breaker\":\"open\"%' from posthaste.dispatcher").await;
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 100)").await;
    until(&mut connection, "select count(*) = 100 from posthaste.attempt where outcome = 'completed'").await;
    // The claim reads only the lanes that have permits: what it touches does not grow with the crowd.
    let waited = "select count(*) from posthaste.attempt a join posthaste.job j using (job_id)
                  where a.outcome = 'completed' and a.started_at - j.created_at > interval '2 seconds'";
    assert_eq!(sql::number(&mut connection, waited).await, 0, "pickups were slowed by the crowd");
    assert_eq!(function.seen().len(), 100);
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_does_not_hold_the_others() {
    let (db, function, mut connection) = scene(json!({})).await;
    let gate = Gate::default();
    function.on("slow", [Answer::status(204).when(&gate)]);
    put_endpoint(&mut connection, "slow", &function.url("/slow"), &["slow"], json!({"concurrency": 8})).await;
    sql::run(&mut connection, "select posthaste.enqueue('slow') from generate_series(1, 300)").await;
    let dispatcher = Running::start(&db, 16);
    function.requests(8).await;
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 300)").await;
    until(&mut connection, "select count(*) = 300 from posthaste.attempt where outcome = 'completed'").await;
    gate.open();
    until(&mut connection, "select count(*) = 600 from posthaste.attempt where outcome = 'completed'").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_was_fast_and_hangs_leaves_permits_to_the_others() {
    let (db, function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "fast", &function.url("/fast"), &["fast"], json!({"concurrency": 4})).await;
    let dispatcher = Running::start(&db, 32);
    sql::run(&mut connection, "select posthaste.enqueue('fast') from generate_series(1, 500)").await;
    until(&mut connection, "select count(*) = 500 from posthaste.attempt where outcome = 'completed'").await;
    let gate = Gate::default();
    function.on("/fast", [Answer::status(204).when(&gate)]);
    sql::run(&mut connection, "select posthaste.enqueue('fast') from generate_series(1, 200)").await;
    function.requests(504).await;
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 50)").await;
    until(&mut connection, "select count(*) = 550 from posthaste.attempt where outcome = 'completed'").await;
    // What was claimed ahead of the slots that hang goes back, and is not claimed again and again.
    until(&mut connection, "select coalesce(sum(cardinality(job_ids)), 0) <= 64 from posthaste.lease").await;
    gate.open();
    until(&mut connection, "select count(*) = 750 from posthaste.attempt where outcome = 'completed'").await;
    let most =
        "select count(*) from posthaste.attempt where outcome = 'released' group by job_id order by 1 desc limit 1";
    let most = sql::number(&mut connection, &format!("select coalesce(({most}), 0)")).await;
    assert!(most <= 2, "a job was given back {most} times");
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_poison_row_delays_only_itself() {
    let (db, function, mut connection) = scene(json!({})).await;
    // Nothing that the door lets through does this; a row written around it does.
    let poison = sql::enqueue(&mut connection, "kind => 'k'").await;
    sql::run(
        &mut connection,
        &format!("update posthaste.job set headers = '[1]', metadata = '7' where job_id = {poison}"),
    )
    .await;
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 50)").await;
    function.otherwise(Answer::status(200).header("content-type", "application/json").body("{\"a\":\"\\u0000\"}"));
    let dispatcher = Running::start(&db, 16);
    until(&mut connection, "select count(*) >= 50 from posthaste.attempt where outcome = 'completed'").await;
    dispatcher.stop().await;
}

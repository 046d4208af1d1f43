//! A dispatcher's own life: drain, cancel, lost connections, silence.

use std::time::Duration;

use posthaste_tests::{Answer, Gate, sql};
use serde_json::json;

use crate::fleet::{Running, metric, scene, until, until_state, until_within};

#[tokio::test]
async fn a_drain_claims_nothing_new_and_waits_for_what_is_in_flight() {
    let (db, function, mut connection) = scene(json!({"concurrency": 2})).await;
    let gate = Gate::default();
    function.otherwise(Answer::json(&json!("late")).when(&gate));
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 10)").await;
    let dispatcher = Running::start(&db, 8);
    function.requests(2).await;
    dispatcher.shutdown.begin();
    gate.open();
    dispatcher.stop().await;
    let completed = sql::number(&mut connection, "select count(*) from posthaste.jobs where state = 'completed'").await;
    assert_eq!(completed, 2);
    assert_eq!(sql::number(&mut connection, "select count(*) from posthaste.jobs where state = 'available'").await, 8);
    assert_eq!(sql::count(&mut connection, "dispatcher").await, 0, "it left the fleet");
}

#[tokio::test]
async fn a_hard_stop_ends_open_runs_as_unknown() {
    let (db, function, mut connection) = scene(json!({})).await;
    let gate = Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let dispatcher = Running::start(&db, 8);
    function.requests(1).await;
    dispatcher.shutdown.begin();
    dispatcher.shutdown.force();
    dispatcher.stop().await;
    assert_eq!(sql::state(&mut connection, job).await, "scheduled");
    gate.open();
}

#[tokio::test]
async fn cancelling_a_running_job_drops_its_post_and_ends_it() {
    let (db, function, mut connection) = scene(json!({"cancel_grace_ms": 0})).await;
    let gate = Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    function.requests(1).await;
    assert_eq!(sql::cancel(&mut connection, job, false).await, "running");
    function.given_up(1).await;
    until_state(&mut connection, job, "cancelled").await;
    assert_eq!(sql::count(&mut connection, "cancel_request").await, 0);
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_forced_cancel_ends_the_run_at_once_and_its_late_answer_is_stale() {
    let (db, function, mut connection) = scene(json!({"cancel_grace_ms": 600_000})).await;
    let gate = Gate::default();
    function.otherwise(Answer::json(&json!("too late")).when(&gate));
    let dispatcher = Running::start(&db, 8);
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    function.requests(1).await;
    assert_eq!(sql::cancel(&mut connection, job, true).await, "cancelled");
    assert_eq!(sql::state(&mut connection, job).await, "cancelled");
    gate.open();
    dispatcher.stop().await;
    assert_eq!(sql::attempts(&mut connection, job).await, ["1:cancelled"]);
}

#[tokio::test]
async fn lost_connections_are_made_again_and_nothing_is_lost() {
    let (db, _function, mut connection) = scene(json!({})).await;
    let dispatcher = Running::start(&db, 16);
    let first = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, first, "completed").await;
    for round in 1..=5 {
        sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 200)").await;
        let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and application_name like 'posthaste%' and datname = current_database()";
        sql::number(&mut connection, kill).await;
        let done = round * 200 + 1;
        until(&mut connection, &format!("select count(*) = {done} from posthaste.jobs where state = 'completed'"))
            .await;
    }
    assert_eq!(
        sql::number(&mut connection, "select count(*) from posthaste.attempt where outcome = 'completed'").await,
        1001
    );
    dispatcher.stop().await;
}

#[tokio::test]
async fn runs_of_a_silent_dispatcher_are_rescued_and_its_late_ends_are_stale() {
    let (db, _function, mut connection) = scene(json!({})).await;
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let mut silent = posthaste_tests::FakeDispatcher::start(&db).await;
    let run = silent.claim_one().await;
    let dispatcher = Running::start(&db, 8);
    // 15 s of silence, by the rescuer's monotonic clock: longer than any other test waits.
    let rescued = format!("select count(*) = 1 from posthaste.attempt where job_id = {job} and outcome = 'rescued'");
    until_within(Duration::from_secs(40), &mut connection, &rescued).await;
    until_state(&mut connection, job, "completed").await;
    let late = silent.settle(&[posthaste_tests::FakeDispatcher::end(&run, posthaste_tests::failed("late"))]).await;
    assert_eq!(late, [posthaste_engine::finalize::Settled::Superseded]);
    assert_eq!(sql::attempts(&mut connection, job).await, ["1:rescued", "2:completed"]);
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_back_without_an_attempt() {
    let (db, _function, mut connection) = scene(json!({})).await;
    let dispatcher = Running::start(&db, 8);
    until(&mut connection, "select count(*) = 1 from posthaste.dispatcher").await;
    let job = sql::enqueue(&mut connection, "kind => 'lonely'").await;
    // The lease of a claim that this dispatcher made and whose answer it never got.
    let lost = format!(
        "with taken as (delete from posthaste.ready where job_id = {job} returning job_id)
         insert into posthaste.lease (lease_id, dispatcher_id, nonce, expires_at, job_ids, run_leases, failures, uncounted)
         select dispatcher_id << 32, dispatcher_id, gen_random_uuid(), now(), array[job_id], '{{1}}', '{{0}}', '{{0}}'
         from posthaste.dispatcher, taken"
    );
    sql::run(&mut connection, &lost).await;
    until(&mut connection, &format!("select count(*) = 1 from posthaste.ready where job_id = {job} and failures = 0"))
        .await;
    assert_eq!(sql::attempts(&mut connection, job).await, ["1:released"]);
    dispatcher.stop().await;
}

#[tokio::test]
async fn metrics_tell_what_happened_and_no_live_row_is_below_a_floor() {
    let (db, function, mut connection) = scene(json!({})).await;
    function.on("k", [Answer::status(500), Answer::status(204)]);
    let dispatcher = Running::start(&db, 8);
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 20)").await;
    until(&mut connection, "select count(*) = 20 from posthaste.jobs where state = 'completed'").await;
    assert!(dispatcher.health.readiness().ready);
    // Ends are counted after they are written: all of them are when it has stopped.
    let registry = dispatcher.stop().await;
    let text = registry.render();
    assert!(
        text.contains(r#"posthaste_outcomes_total{class="responded",outcome="completed",status="204"} 20"#),
        "{text}"
    );
    assert!(metric(&registry, "posthaste_claimed_total") >= 21.0);
    assert!(metric(&registry, "posthaste_below_floor_total") < 1.0);
}

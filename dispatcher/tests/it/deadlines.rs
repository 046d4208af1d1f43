//! Parked runs whose callback does not come.

use posthaste_tests::{Answer, sql};
use serde_json::json;

use crate::{
    callbacks::callbacks,
    fleet::{Running, metric, scene, until, until_state},
};

fn accepted(timeout: (&str, &str)) -> Answer {
    Answer::status(202).header("posthaste-protocol", "1").header(timeout.0, timeout.1)
}

#[tokio::test]
async fn a_wait_without_a_callback_is_over_within_a_second_and_tried_again() {
    let retry = json!({"policy": "constant", "base_ms": 1, "jitter": 0.0});
    let (db, function, mut connection) = scene(json!({"retry": retry})).await;
    for (name, code) in
        [("posthaste-callback-timeout-ms", "callback_timeout"), ("posthaste-heartbeat-timeout-ms", "heartbeat_timeout")]
    {
        function.on(&format!("/{code}"), [accepted((name, "200")), Answer::status(204)]);
        let more = json!({"retry": retry});
        crate::fleet::put_endpoint(&mut connection, code, &function.url(&format!("/{code}")), &[code], more).await;
    }
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    for code in ["callback_timeout", "heartbeat_timeout"] {
        let job = sql::enqueue(&mut connection, &format!("kind => '{code}'")).await;
        until_state(&mut connection, job, "completed").await;
        assert_eq!(sql::attempts(&mut connection, job).await, ["1:timed_out", "2:completed"], "{code}");
        let first = format!(
            "select concat_ws(' ', error_code, ended_by, http_status,
               finished_at - started_at between interval '200 ms' and interval '2 seconds')
             from posthaste.attempt where job_id = {job} and run_lease = 1"
        );
        assert_eq!(sql::text(&mut connection, &first).await, format!("{code} maintenance 202 t"));
    }
    let registry = dispatcher.stop().await;
    assert!((metric(&registry, "posthaste_timed_out_total") - 2.0).abs() < 0.1);
}

#[tokio::test]
async fn a_run_that_never_answers_again_ends_in_the_dead_letters() {
    let retry = json!({"policy": "constant", "base_ms": 1, "jitter": 0.0});
    let (db, function, mut connection) = scene(json!({"retry": retry, "max_run_ms": 100})).await;
    function.otherwise(Answer::status(202));
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k', max_attempts => 2").await;
    until_state(&mut connection, job, "dead").await;
    assert_eq!(sql::attempts(&mut connection, job).await, ["1:timed_out", "2:dead"]);
    assert_eq!(sql::job(&mut connection, job).await.error_code.as_deref(), Some("run_timeout"));
    dispatcher.stop().await;
}

#[tokio::test]
async fn every_dispatcher_looks_at_the_deadlines_and_each_run_times_out_once() {
    let (db, function, mut connection) = scene(json!({"retry": {"policy": "constant", "base_ms": 600_000}})).await;
    function.otherwise(accepted(("posthaste-callback-timeout-ms", "300")));
    let fleet: Vec<Running> = (0..3).map(|_| Running::start_with(&db, 64, Some(callbacks()))).collect();
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 500)").await;
    until(&mut connection, "select count(*) = 500 from posthaste.attempt where outcome = 'timed_out'").await;
    let mut counted = 0.0;
    for dispatcher in fleet {
        counted += metric(&dispatcher.stop().await, "posthaste_timed_out_total");
    }
    assert!((counted - 500.0).abs() < 0.1, "{counted} are counted");
    sql::assert_each_job_is_in_one_place(&mut connection).await;
    assert_eq!((sql::count(&mut connection, "waiting").await, sql::count(&mut connection, "lease").await), (0, 0));
}

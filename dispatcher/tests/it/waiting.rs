//! A 202 parks its run: no slot is held, and a callback ends it.

use posthaste_engine::{callback::Told, session::Role};
use posthaste_protocol::{action::Action, job::State};
use posthaste_tests::{Answer, Gate, failed, sql};
use serde_json::json;

use crate::{
    callbacks::{call_back, callbacks, complete},
    fleet::{Running, put_endpoint, scene, until, until_state},
};

const APPLIED: Told = Told::Applied { state: State::Completed };

/// The one row of `waiting`: status, run, and seconds until its deadline and its hard end.
const WAIT: &str = "select concat_ws(' ', http_status, run_lease, wait_number,
    round(extract(epoch from deadline_at - parked_at)), round(extract(epoch from hard_at - parked_at)),
    coalesce(heartbeat_ms::text, '-'), started_at <= parked_at, headers_us > 0) from posthaste.waiting";

fn accepted() -> Answer {
    Answer::status(202).header("posthaste-protocol", "1")
}

#[tokio::test]
async fn a_202_waits_and_its_callback_completes_the_job() {
    let (db, function, mut connection) = scene(json!({"callback_timeout_ms": 60_000, "max_run_ms": 120_000})).await;
    function.otherwise(accepted());
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "waiting").await;
    assert_eq!(sql::text(&mut connection, WAIT).await, "202 1 0 60 120 - t t");
    until(&mut connection, "select count(*) = 0 from posthaste.lease").await;

    let request = function.requests(1).await.remove(0);
    assert_eq!(complete(&db, &request, "[1]").await, APPLIED);
    let ended = sql::job(&mut connection, job).await;
    assert_eq!((ended.state.as_str(), ended.result.as_deref()), ("completed", Some("[1]")));
    let attempt = "select concat_ws(' ', outcome, class, ended_by, action, http_status) from posthaste.attempt";
    assert_eq!(sql::text(&mut connection, attempt).await, "completed responded callback complete 202");
    let registry = dispatcher.stop().await;
    assert!(registry.render().contains(r#"posthaste_parks_total{parked="waits"} 1"#));
}

#[tokio::test]
async fn a_job_says_how_long_its_202_waits_unless_the_202_does() {
    let (db, function, mut connection) = scene(json!({"callback_timeout_ms": 60_000})).await;
    function.on("k", [accepted(), accepted().header("posthaste-callback-timeout-ms", "5000"), accepted()]);
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    // The last stands for a job that was written before its shape was checked: what makes no sense is ignored.
    for (said, seconds) in [("40000", 40), ("40000", 5), (r#""soon""#, 60)] {
        sql::run(&mut connection, "begin").await;
        let job = sql::enqueue(&mut connection, "'k'").await;
        let says = format!(r#"update posthaste.job set callback = '{{"timeout_ms": {said}}}' where job_id = {job}"#);
        sql::run(&mut connection, &format!("{says}; commit")).await;
        until_state(&mut connection, job, "waiting").await;
        let left = "select round(extract(epoch from deadline_at - parked_at))::bigint from posthaste.waiting";
        assert_eq!(sql::number(&mut connection, &format!("{left} where job_id = {job}")).await, seconds, "{said}");
    }
    let requests = function.requests(3).await;
    let granted: serde_json::Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(granted["callback"]["deadline_in_ms"], 40_000);
    dispatcher.stop().await;
}

#[tokio::test]
async fn the_202_says_how_long_it_takes_and_what_cannot_be_read_is_the_endpoint_s() {
    let (db, function, mut connection) = scene(json!({})).await;
    let raw = json!({"format": "raw", "callback_timeout_ms": 60_000});
    for (kind, name, value, waits) in [
        ("c", "posthaste-callback-timeout-ms", "5000", "5 -"),
        ("h", "posthaste-heartbeat-timeout-ms", "7000", "7 7000"),
        ("x", "posthaste-heartbeat-timeout-ms", "soon", "60 -"),
    ] {
        function.on(kind, [Answer::status(202).header(name, value)]);
        put_endpoint(&mut connection, kind, &function.url("/f"), &[kind], raw.clone()).await;
        let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
        let job = sql::enqueue(&mut connection, &format!("kind => '{kind}'")).await;
        until_state(&mut connection, job, "waiting").await;
        let times =
            "select round(extract(epoch from deadline_at - parked_at)) || ' ' || coalesce(heartbeat_ms::text, '-')";
        let times = sql::text(&mut connection, &format!("{times} from posthaste.waiting where job_id = {job}")).await;
        assert_eq!(times, waits, "{name}: {value}");
        dispatcher.stop().await;
    }
}

#[tokio::test]
async fn a_202_of_a_raw_endpoint_that_promises_nothing_completes() {
    let (db, function, mut connection) = scene(json!({"format": "raw"})).await;
    function.otherwise(Answer::status(202));
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "completed").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn what_waits_holds_neither_slot_nor_permit() {
    let (db, function, mut connection) = scene(json!({"concurrency": 2})).await;
    function.otherwise(accepted());
    let dispatcher = Running::start_with(&db, 2, Some(callbacks()));
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 300)").await;
    until(&mut connection, "select count(*) = 300 from posthaste.jobs where state = 'waiting'").await;
    until(&mut connection, "select count(*) = 0 from posthaste.lease").await;
    assert!(function.most_open() <= 2);
    sql::assert_each_job_is_in_one_place(&mut connection).await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn ends_and_waits_of_one_claim_leave_no_lease() {
    let (db, function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "sync", &function.url("/sync"), &["s"], json!({})).await;
    function.on("k", [accepted()]);
    sql::run(
        &mut connection,
        "select posthaste.enqueue(case n % 2 when 0 then 'k' else 's' end) from generate_series(1, 400) n",
    )
    .await;
    let dispatcher = Running::start_with(&db, 64, Some(callbacks()));
    until(&mut connection, "select count(*) = 200 from posthaste.jobs where state = 'waiting'").await;
    until(&mut connection, "select count(*) = 200 from posthaste.jobs where state = 'completed'").await;
    until(&mut connection, "select count(*) = 0 from posthaste.lease").await;
    sql::assert_each_job_is_in_one_place(&mut connection).await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_callback_that_comes_before_the_202_wins_and_nothing_is_parked() {
    let (db, function, mut connection) = scene(json!({})).await;
    let gate = Gate::default();
    function.otherwise(accepted().when(&gate));
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let request = function.requests(1).await.remove(0);
    assert_eq!(complete(&db, &request, "\"early\"").await, APPLIED);
    gate.open();
    // Everything in flight is written before it stops.
    let registry = dispatcher.stop().await;
    assert_eq!(sql::state(&mut connection, job).await, "completed");
    assert_eq!((sql::count(&mut connection, "waiting").await, sql::count(&mut connection, "lease").await), (0, 0));
    assert!(registry.render().contains(r#"posthaste_parks_total{parked="ended"} 1"#));
}

#[tokio::test]
async fn a_callback_that_asks_for_another_try_gets_it_with_a_new_token() {
    let (db, function, mut connection) = scene(json!({})).await;
    function.on("k", [accepted(), Answer::status(204)]);
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "waiting").await;
    let request = function.requests(1).await.remove(0);
    let told = call_back(&db, &request, Action::Fail, failed("not_this_time")).await;
    assert_eq!(told, Told::Applied { state: State::Scheduled });
    sql::run(&mut connection, "update posthaste.scheduled set run_at = now()").await;
    until_state(&mut connection, job, "completed").await;
    let tokens: Vec<String> =
        function.seen().iter().map(|request| request.header("posthaste-callback-token").to_owned()).collect();
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(sql::attempts(&mut connection, job).await, ["1:retried", "2:completed"]);
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_dispatcher_that_stops_writes_its_parks() {
    let (db, function, mut connection) = scene(json!({})).await;
    let gate = Gate::default();
    function.otherwise(accepted().when(&gate));
    sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 8)").await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    function.requests(8).await;
    dispatcher.shutdown.begin();
    gate.open();
    dispatcher.stop().await;
    assert_eq!(sql::number(&mut connection, "select count(*) from posthaste.jobs where state = 'waiting'").await, 8);
    let left = (sql::count(&mut connection, "lease").await, sql::count(&mut connection, "dispatcher").await);
    assert_eq!(left, (0, 0));
}

#[tokio::test]
async fn parks_are_written_again_when_connections_are_lost() {
    let (db, function, mut connection) = scene(json!({})).await;
    function.otherwise(accepted());
    let dispatcher = Running::start_with(&db, 16, Some(callbacks()));
    let first = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, first, "waiting").await;
    for round in 1..=3 {
        sql::run(&mut connection, "select posthaste.enqueue('k') from generate_series(1, 200)").await;
        let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and application_name like 'posthaste%' and datname = current_database()";
        sql::number(&mut connection, kill).await;
        let all = round * 200 + 1;
        let waiting = format!("select count(*) = {all} from posthaste.jobs where state = 'waiting'");
        until(&mut connection, &waiting).await;
    }
    // What was claimed when the connection broke was never sent.
    let twice = "select count(*) from posthaste.attempt where outcome <> 'released'";
    assert_eq!(sql::number(&mut connection, twice).await, 0, "nothing was tried twice");
    dispatcher.stop().await;
    assert_eq!(sql::count(&mut connection, "lease").await, 0);
}

#[tokio::test]
async fn a_lease_that_somebody_locks_delays_only_its_own_park() {
    let (db, function, mut connection) = scene(json!({})).await;
    put_endpoint(&mut connection, "other", &function.url("/other"), &["o"], json!({})).await;
    let gate = Gate::default();
    function.otherwise(accepted().when(&gate));
    let locked = sql::enqueue(&mut connection, "kind => 'k'").await;
    let free = sql::enqueue(&mut connection, "kind => 'o'").await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    function.requests(2).await;
    let mut holder = db.connect(Role::General).await;
    let lock = format!("begin; select from posthaste.lease where {locked} = any (job_ids) for update");
    sql::run(&mut holder, &lock).await;
    gate.open();
    until_state(&mut connection, free, "waiting").await;
    assert_eq!(sql::state(&mut connection, locked).await, "running");
    sql::run(&mut holder, "rollback").await;
    until_state(&mut connection, locked, "waiting").await;
    dispatcher.stop().await;
}

#[tokio::test]
async fn cancelling_a_waiting_job_lets_its_function_end_it_within_the_grace() {
    let (db, function, mut connection) = scene(json!({"cancel_grace_ms": 600_000})).await;
    function.otherwise(accepted());
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "waiting").await;
    assert_eq!(sql::cancel(&mut connection, job, false).await, "waiting");
    let request = function.requests(1).await.remove(0);
    assert!(matches!(complete(&db, &request, "1").await, Told::Applied { .. }));
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_callback_within_the_grace_of_a_cancelled_run_wins() {
    let (db, function, mut connection) = scene(json!({"cancel_grace_ms": 600_000})).await;
    let gate = Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let request = function.requests(1).await.remove(0);
    assert_eq!(sql::cancel(&mut connection, job, false).await, "running");
    function.given_up(1).await;
    assert_eq!(sql::state(&mut connection, job).await, "running", "it has its grace");
    assert!(matches!(complete(&db, &request, "1").await, Told::Applied { .. }));
    let ended = sql::state(&mut connection, job).await;
    dispatcher.shutdown.force();
    dispatcher.stop().await;
    assert_eq!(sql::state(&mut connection, job).await, ended, "the dispatcher's own end came too late");
    assert_eq!(sql::count(&mut connection, "attempt").await, 1);
}

#[tokio::test]
async fn a_cancelled_run_keeps_its_grace_when_its_dispatcher_stops() {
    let (db, function, mut connection) = scene(json!({"cancel_grace_ms": 600_000})).await;
    let gate = Gate::default();
    function.otherwise(Answer::status(204).when(&gate));
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let request = function.requests(1).await.remove(0);
    assert_eq!(sql::cancel(&mut connection, job, false).await, "running");
    function.given_up(1).await;
    dispatcher.stop().await;
    assert_eq!(sql::state(&mut connection, job).await, "waiting");
    assert!(matches!(complete(&db, &request, "1").await, Told::Applied { .. }));
}

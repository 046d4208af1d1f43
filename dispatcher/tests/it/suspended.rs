//! A function that is suspended is POSTed again when what it waits for has come.

use posthaste_engine::resume::Signalled;
use posthaste_protocol::job::State;
use posthaste_tests::{Answer, sql};
use serde_json::json;

use crate::{
    callbacks::{callbacks, wake},
    fleet::{Running, metric, scene, until, until_state},
};

fn suspended(body: &serde_json::Value) -> Answer {
    Answer::status(202).header("posthaste-outcome", "suspend").body(body.to_string())
}

#[tokio::test]
async fn a_suspended_function_is_woken_twice_and_finishes() {
    let (db, function, mut connection) = scene(json!({})).await;
    let paid = suspended(&json!({"wait": {"name": "paid", "for": "callback"}, "steps": {"order": {"id": 7}}}));
    let shipped = suspended(&json!({"wait": {"name": "shipped", "for": "callback"}, "steps": {"charge": 1.50}}));
    function.on("k", [paid, shipped, Answer::json(&json!("done"))]);
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    for (run, payload) in [(1, "{\"cents\": 150}"), (2, "[\"dhl\"]")] {
        let requests = function.requests(run).await;
        until_state(&mut connection, job, "waiting").await;
        until(&mut connection, "select count(*) = 0 from posthaste.lease").await;
        let woken = wake(&db, &requests[run - 1], payload).await;
        assert_eq!(woken, Signalled::Applied { state: State::Available });
    }
    until_state(&mut connection, job, "completed").await;

    let requests = function.requests(3).await;
    let sent = |n: usize| requests[n].json();
    assert_eq!((&sent(0)["resume"], &sent(0)["steps"]), (&json!(null), &json!({})));
    assert_eq!(sent(1)["resume"], json!({"name": "paid", "payload": {"cents": 150}, "timed_out": false}));
    assert_eq!(sent(2)["resume"], json!({"name": "shipped", "payload": ["dhl"], "timed_out": false}));
    assert_eq!(sent(2)["steps"], json!({"order": {"id": 7}, "charge": 1.50}));
    let of_all = |name: &str| requests.iter().map(|request| request.header(name).to_owned()).collect::<Vec<_>>();
    assert_eq!(of_all("posthaste-attempt"), ["1", "1", "1"], "one attempt");
    assert_eq!(of_all("posthaste-run-lease"), ["1", "2", "3"]);
    for name in ["idempotency-key", "posthaste-callback-token"] {
        let mut different = of_all(name);
        different.sort();
        different.dedup();
        assert_eq!(different.len(), 3, "{name} is new after each resume");
    }
    assert_eq!(sql::attempts(&mut connection, job).await, ["1:suspended", "2:suspended", "3:completed"]);
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_timer_wakes_its_function_within_a_second() {
    let (db, function, mut connection) = scene(json!({})).await;
    let nap = suspended(&json!({"wait": {"name": "nap", "for": "timer", "timeout_ms": 200}}));
    function.on("k", [nap, Answer::status(204)]);
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "completed").await;
    let requests = function.requests(2).await;
    assert_eq!(requests[1].json()["resume"]["name"], "nap");
    let napped = (requests[1].at - requests[0].at).as_millis();
    assert!((200..2_000).contains(&napped), "{napped} ms");
    let registry = dispatcher.stop().await;
    assert!(metric(&registry, "posthaste_woken_total") > 0.9);
}

#[tokio::test]
async fn a_signal_that_came_before_its_wait_wakes_the_function_at_once() {
    let (db, function, mut connection) = scene(json!({})).await;
    let gate = posthaste_tests::Gate::default();
    let paid = suspended(&json!({"wait": {"name": "paid", "for": "callback"}})).when(&gate);
    function.on("k", [paid, Answer::status(204)]);
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    let first = function.requests(1).await.remove(0);
    assert_eq!(wake(&db, &first, "1").await, Signalled::Buffered);
    gate.open();
    until_state(&mut connection, job, "completed").await;
    assert_eq!(function.requests(2).await[1].json()["resume"]["payload"], json!(1));
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_suspension_that_cannot_be_is_a_failed_attempt() {
    let (db, function, mut connection) = scene(json!({"retry": {"policy": "constant", "base_ms": 600_000}})).await;
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let signature = json!({"scheme": "github", "secrets": [{"env": "WEBHOOK_SECRET_A"}, {"file": "/etc/shadow"}]});
    let foreign = json!({"name": "a", "for": "callback", "signature": signature});
    let judged =
        json!({"name": "a", "for": "callback", "cel": {"filter": "payload.paid ==", "on_fail": "payload.failed"}});
    for (kind, body, code, named) in [
        ("cel", json!({"wait": judged}), "invalid_suspension", "the filter of the wait a: "),
        ("shape", json!({"wait": {"name": "a", "for": "wind"}}), "invalid_suspension", "wait.for"),
        ("secret", json!({"wait": foreign}), "invalid_suspension", "a may name no secret but WEBHOOK_SECRET_"),
        (
            "stale",
            json!({"wait": {"name": "a", "for": "callback"}, "steps": {}, "seq": 5}),
            "steps_conflict",
            "seq is 0",
        ),
    ] {
        function.on(kind, [suspended(&body)]);
        crate::fleet::put_endpoint(&mut connection, kind, &function.url("/f"), &[kind], json!({})).await;
        let job = sql::enqueue(&mut connection, &format!("kind => '{kind}'")).await;
        until(&mut connection, &format!("select count(*) = 1 from posthaste.attempt where job_id = {job}")).await;
        let ended = "concat_ws(' ', outcome, class, http_status, error_code, error_message)";
        let ended =
            sql::text(&mut connection, &format!("select {ended} from posthaste.attempt where job_id = {job}")).await;
        assert!(ended.starts_with(&format!("retried responded 202 {code}")) && ended.contains(named), "{ended}");
    }
    dispatcher.stop().await;
    assert_eq!((sql::count(&mut connection, "lease").await, sql::count(&mut connection, "waiting").await), (0, 0));
}

#[tokio::test]
async fn a_signal_that_nobody_looked_at_is_found_without_a_gateway() {
    let (db, function, mut connection) = scene(json!({})).await;
    function.on("k", [suspended(&json!({"wait": {"name": "paid", "for": "callback"}})), Answer::status(204)]);
    let dispatcher = Running::start_with(&db, 8, Some(callbacks()));
    let job = sql::enqueue(&mut connection, "kind => 'k'").await;
    until_state(&mut connection, job, "waiting").await;
    let looked = "select count(*) = 1 from posthaste.waiting where deadline_at > now() + interval '1 minute'";
    until(&mut connection, looked).await;
    // As a gateway leaves it that is lost between writing the signal and looking for its wait.
    let left = "insert into posthaste.inbox (job_id, run_lease, lease_id, nonce, look_at, why, via, digest, payload)
        select job_id, run_lease, lease_id, nonce, now(), 'early', 'callback', decode(md5(''), 'hex'), '7' from posthaste.waiting";
    sql::run(&mut connection, left).await;
    until_state(&mut connection, job, "completed").await;
    assert_eq!(function.requests(2).await[1].json()["resume"]["payload"], 7);
    dispatcher.stop().await;
}

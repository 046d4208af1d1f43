//! Signs of life: heartbeats and progress.

use posthaste_engine::endpoint::{SealedSecret, put};
use posthaste_protocol::endpoint::EndpointSpec;
use posthaste_tests::sql;

use crate::rig::{Rig, until};

const SECONDS_LEFT: &str = "select round(extract(epoch from deadline_at - now()))::bigint from posthaste.waiting";

#[tokio::test]
async fn a_heartbeat_moves_the_deadline_and_tells_of_a_cancel() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;

    let answer = rig.call(&run, "heartbeat", r#"{"extend_ms": 7200000}"#).await;

    assert_eq!((answer.status, answer.word(), answer.state()), (200, "applied", "waiting"));
    assert_eq!(answer.body["cancel_requested"], false);
    assert!(answer.body["deadline"].as_str().is_some_and(|deadline| deadline.ends_with('Z')), "{answer:?}");
    assert!((7_190..=7_200).contains(&sql::number(&mut rig.connection, SECONDS_LEFT).await));
    sql::cancel(&mut rig.connection, run.job_id, false).await;
    let answer = rig.call(&run, "heartbeat", "").await;
    assert_eq!(answer.body["cancel_requested"], true);
    let left = sql::number(&mut rig.connection, SECONDS_LEFT).await;
    assert!((3_590..=3_600).contains(&left), "the same time-out again: {left}");
}

#[tokio::test]
async fn a_first_heartbeat_parks_its_run_for_as_long_as_its_endpoint_says() {
    let mut rig = Rig::start().await;
    let spec = r#"{"url": "https://a.example", "kinds": ["late", "k1", "k300"], "callback_timeout_ms": 60000}"#;
    let spec = EndpointSpec::parse(spec).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    put(&mut rig.connection, "late", &text, &spec.kinds, SealedSecret::KeepOr(b"sealed")).await.unwrap();
    let many = "insert into posthaste.lane (queue, kind) select 'default', 'k' || n from generate_series(1, 300) n";
    sql::run(&mut rig.connection, many).await;
    rig.settle().await;
    // The lane of the first is made by its job: no gateway has heard of it. The others are known, among many.
    for kind in ["late", "k1", "k300"] {
        sql::enqueue(&mut rig.connection, &format!("'{kind}'")).await;
        let run = rig.dispatcher.claim_one().await;

        let answer = rig.call(&run, "heartbeat", "{}").await;

        assert_eq!((answer.status, answer.state()), (200, "waiting"), "{answer:?}");
        let left = sql::number(&mut rig.connection, SECONDS_LEFT).await;
        assert!((58..=60).contains(&left), "{kind}: {left}");
        rig.call(&run, "complete", "{}").await;
    }
}

#[tokio::test]
async fn progress_is_kept_and_tells_of_a_cancel() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;

    let answer = rig.call(&run, "progress", r#"{"percent": 40, "message": "half", "metadata": {"a": 1}}"#).await;
    assert_eq!((answer.status, answer.state()), (200, "running"));
    assert_eq!(answer.body["cancel_requested"], false);
    sql::cancel(&mut rig.connection, run.job_id, false).await;
    let answer = rig.call(&run, "progress", r#"{"percent": 60, "metadata": {"b": 2}}"#).await;

    assert_eq!(answer.body["cancel_requested"], true);
    let kept = "select concat_ws(' ', percent, message, metadata) from posthaste.progress";
    assert_eq!(sql::text(&mut rig.connection, kept).await, r#"60 half {"a": 1, "b": 2}"#);
}

#[tokio::test]
async fn metadata_that_grows_without_end_is_refused_and_nothing_of_it_kept() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let large = |name: &str| format!(r#"{{"metadata": {{"{name}": "{}"}}}}"#, "x".repeat(60_000));
    for name in ["a", "b"] {
        assert_eq!(rig.call(&run, "progress", &large(name)).await.status, 200);
    }
    let answer = rig.call(&run, "progress", &large("c")).await;
    assert_eq!((answer.status, answer.word()), (413, "payload_too_large"));
    assert_eq!(answer.body["errors"][0]["field"], "metadata");
    let names =
        "select string_agg(name, ' ' order by name) from posthaste.progress, jsonb_object_keys(metadata) as name";
    assert_eq!(sql::text(&mut rig.connection, names).await, "a b");
}

#[tokio::test]
async fn many_signs_of_one_job_at_once_are_all_heard() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);
    let calls = (0..40).map(|n| {
        let action = if n % 2 == 0 { "heartbeat" } else { "progress" };
        rig.gateway.call(&token, action, "{}")
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!((answer.status, answer.state()), (200, "waiting"), "{answer:?}");
    }
    until("it waits on", async || rig.state(&run).await == "waiting").await;
}

//! Callbacks that end their runs: every action, and every answer that the contract gives to it.

use posthaste_protocol::{
    action::{Action, Actions},
    token::Claims,
};
use posthaste_tests::sql;
use serde_json::json;

use crate::{
    client::{exchange, post},
    rig::{Rig, claims, until},
};

/// The last attempt of the one job, but for its times.
const ATTEMPT: &str = "select concat_ws(' ', outcome, ended_by, action, error_code, error_message)
    from posthaste.attempt order by run_lease desc limit 1";

#[tokio::test]
async fn every_end_is_applied_committed_and_answered_with_the_state_of_the_job() {
    let asked = "the function called back to be tried again";
    let asked = format!("retried callback retry callback_retry {asked}");
    let mut rig = Rig::start().await;
    for (action, body, state, attempt) in [
        ("complete", r#"{"result": {"n" : 1}}"#, "completed", "completed callback complete"),
        ("complete", "", "completed", "completed callback complete"),
        ("fail", r#"{"error": "no\tink"}"#, "scheduled", "retried callback fail callback_failed no ink"),
        ("fail", r#"{"error": "no", "retryable": false}"#, "dead", "dead callback fail callback_failed no"),
        ("retry", r#"{"after_ms": 5000}"#, "scheduled", asked.as_str()),
        ("snooze", "{}", "scheduled", "snoozed callback snooze"),
        ("cancel", r#"{"reason": "no longer"}"#, "cancelled", "cancelled callback cancel cancelled no longer"),
    ] {
        let run = rig.park().await;

        let answer = rig.call(&run, action, body).await;

        let expected = json!({"outcome": "applied", "job": {"id": run.job_id.to_string(), "state": state}});
        assert_eq!((answer.status, &answer.body), (200, &expected), "{action} {body}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let of_job = ATTEMPT.replace("order by", &format!("where job_id = {} order by", run.job_id));
        assert_eq!(sql::text(&mut rig.connection, &of_job).await, attempt);
        assert_eq!(rig.state(&run).await, state);
    }
}

#[tokio::test]
async fn a_result_is_stored_byte_for_byte() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    rig.call(&run, "complete", r#"{"result": {"b" : 1.50, "a":2}}"#).await;
    let result = sql::text(&mut rig.connection, "select result::text from posthaste.attempt").await;
    assert_eq!(result, r#"{"b" : 1.50, "a":2}"#);
}

#[tokio::test]
async fn a_callback_before_the_202_was_seen_is_applied_too() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let answer = rig.call(&run, "complete", r#"{"result": 1}"#).await;
    assert_eq!((answer.status, answer.state()), (200, "completed"));
}

#[tokio::test]
async fn the_same_callback_again_is_told_the_recorded_answer() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    rig.call(&run, "fail", r#"{"error": "x", "retryable": true}"#).await;
    // Spelt otherwise, and the same.
    let again = rig.call(&run, "fail", r#"{ "retryable":true,"error":"\u0078" }"#).await;
    assert_eq!((again.status, again.word(), again.state()), (200, "duplicate", "scheduled"));
}

#[tokio::test]
async fn a_loser_is_told_who_won() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    rig.call(&run, "complete", "{}").await;

    for (action, body) in [("fail", "{}"), ("complete", r#"{"result": 2}"#), ("heartbeat", "{}"), ("progress", "{}")] {
        let lost = rig.call(&run, action, body).await;
        assert_eq!((lost.status, lost.word(), lost.state()), (409, "already_finalized", "completed"), "{action}");
        assert_eq!(lost.body["job"]["id"], run.job_id.to_string());
        let detail = lost.body["detail"].as_str().unwrap();
        assert_eq!(detail, "the run ended as completed, by a callback that said complete");
        assert_eq!(lost.header("content-type"), Some("application/problem+json"));
    }
}

#[tokio::test]
async fn an_old_run_is_told_that_a_newer_one_holds_the_job() {
    let mut rig = Rig::start().await;
    let old = rig.park().await;
    rig.call(&old, "retry", "{}").await;
    let due = sqlx::query_scalar("select now() + interval '1 day'").fetch_one(&mut rig.connection).await.unwrap();
    posthaste_engine::promote::promote(&mut rig.connection, 1, Some(due)).await.unwrap();
    let new = rig.dispatcher.claim_one().await;
    assert!(new.run_lease > old.run_lease);

    let late = rig.call(&old, "complete", "{}").await;

    assert_eq!((late.status, late.word(), late.state()), (409, "lease_superseded", "running"));
    assert_eq!(rig.state(&new).await, "running");
}

#[tokio::test]
async fn a_job_past_its_retention_is_410() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    sql::run(&mut rig.connection, "delete from posthaste.job; delete from posthaste.waiting").await;
    for action in ["complete", "heartbeat", "progress"] {
        let answer = rig.call(&run, action, "{}").await;
        assert_eq!((answer.status, answer.word()), (410, "past_retention"), "{action}");
    }
}

#[tokio::test]
async fn a_token_may_stand_in_the_path_and_the_base_before_it() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);
    for (path, word) in [
        (format!("/v1/callbacks/{token}/complete"), "applied"),
        (format!("/base/v1/callbacks/{token}/complete"), "duplicate"),
    ] {
        let answer = exchange(rig.gateway.address, &post(&path, &[], b"{}")).await;
        assert_eq!((answer.status, answer.word()), (200, word));
    }
}

#[tokio::test]
async fn a_token_does_what_it_allows_and_nothing_else() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let narrow = rig.gateway.token_of(&Claims { actions: Actions::of(&[Action::Heartbeat]), ..claims(&run) });
    for action in ["complete", "fail", "retry", "snooze", "cancel", "progress", "checkpoint", "resume"] {
        let answer = rig.gateway.call(&narrow, action, "{}").await;
        assert_eq!((answer.status, answer.word()), (403, "action_not_allowed"), "{action}");
    }
    assert_eq!(rig.gateway.call(&narrow, "heartbeat", "{}").await.status, 200);
    assert_eq!(rig.state(&run).await, "waiting");
}

#[tokio::test]
async fn a_token_of_another_lease_ends_nothing() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    let stale = rig.gateway.token_of(&Claims { nonce: [7; 16], ..claims(&run) });
    let answer = rig.gateway.call(&stale, "complete", "{}").await;
    assert_eq!((answer.status, answer.word(), answer.state()), (409, "lease_superseded", "waiting"));
}

#[tokio::test]
async fn what_did_not_simply_end_a_run_is_in_the_delivery_log() {
    let mut rig = Rig::start().await;
    let run = rig.park().await;
    for (action, body) in [("heartbeat", "{}"), ("complete", "{}"), ("complete", "{}"), ("fail", "{}"), ("fail", "[")] {
        rig.call(&run, action, body).await;
    }
    until("the log is written", async || sql::count(&mut rig.connection, "delivery").await == 3).await;
    let log = "select string_agg(concat_ws(' ', via, action, verdict, reason, bytes), ', ' order by delivery_id)
        from posthaste.delivery";
    let expected = "callback complete duplicate 2, callback fail rejected already_finalized 2, \
        callback fail rejected malformed_json 1";
    assert_eq!(sql::text(&mut rig.connection, log).await, expected);
    let all = "select string_agg(verdict, ' ' order by delivery_id nulls first) from posthaste.deliveries";
    assert_eq!(sql::text(&mut rig.connection, all).await, "applied duplicate rejected rejected");
}

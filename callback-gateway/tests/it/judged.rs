//! Callbacks by token that expressions judge: completions and resumes, where a wait, a job or an endpoint has any.

use futures_util::future::join_all;
use posthaste_engine::{inbox, judging};
use posthaste_tests::sql;

use crate::rig::{Rig, until};

const PAID: &str = r#"{"filter": "payload.kind == 'charge'", "on_fail": "payload.state == 'failed'",
    "on_complete": "payload.state == 'paid'", "transform": "{'cents': payload.cents}"}"#;

#[tokio::test]
async fn the_expressions_of_the_endpoint_decide_what_a_completion_means() {
    let mut rig = Rig::start().await;
    rig.endpoint(PAID).await;
    for (result, status, word, state, recorded) in [
        (r#"{"kind": "other"}"#, 200, "ignored", "waiting", ""),
        (r#"{"kind": "charge", "state": "pending"}"#, 200, "ignored", "waiting", ""),
        (r#"{"kind": "charge", "state": "failed"}"#, 200, "applied", "scheduled", "retried complete callback_failed"),
        (r#"{"kind": "charge", "state": "paid", "cents": 5}"#, 200, "applied", "completed", "completed complete"),
        (r#"{"kind": "charge"}"#, 202, "quarantined", "waiting", ""),
        ("null", 202, "quarantined", "waiting", ""),
    ] {
        let run = rig.park().await;
        let body = format!(r#"{{"result": {result}}}"#);

        let answer = rig.call(&run, "complete", &body).await;

        assert_eq!((answer.status, answer.word()), (status, word), "{result}");
        assert_eq!(rig.state(&run).await, state, "{result}");
        let attempt = "select concat_ws(' ', outcome, action, error_code) from posthaste.attempt where job_id = ";
        let attempt = format!("select coalesce(({attempt} {}), '')", run.job_id);
        assert_eq!(sql::text(&mut rig.connection, &attempt).await, recorded);
        if status == 200 {
            let again = if word == "ignored" { "ignored" } else { "duplicate" };
            assert_eq!(rig.call(&run, "complete", &body).await.word(), again, "{result}");
        }
        if state == "completed" {
            assert_eq!(rig.result(&run).await, r#"{"cents":5}"#);
        }
    }
    let reasons = "select string_agg(distinct concat_ws(' ', via, action, verdict), ', ') from posthaste.delivery
        where via = 'callback'";
    until("all is logged", async || {
        let logged = sql::text(&mut rig.connection, &format!("select coalesce(({reasons}), '')")).await;
        logged == "callback complete duplicate, callback complete ignored, callback complete quarantined"
    })
    .await;
}

#[tokio::test]
async fn a_completion_before_the_202_was_seen_is_judged_too() {
    let mut rig = Rig::start().await;
    rig.endpoint(PAID).await;
    let run = rig.claim().await;
    let no = rig.call(&run, "complete", r#"{"result": {"kind": "other"}}"#).await;
    assert_eq!((no.word(), rig.state(&run).await.as_str()), ("ignored", "running"));
    let yes = rig.call(&run, "complete", r#"{"result": {"kind": "charge", "state": "paid", "cents": 1}}"#).await;
    assert_eq!((yes.word(), yes.state()), ("applied", "completed"));
}

#[tokio::test]
async fn whoever_says_anything_else_is_believed() {
    let mut rig = Rig::start().await;
    rig.endpoint(r#"{"filter": "false"}"#).await;
    for (action, state) in [
        ("fail", "scheduled"),
        ("retry", "scheduled"),
        ("snooze", "scheduled"),
        ("cancel", "cancelled"),
        ("heartbeat", "waiting"),
        ("progress", "waiting"),
    ] {
        let run = rig.park().await;
        let answer = rig.call(&run, action, "{}").await;
        assert_eq!((answer.word(), answer.state()), ("applied", state), "{action}");
    }
}

#[tokio::test]
async fn the_expressions_of_the_job_come_before_those_of_the_endpoint() {
    let mut rig = Rig::start().await;
    rig.endpoint(r#"{"filter": "false"}"#).await;
    for (callback, word) in [
        (r#"{"cel": {"on_complete": "payload == job.id", "default_action": "fail"}}"#, "applied"),
        (r#"{"cel": null}"#, "ignored"),
        (r#"{"cel": {"filter": "payload =="}}"#, "quarantined"),
        (r#"{"cel": [1]}"#, "quarantined"),
    ] {
        // Past the check of its shape, as a job that was written before there was one.
        let job = sql::enqueue(&mut rig.connection, "'k'").await;
        let says = format!("update posthaste.job set callback = '{callback}' where job_id = {job}");
        sql::run(&mut rig.connection, &says).await;
        let run = rig.dispatcher.claim_one().await;
        rig.dispatcher.park(&run).await;
        let answer = rig.call(&run, "complete", &format!(r#"{{"result": "{}"}}"#, run.job_id)).await;
        assert_eq!(answer.word(), word, "{callback}");
    }
}

#[tokio::test]
async fn what_no_expression_could_judge_is_judged_again_when_asked() {
    let mut rig = Rig::start().await;
    rig.endpoint(r#"{"on_complete": "payload.state == 'paid'"}"#).await;
    let run = rig.park().await;
    let body = r#"{"result": {"status" : "paid"}}"#;
    for _ in 0..2 {
        assert_eq!(rig.call(&run, "complete", body).await.word(), "quarantined");
    }
    let kept = inbox::list(&mut rig.connection, None, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1, "the same again is the same");
    assert_eq!(kept[0].quarantine.via, "callback:complete");

    rig.endpoint(r#"{"on_complete": "payload.status == 'paid'"}"#).await;
    assert!(judging::ask(&mut rig.connection, kept[0].id).await.unwrap());

    until("it is judged", async || rig.state(&run).await == "completed").await;
    assert_eq!(rig.result(&run).await, r#"{"status" : "paid"}"#);
    assert_eq!(rig.call(&run, "complete", body).await.word(), "duplicate");
    until("it is forgotten", async || sql::count(&mut rig.connection, "inbox").await == 0).await;
}

#[tokio::test]
async fn of_many_completions_at_once_each_is_judged() {
    let mut rig = Rig::start().await;
    rig.endpoint(PAID).await;
    let run = rig.park().await;
    let token = rig.gateway.token(&run);
    let bodies: Vec<String> = (0..40)
        .map(|n| {
            let state = if n == 20 { "paid" } else { "pending" };
            format!(r#"{{"result": {{"kind": "charge", "state": "{state}", "cents": {n}}}}}"#)
        })
        .collect();

    let answers = join_all(bodies.iter().map(|body| rig.gateway.call(&token, "complete", body))).await;

    let is_right = |(n, word): (usize, &str)| {
        if n == 20 { word == "applied" } else { matches!(word, "ignored" | "already_finalized") }
    };
    assert!(answers.iter().map(crate::client::Answer::word).enumerate().all(is_right), "{answers:?}");
    assert_eq!(rig.state(&run).await, "completed");
}

#[tokio::test]
async fn the_expressions_of_a_wait_decide_what_a_resume_means() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let waits = r#"{"waits": [{"name": "a", "for": "callback", "cel": {"on_complete": "payload.n == 1"}},
        {"name": "b", "for": "callback", "cel": {"on_complete": "payload.n == 2", "transform": "payload.n + 1"}}], "need": 2}"#;
    rig.suspend(&run, waits).await;
    for (n, status, word, state) in [
        ("\"x\"", 202, "quarantined", "waiting"),
        (r#"{"n": 3}"#, 200, "ignored", "waiting"),
        (r#"{"n": 2}"#, 200, "applied", "waiting"),
        (r#"{"n": 2}"#, 200, "duplicate", "waiting"),
        (r#"{"n": 2, "again": 1}"#, 200, "ignored", "waiting"),
        (r#"{"n": 1}"#, 200, "applied", "available"),
        (r#"{"n": 1}"#, 200, "duplicate", "available"),
    ] {
        let answer = rig.call(&run, "resume", &format!(r#"{{"payload": {n}}}"#)).await;
        assert_eq!((answer.status, answer.word()), (status, word), "{n}");
        assert_eq!(rig.state(&run).await, state, "{n}");
    }
    let payload = "select resume_payload::text from posthaste.continuation";
    assert_eq!(sql::text(&mut rig.connection, payload).await, r#"{"a":{"n": 1},"b":3}"#);
    // The one that woke it is an attempt; the one before is logged alone.
    let log = "delivery where action = 'resume' and verdict = 'applied'";
    until("it is logged", async || sql::count(&mut rig.connection, log).await == 1).await;
}

#[tokio::test]
async fn resumes_at_once_meet_a_wait_each_although_each_is_judged() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let wait = |name: &str| format!(r#"{{"name": "{name}", "for": "callback", "cel": {{"filter": "payload > 0"}}}}"#);
    rig.suspend(&run, &format!(r#"{{"waits": [{}, {}], "need": 2}}"#, wait("a"), wait("b"))).await;
    let token = rig.gateway.token(&run);

    let answers = join_all(["1", "2", "0"].map(|n| {
        let (gateway, token) = (&rig.gateway, &token);
        async move { gateway.call(token, "resume", &format!(r#"{{"payload": {n}}}"#)).await }
    }))
    .await;

    assert_eq!(answers.iter().filter(|answer| answer.word() == "applied").count(), 2, "{answers:?}");
    assert_eq!(rig.state(&run).await, "available");
}

#[tokio::test]
async fn a_resume_that_came_early_is_judged_by_the_wait_that_it_meets() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    for n in ["1", "2"] {
        assert_eq!(rig.call(&run, "resume", &format!(r#"{{"payload": {n}}}"#)).await.word(), "buffered");
    }
    rig.suspend(&run, r#"{"wait": {"name": "a", "for": "callback", "cel": {"on_complete": "payload == 2"}}}"#).await;
    assert_eq!(rig.state(&run).await, "waiting", "nobody judged them");

    // As dispatchers do.
    until("it is judged", async || {
        inbox::sweep(&mut rig.connection, 10).await.unwrap();
        rig.state(&run).await == "available"
    })
    .await;
    assert_eq!(sql::text(&mut rig.connection, "select resume_payload::text from posthaste.continuation").await, "2");
    until("the other is forgotten", async || sql::count(&mut rig.connection, "inbox").await == 0).await;
}

#[tokio::test]
async fn a_resume_that_came_early_is_judged_by_the_endpoint() {
    let mut rig = Rig::start().await;
    rig.endpoint(r#"{"on_complete": "payload == 2"}"#).await;
    let run = rig.claim().await;
    assert_eq!(rig.call(&run, "resume", r#"{"payload": 1}"#).await.word(), "buffered");
    rig.suspend(&run, r#"{"wait": {"name": "a", "for": "callback"}}"#).await;
    assert_eq!(rig.call(&run, "resume", r#"{"payload": 3}"#).await.word(), "ignored");
    until("it is judged", async || sql::count(&mut rig.connection, "inbox").await == 0).await;
    assert_eq!(rig.state(&run).await, "waiting");
    assert_eq!(rig.call(&run, "resume", r#"{"payload": 2}"#).await.state(), "available");
}

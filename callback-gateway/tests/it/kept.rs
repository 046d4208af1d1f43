//! What was acknowledged and not yet done: it is not lost while its job lives.

use posthaste_engine::{inbox, judging};
use posthaste_tests::sql;

use crate::{
    rig::{Rig, until},
    signed::{SECRET, github, secret_file},
};

/// Of webhooks, in the order in which they were logged.
const LOG: &str = "select coalesce(string_agg(verdict::text, ' ' order by delivery_id), '') from posthaste.delivery
    where verdict <> 'rejected'";
/// As if their time had come.
const MAKE_DUE: &str = "update posthaste.inbox set judge_at = now() where judge_at is not null";

#[tokio::test]
async fn an_event_of_a_source_between_two_runs_is_for_the_next_one() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.job""#).await;
    let run = rig.park().await;
    assert_eq!(rig.call(&run, "fail", "{}").await.state(), "scheduled");
    let body = format!(r#"{{"job": {}}}"#, run.job_id);

    for _ in 0..2 {
        let answer = rig.send("gh", &[github(body.as_bytes())], &body).await;
        assert_eq!((answer.status, answer.word()), (202, "buffered"));
    }

    assert_eq!(sql::count(&mut rig.connection, "inbox").await, 1, "the same event is kept once");
    let next = rig.claim_again().await;
    sql::run(&mut rig.connection, MAKE_DUE).await;
    until("it was looked at", async || sql::count(&mut rig.connection, "inbox where judge_at > now()").await == 1)
        .await;
    rig.dispatcher.park(&next).await;
    sql::run(&mut rig.connection, MAKE_DUE).await;
    until("it is judged", async || rig.state(&run).await == "completed").await;
    until("it is forgotten", async || sql::count(&mut rig.connection, "inbox").await == 0).await;
}

#[tokio::test]
async fn an_event_that_comes_again_meets_no_further_wait_of_its_job() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.job""#).await;
    let waits = r#"{"waits": [{"name": "a", "for": "callback"}, {"name": "b", "for": "callback"}], "need": 2}"#;
    let run = rig.claim().await;
    rig.suspend(&run, waits).await;
    let body = |n: u8| format!(r#"{{"job": {}, "n": {n}}}"#, run.job_id);
    for (n, state) in [(1, "waiting"), (2, "available")] {
        let answer = rig.send("gh", &[github(body(n).as_bytes())], &body(n)).await;
        assert_eq!((answer.word(), answer.state()), ("applied", state));
    }

    for stage in ["available", "waiting"] {
        if stage == "waiting" {
            let next = rig.dispatcher.claim_one().await;
            rig.suspend(&next, waits).await;
        }
        for n in [1, 2] {
            let again = rig.send("gh", &[github(body(n).as_bytes())], &body(n)).await;
            assert_eq!((again.status, again.word(), again.state()), (200, "duplicate", stage));
        }
    }
    assert_eq!(sql::count(&mut rig.connection, "inbox").await, 0);
    assert_eq!(sql::count(&mut rig.connection, "wait where met_at is not null").await, 0);
}

#[tokio::test]
async fn an_event_that_failed_a_run_does_not_fail_the_next_one_when_it_comes_again() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.job", "cel": {"on_fail": "payload.failed"}"#).await;
    let run = rig.park().await;
    let body = format!(r#"{{"job": {}, "failed": true}}"#, run.job_id);
    let headers = [github(body.as_bytes())];
    let copies = [rig.send("gh", &headers, &body), rig.send("gh", &headers, &body), rig.send("gh", &headers, &body)];
    let mut words: Vec<String> =
        futures_util::future::join_all(copies).await.iter().map(|a| a.word().to_owned()).collect();
    words.sort();
    assert_eq!(words, ["applied", "duplicate", "duplicate"]);

    let next = rig.claim_again().await;
    for stage in ["running", "waiting"] {
        if stage == "waiting" {
            rig.dispatcher.park(&next).await;
        }
        let again = rig.send("gh", &headers, &body).await;
        assert_eq!((again.status, again.word(), again.state()), (200, "duplicate", stage));
    }
    assert_eq!(sql::attempts(&mut rig.connection, run.job_id).await.len(), 1);
}

#[tokio::test]
async fn an_event_for_a_job_that_waits_for_something_else_is_kept() {
    let mut rig = Rig::start().await;
    rig.source("gh", "github", r#""correlate": "payload.job""#).await;
    let run = rig.claim().await;
    rig.suspend(&run, r#"{"wait": {"name": "soon", "for": "timer", "timeout_ms": 60000}}"#).await;
    let body = format!(r#"{{"job": {}}}"#, run.job_id);
    let answer = rig.send("gh", &[github(body.as_bytes())], &body).await;
    assert_eq!((answer.status, answer.word()), (202, "buffered"));

    rig.call(&run, "cancel", "{}").await;
    sql::run(&mut rig.connection, MAKE_DUE).await;

    until("its job has ended: it is forgotten", async || sql::count(&mut rig.connection, "inbox").await == 0).await;
    until("and logged", async || sql::text(&mut rig.connection, LOG).await == "buffered ignored").await;
}

#[tokio::test]
async fn an_early_hook_of_a_run_that_failed_is_in_quarantine_and_an_operator_may_give_it_to_the_next() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    assert_eq!(rig.hook(&run, &[], r#"{"early": 1}"#).await.word(), "buffered");

    let next = rig.retry(&run).await;
    rig.dispatcher.park(&next).await;

    sql::run(&mut rig.connection, MAKE_DUE).await;
    until("it is logged", async || sql::text(&mut rig.connection, LOG).await == "buffered quarantined").await;
    assert_eq!(rig.state(&run).await, "waiting", "an old run's webhook touches no newer run by itself");
    let kept = inbox::list(&mut rig.connection, Some(run.job_id), None, 10).await.unwrap();
    assert_eq!(kept[0].quarantine.payload, br#"{"early": 1}"#);
    assert!(kept[0].quarantine.error.starts_with("its run is over"), "{:?}", kept[0]);
    assert!(judging::ask(&mut rig.connection, kept[0].id).await.unwrap());
    until("it is judged", async || rig.state(&run).await == "completed").await;
}

#[tokio::test]
async fn an_early_hook_is_kept_while_the_secret_of_its_wait_cannot_be_read() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let body = r#"{"early": 1}"#;
    assert_eq!(rig.hook(&run, &[&github(body.as_bytes())], body).await.word(), "buffered");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let signature = format!(r#"{{"scheme": "github", "secrets": [{{"file": {file:?}}}]}}"#);
    rig.suspend(&run, &format!(r#"{{"wait": {{"name": "a", "for": "callback", "signature": {signature}}}}}"#)).await;
    sql::run(&mut rig.connection, MAKE_DUE).await;
    until("it was looked at", async || sql::count(&mut rig.connection, "inbox where judge_at > now()").await == 1)
        .await;

    std::fs::write(&file, SECRET).unwrap();
    sql::run(&mut rig.connection, MAKE_DUE).await;

    until("it wakes the function", async || rig.state(&run).await == "available").await;
}

#[tokio::test]
async fn an_early_resume_that_is_judged_lives_over_the_retry_of_its_run() {
    let mut rig = Rig::start().await;
    rig.endpoint(r#"{"on_complete": "payload.paid"}"#).await;
    let run = rig.claim().await;
    assert_eq!(rig.call(&run, "resume", r#"{"payload": {"paid": true}}"#).await.word(), "buffered");

    let next = rig.retry(&run).await;
    sql::run(&mut rig.connection, MAKE_DUE).await;
    until("it has left its run", async || sql::count(&mut rig.connection, "inbox where run_lease = 0").await == 1)
        .await;
    rig.suspend(&next, r#"{"wait": {"name": "paid", "for": "callback"}}"#).await;

    sql::run(&mut rig.connection, MAKE_DUE).await;
    until("it wakes the function", async || rig.state(&run).await == "available").await;
}

#[tokio::test]
async fn what_came_early_and_cannot_be_judged_is_listed_as_in_quarantine() {
    let mut rig = Rig::start().await;
    rig.endpoint(r#"{"on_complete": "payload.paid"}"#).await;
    let run = rig.claim().await;
    assert_eq!(rig.hook(&run, &[], "{}").await.word(), "buffered");
    rig.dispatcher.park(&run).await;
    sql::run(&mut rig.connection, MAKE_DUE).await;
    until("it is logged", async || sql::text(&mut rig.connection, LOG).await == "buffered quarantined").await;
    assert_eq!(sql::count(&mut rig.connection, "inbox where judge_at is null").await, 1);
}

#[tokio::test]
async fn a_backlog_is_worked_off_without_a_pause() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    rig.hook(&run, &[], "{}").await;
    // Fifteen looks have these to take, a second apart; the test waits for ten. Their job has ended.
    rig.call(&run, "complete", "{}").await;
    let copies = "insert into posthaste.inbox (job_id, run_lease, lease_id, nonce, why, via, digest, payload, judge_at)
        select job_id, run_lease, lease_id, nonce, why, via, decode(lpad(to_hex(n), 32, '0'), 'hex'), payload, now()
        from posthaste.inbox, generate_series(1, 300) n";
    sql::run(&mut rig.connection, copies).await;
    until("all are judged", async || sql::count(&mut rig.connection, "inbox").await == 0).await;
}

#[tokio::test]
async fn a_signature_that_was_verified_is_good_for_its_own_wait_alone() {
    let mut rig = Rig::start().await;
    let run = rig.claim().await;
    let secrets = format!(r#""secrets": [{{"file": "{}"}}]"#, secret_file());
    let waits = format!(
        r#"{{"waits": [{{"name": "a", "for": "callback", "cel": {{"on_complete": "payload.paid"}},
              "signature": {{"scheme": "github", {secrets}}}}},
            {{"name": "b", "for": "callback", "signature": {{"scheme": "stripe", {secrets}}}}}], "need": 2}}"#
    );
    rig.suspend(&run, &waits).await;
    for body in [r#"{"n": 1}"#, r#"{"n": 2}"#] {
        assert_eq!(rig.hook(&run, &[&github(body.as_bytes())], body).await.word(), "quarantined");
    }
    let kept = inbox::list(&mut rig.connection, None, None, 10).await.unwrap();
    // As if a's secret were another by now, and its expressions judged them.
    sql::run(&mut rig.connection, "update posthaste.inbox set headers = '{}', payload = '{\"paid\": true}'").await;

    for (one, word) in kept.iter().zip(["applied", "rejected"]) {
        assert!(judging::ask(&mut rig.connection, one.id).await.unwrap());
        let log = format!("delivery where inbox_id = {} and verdict = '{word}'", one.id);
        until(word, async || sql::count(&mut rig.connection, &log).await == 1).await;
    }
    let open = "select string_agg(name, ' ') from posthaste.wait where met_at is null";
    assert_eq!(sql::text(&mut rig.connection, open).await, "b");
}

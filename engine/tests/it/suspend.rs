//! Suspensions: what a function waits for, and what it is told when it goes on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use posthaste_engine::{
    callback::Told,
    claim::{ClaimedRun, Resumed},
    held::RunRef,
    lifecycle::Outcome,
    resume::{Signal, Signalled, resume},
    session::Role,
    suspend::{Suspended, suspend},
    time_out::{TimedOut, time_out},
};
use posthaste_protocol::{callback::Digest, job::State};
use posthaste_tests::{
    FakeDispatcher, HOUR, TestDb, failed,
    sql::{assert_each_job_is_in_one_place, attempts, cancel, count, enqueue, number, run, state, text},
};
use sqlx::PgConnection;

use crate::callback::{TERMS, policy};

pub const ONE: &str = r#"{"wait": {"name": "paid", "for": "callback"}}"#;
pub const TWO_OF_THREE: &str = r#"{"waits": [{"name": "a", "for": "callback"}, {"name": "b", "for": "callback"},
    {"name": "c", "for": "callback", "timeout_ms": 60000}], "need": 2}"#;
const TIMER: &str = r#"{"wait": {"name": "soon", "for": "timer", "timeout_ms": 60000}}"#;

pub async fn setup() -> (TestDb, PgConnection, FakeDispatcher, ClaimedRun) {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::Settle).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    enqueue(&mut connection, "'k', max_attempts => 2").await;
    let claimed = (*dispatcher.claim_one().await).clone();
    (db, connection, dispatcher, claimed)
}

pub fn reference(claimed: &ClaimedRun) -> RunRef {
    RunRef { lease: claimed.lease, job_id: claimed.job_id, run_lease: claimed.run_lease }
}

pub async fn suspend_one(connection: &mut PgConnection, claimed: &ClaimedRun, body: &str) -> Suspended {
    suspend(connection, &[FakeDispatcher::suspended(claimed, body)], &[claimed.lease.lease_id]).await.unwrap().remove(0)
}

pub fn signal(claimed: &ClaimedRun, wait: Option<&str>, payload: &str, digest: u8) -> Signal {
    let (wait, digest): (_, Digest) = (wait.map(str::to_owned), [digest; 16]);
    Signal { run: reference(claimed), wait, payload: Some(payload.to_owned()), digest, via: "callback".to_owned() }
}

pub async fn send(connection: &mut PgConnection, signal: Signal) -> Signalled {
    resume(connection, &[signal]).await.unwrap().remove(0)
}

pub async fn after(connection: &mut PgConnection, seconds: f64) -> Option<DateTime<Utc>> {
    let query = "select now() + $1 * interval '1 second'";
    Some(sqlx::query_scalar(query).bind(seconds).fetch_one(connection).await.unwrap())
}

async fn sweep(connection: &mut PgConnection, seconds: f64) -> TimedOut {
    let due = after(connection, seconds).await;
    time_out(connection, 10, due, &policy, 0.0).await.unwrap()
}

const APPLIED: Signalled = Signalled::Applied { state: State::Available };
const KEPT: Signalled = Signalled::Applied { state: State::Waiting };

fn resumed(name: &str, payload: Option<&str>, timed_out: bool) -> Resumed {
    Resumed { name: name.to_owned(), payload: payload.map(str::to_owned), timed_out }
}

/// Nothing is left of any wait.
async fn assert_no_waits(connection: &mut PgConnection) {
    assert_eq!((count(connection, "waiting").await, count(connection, "wait").await), (0, 0));
    assert_each_job_is_in_one_place(connection).await;
}

#[tokio::test]
async fn a_signal_wakes_the_function_on_the_same_attempt_with_what_it_brought() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let body = r#"{"wait": {"name": "paid", "for": "callback"}, "steps": {"a": {"n" : 1}}}"#;
    assert_eq!(suspend_one(&mut connection, &claimed, body).await, Suspended::Waits);
    assert_eq!(state(&mut connection, claimed.job_id).await, "waiting");
    assert_eq!(count(&mut connection, "lease").await, 0);

    assert_eq!(send(&mut connection, signal(&claimed, None, r#"{"ok" : 1}"#, 1)).await, APPLIED);

    let last = "select concat_ws(' ', outcome, class, ended_by, action, octet_length(digest), attempt, http_status)
        from posthaste.attempt";
    assert_eq!(text(&mut connection, last).await, "suspended responded callback resume 16 1 202");
    assert_no_waits(&mut connection).await;
    let next = dispatcher.claim_one().await;
    assert_eq!((next.run_lease, next.attempt(), next.resumes), (2, 1, 1));
    assert_eq!(next.resume, Some(resumed("paid", Some(r#"{"ok" : 1}"#), false)));
    assert_eq!(next.steps.as_deref(), Some(r#"{"a":{"n" : 1}}"#));
}

#[tokio::test]
async fn a_failed_attempt_is_retried_with_the_same_resume_and_the_next_wake_replaces_it() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, ONE).await;
    send(&mut connection, signal(&claimed, None, "1", 1)).await;
    let second = dispatcher.claim_one().await;
    dispatcher.finish(&second, failed("http_500")).await;
    let due = after(&mut connection, 100_000.0).await;
    posthaste_engine::promote::promote(&mut connection, 1, due).await.unwrap();

    let third = dispatcher.claim_one().await;
    assert_eq!((third.attempt(), third.resumes, &third.resume), (2, 1, &Some(resumed("paid", Some("1"), false))));
    suspend_one(&mut connection, &third, r#"{"wait": {"name": "next", "for": "callback"}}"#).await;
    send(&mut connection, signal(&third, None, "2", 2)).await;
    let fourth = dispatcher.claim_one().await;
    assert_eq!((fourth.attempt(), fourth.resumes, &fourth.resume), (2, 2, &Some(resumed("next", Some("2"), false))));
    dispatcher.finish(&fourth, Outcome::Completed { result: None }).await;
    let ends = ["1:suspended", "2:retried", "3:suspended", "4:completed"];
    assert_eq!(attempts(&mut connection, claimed.job_id).await, ends);
}

#[tokio::test]
async fn a_signal_that_was_judged_before_the_wait_was_known_does_not_meet_one_with_expressions() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let judged = r#"{"wait": {"name": "paid", "for": "callback", "cel": {"on_complete": "payload.paid"}}}"#;
    suspend_one(&mut connection, &claimed, judged).await;

    let unnamed = send(&mut connection, signal(&claimed, None, "{}", 1)).await;

    assert_eq!(unnamed, Signalled::Told(Told::AlreadyFinalized { state: State::Waiting, winner: None }));
    assert_eq!(send(&mut connection, signal(&claimed, Some("paid"), "{}", 1)).await, APPLIED);
}

#[tokio::test]
async fn the_signal_that_meets_the_last_wait_that_is_needed_wakes() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, TWO_OF_THREE).await;

    assert_eq!(send(&mut connection, signal(&claimed, Some("b"), r#"{"n": 1}"#, 1)).await, KEPT);
    let again = send(&mut connection, signal(&claimed, Some("b"), r#"{"n": 1}"#, 1)).await;
    assert_eq!(again, Signalled::Duplicate { state: State::Waiting });
    assert_eq!(send(&mut connection, signal(&claimed, None, "null", 2)).await, APPLIED);

    let next = dispatcher.claim_one().await;
    assert_eq!(next.resume, Some(resumed("a", Some(r#"{"a":null,"b":{"n": 1}}"#), false)));
    let again = send(&mut connection, signal(&claimed, None, "null", 2)).await;
    assert_eq!(again, Signalled::Duplicate { state: State::Available });
    assert_no_waits(&mut connection).await;
}

#[tokio::test]
async fn a_timer_wakes_by_its_time_and_nothing_times_out() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, TIMER).await;
    assert_eq!(sweep(&mut connection, 59.0).await, TimedOut::default());
    assert_eq!(sweep(&mut connection, 61.0).await, TimedOut { runs: 0, woken: 1, rows: 1 });
    assert_eq!(dispatcher.claim_one().await.resume, Some(resumed("soon", None, false)));
    assert_no_waits(&mut connection).await;
}

#[tokio::test]
async fn a_timer_whose_time_is_past_wakes_at_once() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let body = r#"{"wait": {"name": "then", "for": "timer", "until": "2001-01-01T00:00:00Z"}}"#;
    assert_eq!(suspend_one(&mut connection, &claimed, body).await, Suspended::Waits);
    assert_eq!(dispatcher.claim_one().await.resume, Some(resumed("then", None, false)));
}

#[tokio::test]
async fn a_wait_that_times_out_wakes_when_too_few_are_left() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, TWO_OF_THREE).await;
    send(&mut connection, signal(&claimed, Some("a"), "1", 1)).await;
    assert_eq!(sweep(&mut connection, 61.0).await, TimedOut { runs: 0, woken: 0, rows: 1 }, "b may still come");
    let late = send(&mut connection, signal(&claimed, Some("c"), "3", 3)).await;
    assert!(matches!(late, Signalled::Told(_)), "{late:?}");

    assert_eq!(sweep(&mut connection, 3601.0).await, TimedOut { runs: 0, woken: 1, rows: 1 });

    assert_eq!(dispatcher.claim_one().await.resume, Some(resumed("b", Some(r#"{"a":1}"#), true)));
    assert_no_waits(&mut connection).await;
}

#[tokio::test]
async fn a_run_past_its_hard_end_fails_whatever_it_waits_for() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, r#"{"wait": {"name": "w", "for": "timer", "timeout_ms": 2000000000}}"#)
        .await;
    assert_eq!(sweep(&mut connection, 86_300.0).await, TimedOut::default());
    assert_eq!(sweep(&mut connection, 86_500.0).await, TimedOut { runs: 1, woken: 0, rows: 1 });
    assert_eq!(text(&mut connection, "select error_code from posthaste.attempt").await, "run_timeout");
    assert_no_waits(&mut connection).await;
}

#[tokio::test]
async fn jobs_wake_when_enough_of_them_have_ended() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let (first, second) = (enqueue(&mut connection, "'k'").await, enqueue(&mut connection, "'k'").await);
    let jobs = format!(r#""for": "jobs", "jobs": ["{first}", "{second}"]"#);
    suspend_one(&mut connection, &claimed, &format!(r#"{{"wait": {{"name": "all", {jobs}}}}}"#)).await;
    let looks = "select extract(epoch from deadline_at - now())::bigint from posthaste.waiting";
    assert!(number(&mut connection, looks).await <= 1);

    let others = dispatcher.claim_any(2).await;
    let result = Some(r#"{"n" : 1}"#.to_owned());
    dispatcher.settle(&[FakeDispatcher::end(&others[0], Outcome::Completed { result })]).await;
    assert_eq!(sweep(&mut connection, 2.0).await.woken, 0);
    cancel(&mut connection, second, true).await;
    assert_eq!(sweep(&mut connection, 4.0).await.woken, 1);

    let next = dispatcher.claim_one().await;
    let payload: serde_json::Value =
        serde_json::from_str(&next.resume.as_ref().unwrap().payload.clone().unwrap()).unwrap();
    let expected = serde_json::json!({
        first.to_string(): {"state": "completed", "result": {"n": 1}},
        second.to_string(): {"state": "cancelled", "result": null},
    });
    assert_eq!((payload, next.resume.as_ref().unwrap().timed_out), (expected, false));
    assert_no_waits(&mut connection).await;
}

#[tokio::test]
async fn jobs_that_had_ended_before_or_that_nobody_knows_wake_at_once() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let ended = enqueue(&mut connection, "'k'").await;
    cancel(&mut connection, ended, true).await;
    let body = format!(r#"{{"wait": {{"name": "all", "for": "jobs", "jobs": ["{ended}", "999999"]}}}}"#);
    assert_eq!(suspend_one(&mut connection, &claimed, &body).await, Suspended::Waits);
    let next = dispatcher.claim_one().await;
    let payload = next.resume.as_ref().unwrap().payload.clone().unwrap();
    let payload: serde_json::Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload["999999"], serde_json::json!({"state": null, "result": null}));
    assert_eq!(payload[ended.to_string()]["state"], "cancelled");
}

#[tokio::test]
async fn jobs_are_looked_at_less_often_the_longer_they_take() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let other = enqueue(&mut connection, "'k'").await;
    let body = format!(r#"{{"wait": {{"name": "all", "for": "jobs", "jobs": ["{other}"]}}}}"#);
    suspend_one(&mut connection, &claimed, &body).await;
    for (age, next) in [(100, 10), (3000, 30)] {
        run(&mut connection, &format!("update posthaste.waiting set parked_at = now() - interval '{age} s'")).await;
        run(&mut connection, "update posthaste.waiting set deadline_at = now()").await;
        time_out(&mut connection, 10, None, &policy, 0.0).await.unwrap();
        let looks = "select round(extract(epoch from deadline_at - now()))::bigint from posthaste.waiting";
        assert_eq!(number(&mut connection, looks).await, next, "after {age} s");
    }
}

#[tokio::test]
async fn a_suspension_that_comes_again_because_its_answer_was_lost_changes_nothing() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let body = r#"{"wait": {"name": "paid", "for": "callback"}, "steps": {"a": 1}, "seq": 0}"#;
    for _ in 0..2 {
        assert_eq!(suspend_one(&mut connection, &claimed, body).await, Suspended::Waits);
    }
    assert_eq!(count(&mut connection, "wait").await, 1);
    assert_eq!(number(&mut connection, "select seq from posthaste.continuation").await, 1);
    send(&mut connection, signal(&claimed, None, "1", 1)).await;
    assert_eq!(suspend_one(&mut connection, &claimed, body).await, Suspended::Ended);
}

#[tokio::test]
async fn steps_that_are_refused_leave_the_run_as_it_was_and_others_of_the_batch_suspended() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let other = dispatcher.claim_one().await;
    let stale = FakeDispatcher::suspended(
        &claimed,
        r#"{"wait": {"name": "w", "for": "callback"}, "steps": {"a": 1}, "seq": 7}"#,
    );
    let leases = [claimed.lease.lease_id, other.lease.lease_id];

    let told = suspend(&mut connection, &[stale, FakeDispatcher::suspended(&other, ONE)], &leases).await.unwrap();

    assert_eq!(told, [Suspended::StepsConflict { seq: 0 }, Suspended::Waits]);
    assert_eq!(state(&mut connection, claimed.job_id).await, "running");
    assert_eq!(state(&mut connection, other.job_id).await, "waiting");
    assert_eq!(count(&mut connection, "lease").await, 1, "that of the run which goes on");
    dispatcher.finish(&claimed, failed("steps_conflict")).await;
}

#[tokio::test]
async fn leases_of_others_are_deleted_though_every_suspension_of_the_batch_is_refused() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    enqueue(&mut connection, "'k'").await;
    let other = dispatcher.claim_one().await;
    dispatcher.settle(&[FakeDispatcher::end(&other, failed("no"))]).await;
    let stale = FakeDispatcher::suspended(
        &claimed,
        r#"{"wait": {"name": "w", "for": "callback"}, "steps": {"a": 1}, "seq": 7}"#,
    );
    let leases = [claimed.lease.lease_id, other.lease.lease_id];
    let told = suspend(&mut connection, &[stale], &leases).await.unwrap();
    assert_eq!(told, [Suspended::StepsConflict { seq: 0 }]);
    let left = number(&mut connection, "select lease_id from posthaste.lease").await;
    assert_eq!((count(&mut connection, "lease").await, left), (1, claimed.lease.lease_id));
}

#[tokio::test]
async fn a_suspended_run_can_be_completed_failed_or_cancelled_as_any_that_waits() {
    use posthaste_engine::callback::{Told, finish};
    use posthaste_protocol::action::Action;
    for action in [Action::Complete, Action::Fail, Action::Cancel] {
        let (_db, mut connection, _dispatcher, claimed) = setup().await;
        suspend_one(&mut connection, &claimed, TWO_OF_THREE).await;
        let told =
            finish(&mut connection, &[crate::callback::callback(&claimed, action, 1)], TERMS, 0.0).await.unwrap();
        assert!(matches!(told[..], [Told::Applied { .. }]), "{told:?}");
        assert_no_waits(&mut connection).await;
        let late = send(&mut connection, signal(&claimed, None, "1", 1)).await;
        assert!(matches!(late, Signalled::Told(Told::AlreadyFinalized { .. })), "{late:?}");
    }
}

#[tokio::test]
async fn a_signal_for_a_job_that_somebody_asked_to_cancel_cancels_it() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, ONE).await;
    assert_eq!(cancel(&mut connection, claimed.job_id, false).await, "waiting");
    let told = send(&mut connection, signal(&claimed, None, "1", 1)).await;
    assert_eq!(told, Signalled::Applied { state: State::Cancelled });
    assert_eq!(attempts(&mut connection, claimed.job_id).await, ["1:cancelled"]);
    assert_eq!(count(&mut connection, "continuation").await, 0);
    assert_no_waits(&mut connection).await;
}

#[tokio::test]
async fn a_heartbeat_does_not_move_what_a_suspended_run_waits_for() {
    use posthaste_engine::extend::{Heartbeat, extend};
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    suspend_one(&mut connection, &claimed, TIMER).await;
    let extend_by = Some(Duration::from_hours(5));
    let beat = Heartbeat { run: reference(&claimed), extend: extend_by, times: HOUR };
    let alive = extend(&mut connection, &[beat]).await.unwrap().remove(0).unwrap();
    assert!(alive.deadline <= after(&mut connection, 60.0).await.unwrap());
    assert_eq!(sweep(&mut connection, 61.0).await.woken, 1);
}

#[tokio::test]
async fn a_run_that_its_heartbeat_parked_is_suspended_all_the_same() {
    use posthaste_engine::extend::{Heartbeat, extend};
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let beat = Heartbeat { run: reference(&claimed), extend: None, times: HOUR };
    extend(&mut connection, &[beat]).await.unwrap();
    assert_eq!(suspend_one(&mut connection, &claimed, ONE).await, Suspended::Waits);
    assert_eq!(send(&mut connection, signal(&claimed, None, "1", 1)).await, APPLIED);
}

#[tokio::test]
async fn a_suspended_job_is_shown_as_waiting_and_explained_by_what_it_waits_for() {
    use posthaste_engine::explain::{Reason, explain};
    use posthaste_engine::waiting_on::{OpenWait, Stage, look_up};
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let run = reference(&claimed);
    let before = look_up(&mut connection, &[run]).await.unwrap().remove(0).unwrap();
    assert_eq!((before.kind.as_str(), before.attempt, before.stage, before.waits.len()), ("k", 1, Stage::Running, 0));
    let body = r#"{"waits": [{"name": "paid", "for": "callback", "cel": {"filter": "payload.id == 7"}},
        {"name": "seen", "for": "callback"}, {"name": "late", "for": "timer", "timeout_ms": 60000}], "need": 2}"#;
    suspend_one(&mut connection, &claimed, body).await;
    send(&mut connection, signal(&claimed, Some("seen"), "1", 1)).await;

    let explained = explain(&mut connection, posthaste_protocol::id::JobId(claimed.job_id)).await.unwrap();
    assert_eq!((explained.state, explained.reason), (State::Waiting, Reason::Suspended));
    let says = "waits for 2 of callback paid, callback seen (met), timer late, until";
    assert!(explained.detail.contains(says), "{}", explained.detail);
    let found = look_up(&mut connection, &[run]).await.unwrap().remove(0).unwrap();
    let cel = Some(r#"{"filter":"payload.id == 7"}"#.to_owned());
    assert_eq!(found.stage, Stage::Suspended);
    assert_eq!(found.waits, [OpenWait { name: "paid".to_owned(), cel, signature: None }]);
    send(&mut connection, signal(&claimed, Some("paid"), "1", 2)).await;
    assert_eq!(look_up(&mut connection, &[run]).await.unwrap(), [None]);
}

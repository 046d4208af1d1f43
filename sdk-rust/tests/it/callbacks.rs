//! Calling back through the real gateway.

use std::time::{Duration, Instant};

use posthaste::{
    App, Job as _, JobId, State,
    callback::{Callback, CallbackGrant, CallbackOutcome, Failed, Progress},
};
use posthaste_tests::{Answer, FakeEndpoint, WAIT_LIMIT, sql};
use serde_json::{Value, json};

use crate::{
    handlers::{Encode, HANDED_OUT, Order, SECRET, Say},
    outcomes::{serve, serve_app},
    rig::Rig,
};

#[path = "../../examples/accepted.rs"]
#[expect(dead_code, reason = "its main runs as an example")]
mod accepted;

/// A function whose jobs wait, and what it was given for each.
struct Waiting {
    rig: Rig,
    function: FakeEndpoint,
}

impl Waiting {
    async fn start() -> Self {
        let mut rig = Rig::start().await;
        let function = FakeEndpoint::start().await;
        function.otherwise(Answer::status(202).header("posthaste-protocol", "1"));
        rig.endpoint("e", &function.url("/"), &["say"], &json!({})).await;
        Self { rig, function }
    }

    /// A job that waits, and its callbacks.
    async fn job(&mut self) -> (JobId, Callback) {
        let id = Say { word: "wait".to_owned() }.enqueue(&mut self.rig.connection).await.unwrap();
        self.rig.until_state(id, State::Waiting).await;
        let seen = self.function.seen();
        let request = seen.iter().rev().find(|request| request.header("posthaste-job-id") == id.to_string()).unwrap();
        let (url, token) = (request.header("posthaste-callback-url"), request.header("posthaste-callback-token"));
        (id, Callback::new(&CallbackGrant::new(url, token)).unwrap())
    }
}

#[tokio::test]
async fn every_end_that_a_callback_can_say_is_what_becomes_of_the_job() {
    let mut waiting = Waiting::start().await;
    let later = Some(Duration::from_hours(1));

    let (id, callback) = waiting.job().await;
    let first = callback.complete(&json!({"frames": 1440})).await.unwrap();
    assert_eq!((first.outcome, first.job.unwrap().state), (CallbackOutcome::Applied, State::Completed));
    let again = callback.complete(&json!({"frames": 1440})).await.unwrap();
    assert_eq!(again.outcome, CallbackOutcome::Duplicate);
    let lost = callback.cancel(None).await.unwrap_err();
    assert_eq!(lost.code(), Some("already_finalized"));
    assert_eq!(waiting.rig.client.job(id).await.unwrap().result.unwrap().get(), r#"{"frames":1440}"#);

    let (id, callback) = waiting.job().await;
    let failed = callback.fail(Failed::new("out of memory").retry_after(Duration::from_hours(1))).await.unwrap();
    assert_eq!(failed.job.unwrap().state, State::Scheduled);
    let error = waiting.rig.client.job(id).await.unwrap().error.unwrap();
    assert_eq!((&*error.code, &*error.message), ("callback_failed", "out of memory"));

    let (_, callback) = waiting.job().await;
    let dead = callback.fail(Failed::new("no such film").for_good()).await.unwrap();
    assert_eq!(dead.job.unwrap().state, State::Dead);
    let (id, callback) = waiting.job().await;
    assert_eq!(callback.retry(later).await.unwrap().job.unwrap().state, State::Scheduled);
    assert_eq!(waiting.rig.client.job(id).await.unwrap().attempts[0].outcome.as_str(), "retried");
    let (id, callback) = waiting.job().await;
    assert_eq!(callback.snooze(later).await.unwrap().job.unwrap().state, State::Scheduled);
    assert_eq!(waiting.rig.client.job(id).await.unwrap().attempts[0].outcome.as_str(), "snoozed");
    let (_, callback) = waiting.job().await;
    assert_eq!(callback.cancel(Some("not wanted")).await.unwrap().job.unwrap().state, State::Cancelled);
}

#[tokio::test]
async fn a_run_that_goes_on_says_so_and_learns_that_it_is_to_stop() {
    let mut waiting = Waiting::start().await;
    let (id, callback) = waiting.job().await;
    let alive = callback.heartbeat(Some(Duration::from_mins(10))).await.unwrap();
    assert!(alive.deadline.is_some() && alive.cancel_requested == Some(false));
    callback.progress(&Progress::percent(40).message("half").metadata("fps", 25)).await.unwrap();
    let progress: Value =
        serde_json::from_str(waiting.rig.client.job(id).await.unwrap().progress.unwrap().get()).unwrap();
    assert_eq!((&progress["percent"], &progress["metadata"]["fps"]), (&json!(40), &json!(25)));

    assert_eq!(callback.checkpoint(0, &json!({"a": 1})).await.unwrap().seq, Some(1));
    let late = callback.checkpoint(0, &json!({"b": 1})).await.unwrap_err();
    let posthaste::callback::CallError::Problem(problem) = late else { panic!("{late}") };
    assert_eq!((&*problem.code, problem.seq), ("conflict", Some(1)));

    waiting.rig.client.cancel(id, Some("too slow")).await.unwrap();
    assert_eq!(callback.heartbeat(None).await.unwrap().cancel_requested, Some(true));
}

#[tokio::test]
async fn a_suspended_handler_goes_on_with_its_steps_each_time_that_it_is_woken() {
    let mut rig = Rig::start().await;
    let url = serve().await;
    rig.endpoint("e", &url, &["order"], &json!({})).await;
    let id = Order { cents: 1250 }.enqueue(&mut rig.connection).await.unwrap();
    let payloads = [json!("Ada"), json!({"cents": 1250})];
    for (n, payload) in payloads.iter().enumerate() {
        let callback = Callback::new(&handed_out(id, n).await).unwrap();
        let answer = callback.resume(payload).await.unwrap();
        assert!(matches!(answer.outcome, CallbackOutcome::Applied | CallbackOutcome::Buffered), "{answer:?}");
    }
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    let result: Value = serde_json::from_str(job.result.unwrap().get()).unwrap();
    assert_eq!(result, json!({"paid": {"cents": 1250}, "steps": {"by": "Ada", "cents": 1250}}));
    assert_eq!(job.attempt, 1);
}

/// What the `n`th run of this job was given to call back with.
async fn handed_out(id: JobId, n: usize) -> CallbackGrant {
    let give_up = Instant::now() + WAIT_LIMIT;
    loop {
        let grants = HANDED_OUT.lock().unwrap().clone();
        if let Some((_, grant)) = grants.into_iter().filter(|(job, _)| *job == id).nth(n) {
            return grant;
        }
        assert!(Instant::now() < give_up, "run {n} of job {id} never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_handler_reports_and_its_next_attempt_has_the_steps() {
    let mut rig = Rig::start().await;
    let url = serve().await;
    rig.endpoint("e", &url, &["encode"], &json!({"retry": {"policy": "constant", "base_ms": 1}})).await;
    let id = Encode { frames: 1440 }.enqueue(&mut rig.connection).await.unwrap();
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    assert_eq!((job.attempt, job.result.unwrap().get()), (2, "1440"));
    assert!(job.progress.unwrap().get().contains("half"));
    // The second attempt's checkpoint came after two of the first, whose number it was told.
    let kept = format!("select seq || ' ' || steps::text from posthaste.continuation where job_id = {id}");
    assert_eq!(sql::text(&mut rig.connection, &kept).await, r#"3 {"frames":1440,"ended":true}"#);
}

#[tokio::test]
async fn the_worker_of_the_example_ends_the_jobs_that_its_handler_accepts() {
    let mut rig = Rig::start().await;
    let app = App::signed_with([SECRET]).unwrap().on(accepted::encode);
    rig.endpoint("e", &serve_app(app).await, &["encode"], &json!({})).await;
    let film = |film: &str| accepted::Encode { film: film.to_owned() };
    let id = film("metropolis").enqueue(&mut rig.connection).await.unwrap();
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    assert_eq!((job.state, job.result.unwrap().get()), (State::Completed, r#"{"film":"metropolis","frames":1440}"#));
    assert!(job.progress.unwrap().get().contains("decoding"));
    let id = film("").enqueue(&mut rig.connection).await.unwrap();
    let job = rig.client.wait(id, WAIT_LIMIT).await.unwrap();
    assert_eq!((job.state, &*job.error.unwrap().message), (State::Dead, "there is no film"));
}

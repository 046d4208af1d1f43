//! The testing kit: one run, and a queue in memory whose clock the test moves.

use std::time::Duration;

use posthaste::{
    Accepted, App, Fail, Job, JobId, Outcome, Result, Retry, Run, State, Suspend, Wait,
    callback::Progress,
    testing::{Dispatch, Queue, Report, run},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::handlers::{Encode, Order, Say, app};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Job, Serialize, Deserialize)]
#[job(max_attempts = 3)]
struct Flaky {
    fails: i32,
}

async fn flaky(args: Flaky, run: Run) -> Result<i32> {
    if run.attempt() <= args.fails {
        Err(Retry::new("not yet").after(10 * SECOND))?;
    }
    Ok(run.attempt())
}

#[derive(Job, Serialize, Deserialize)]
struct Family {
    children: Vec<JobId>,
}

async fn family(args: Family, run: Run) -> Result<Outcome> {
    match run.resume() {
        None => Ok(Suspend::until(Wait::jobs("children", args.children)).into()),
        Some(woken) => Ok(Outcome::completed(&woken.payload)?),
    }
}

#[derive(Job, Serialize, Deserialize)]
struct Nap;

async fn nap(_: Nap, run: Run) -> Result<Outcome> {
    match run.resume() {
        None if run.idempotency_key().ends_with('0') => {
            Ok(Suspend::until_some(1, [Wait::timer("nap", 60 * SECOND), Wait::callback("call")]).into())
        }
        Some(woken) => Ok(Outcome::completed(&(&woken.name, &woken.payload, woken.timed_out))?),
        None => Ok(Fail::new("a resume has a key of its own").into()),
    }
}

fn queue() -> Queue {
    Queue::new(app().on(flaky).on(family).on(nap))
}

#[tokio::test]
async fn one_run_tells_its_outcome_and_what_it_reported() {
    let ran = run(&app(), &Dispatch::of(&Encode { frames: 10 })).await;
    assert_eq!(ran.outcome, Ok(Retry::new("once more").into()));
    let step = |n: u32| Report::Checkpoint(json!({"frames": n}).as_object().unwrap().clone());
    assert_eq!(ran.reports, [Report::Progress(Progress::percent(50).message("half")), step(5), step(10)]);
    let ran = run(&app(), &Dispatch::of(&Encode { frames: 10 }).attempt(2).step("frames", 10)).await;
    let Ok(Outcome::Completed(done)) = ran.outcome else { panic!("{:?}", ran.outcome) };
    assert_eq!(done.result::<u32>().unwrap(), 10);
}

#[tokio::test]
async fn a_run_that_panics_or_fails_says_so() {
    for (word, code, detail) in [
        ("panic", "panic", "the handler panicked: at the disco"),
        ("an error", "unhandled_exception", "the disk is full"),
    ] {
        let answered = run(&app(), &Dispatch::of(&Say { word: word.to_owned() })).await.outcome.unwrap_err();
        assert_eq!((answered.status, &*answered.code, &*answered.detail), (500, code, detail));
    }
}

#[tokio::test]
async fn a_handler_learns_from_its_reports_that_it_is_to_stop() {
    #[derive(Job, Serialize, Deserialize)]
    struct Long;
    let app = App::unsigned().on(async |_: Long, run: Run| {
        assert!(!run.is_cancel_requested());
        let told = run.heartbeat(None).await?;
        Ok((told, run.is_cancel_requested()))
    });
    for (dispatch, told) in [(Dispatch::of(&Long).cancel_requested(), true), (Dispatch::of(&Long), false)] {
        let outcome = run(&app, &dispatch).await.outcome;
        assert_eq!(outcome, Ok(Outcome::completed(&(told, told)).unwrap()));
    }
}

#[tokio::test]
async fn retries_come_when_they_are_due_and_end_after_max_attempts() {
    let mut queue = queue();
    let (well, dead) = (queue.push(&Flaky { fails: 2 }), queue.push(&Flaky { fails: 9 }));
    assert_eq!(queue.drain().await, 2);
    assert_eq!(queue.job(well).unwrap().state, State::Scheduled);
    assert_eq!(queue.advance(9 * SECOND).await, 0);
    assert_eq!(queue.advance(11 * SECOND).await, 4);
    let (well, dead) = (queue.job(well).unwrap(), queue.job(dead).unwrap());
    assert_eq!((well.state, well.runs, well.result::<i32>().unwrap()), (State::Completed, 3, 3));
    assert_eq!((dead.state, dead.attempt, dead.error.unwrap().code), (State::Dead, 3, "retry".to_owned()));
}

#[tokio::test]
async fn a_delay_and_a_snooze_use_no_attempt() {
    let mut queue = queue();
    let id = queue.push_job(Say { word: "snooze".to_owned() }.job().delay(5 * SECOND));
    assert_eq!((queue.drain().await, queue.advance(5 * SECOND).await), (0, 1));
    assert_eq!(queue.advance(Duration::from_hours(2)).await, 2);
    let job = queue.job(id).unwrap();
    assert_eq!((job.state, job.attempt, job.runs), (State::Scheduled, 1, 3));
}

#[tokio::test]
async fn a_suspended_job_is_woken_by_its_callbacks_with_its_steps() {
    let mut queue = queue();
    let id = queue.push(&Order { cents: 1250 });
    assert!(!queue.resume(id, &1).unwrap());
    queue.drain().await;
    assert_eq!(queue.job(id).unwrap().state, State::Waiting);
    for payload in [json!("Ada"), json!({"cents": 1250})] {
        assert!(queue.resume(id, &payload).unwrap());
        assert_eq!(queue.drain().await, 1);
    }
    let job = queue.job(id).unwrap();
    let result: Value = job.result().unwrap();
    assert_eq!(result, json!({"paid": {"cents": 1250}, "steps": {"by": "Ada", "cents": 1250}}));
    assert_eq!((job.state, job.attempt, job.runs), (State::Completed, 1, 3));
}

#[tokio::test]
async fn timers_other_jobs_and_the_first_of_several_waits_wake() {
    let mut queue = queue();
    let (slept, called) = (queue.push(&Nap), queue.push(&Nap));
    queue.drain().await;
    assert!(queue.resume(called, &"hi").unwrap());
    queue.advance(60 * SECOND).await;
    let result = |id| queue.job(id).unwrap().result::<Value>().unwrap();
    assert_eq!(result(slept), json!(["nap", {"nap": null}, false]));
    assert_eq!(result(called), json!(["call", {"call": "hi"}, false]));
    let mut queue = self::queue();
    let child = queue.push(&Flaky { fails: 1 });
    let parent = queue.push(&Family { children: vec![child] });
    queue.drain().await;
    assert_eq!(queue.job(parent).unwrap().state, State::Waiting);
    queue.advance(10 * SECOND).await;
    let told: Value = queue.job(parent).unwrap().result().unwrap();
    assert_eq!(told, json!({"1": {"state": "completed", "result": 2}}));
}

#[tokio::test]
async fn a_wait_whose_time_is_over_says_so() {
    #[derive(Job, Serialize, Deserialize)]
    struct Ask;
    let app = App::unsigned().on(async |_: Ask, run: Run| match run.resume() {
        None => Ok(Suspend::until(Wait::callback("answer").timeout(SECOND)).into()),
        Some(woken) => Outcome::completed(&(&woken.name, woken.timed_out)).map_err(Into::into),
    });
    let mut queue = Queue::new(app);
    let id = queue.push(&Ask);
    queue.drain().await;
    assert_eq!(queue.advance(SECOND).await, 1);
    assert_eq!(queue.job(id).unwrap().result::<(String, bool)>().unwrap(), ("answer".to_owned(), true));
}

#[tokio::test]
async fn an_accepted_job_is_completed_by_its_callback_or_tried_again_in_the_end() {
    #[derive(Job, Serialize, Deserialize)]
    struct Film;
    let app = App::unsigned().on(async |_: Film, _: Run| Ok(Accepted::new().callback_timeout(10 * SECOND)));
    let mut queue = Queue::new(app);
    let (done, late) = (queue.push(&Film), queue.push(&Film));
    queue.drain().await;
    assert!(queue.complete(done, &json!({"frames": 1440})).unwrap());
    assert!(!queue.complete(done, &1).unwrap());
    queue.advance(10 * SECOND).await;
    assert_eq!(queue.job(done).unwrap().state, State::Completed);
    let late = queue.job(late).unwrap();
    assert_eq!(
        (late.state, late.attempt, late.error.unwrap().code),
        (State::Scheduled, 2, "callback_timeout".to_owned())
    );
}

#[tokio::test]
async fn steps_that_a_run_kept_are_there_for_the_next() {
    let mut queue = queue();
    let id = queue.push(&Encode { frames: 10 });
    queue.advance(Duration::from_mins(1)).await;
    let job = queue.job(id).unwrap();
    assert_eq!((job.state, job.runs, job.reports.len()), (State::Completed, 2, 4));
    assert_eq!((&job.steps["frames"], &job.steps["ended"]), (&json!(10), &json!(true)));
}

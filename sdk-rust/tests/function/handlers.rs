//! The handlers of the end-to-end tests: whatever a function can say.

use std::{sync::Mutex, time::Duration};

use posthaste::{
    Accepted, App, CallbackGrant, Cancel, Fail, Job, JobId, Outcome, Result, Retire, Retry, Run, Snooze, Suspend,
    Throttle, Wait, callback::Progress,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The secret of every endpoint of the tests.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a function is told to say.
#[derive(Job, Serialize, Deserialize)]
pub struct Say {
    pub word: String,
}

/// Every handler.
pub fn app() -> App {
    App::signed_with([SECRET]).expect("a secret").on(say).on(order).on(encode)
}

async fn say(args: Say, run: Run) -> Result<Outcome> {
    let hour = Duration::from_hours(1);
    Ok(match &*args.word {
        "a result" => Outcome::completed(&json!({"attempt": run.attempt(), "key": run.idempotency_key()}))?,
        "nothing" => Outcome::completed(&())?,
        "accepted" => Accepted::new().callback_timeout(hour).into(),
        "accepted, raised" => Err(Accepted::new().heartbeat_timeout(hour))?,
        "suspend" => Suspend::until(Wait::callback("word").timeout(hour)).step("said", 1)?.into(),
        "suspend, raised" => Err(Suspend::until_some(1, [Wait::callback("a"), Wait::timer("b", hour)]))?,
        "snooze" => Snooze::after(hour).into(),
        "snooze, raised" => Err(Snooze::after(hour))?,
        "retry" => Retry::new("the printer is on fire").code("on_fire").after(hour).into(),
        "retry, raised" => Err(Retry::new("the printer is on fire").after(hour))?,
        "fail" => Fail::new("there is no such order").code("no_such_order").into(),
        "fail, raised" => Err(Fail::new("there is no such order").code("no_such_order"))?,
        "cancel" => Cancel::because("nobody wants it").into(),
        "cancel, raised" => Err(Cancel::because("nobody wants it"))?,
        "throttle" => Throttle::after(hour).message("at my limit").into(),
        "retire" => Retire::because("moved away").into(),
        "how long" => Outcome::completed(&json!({"ms": run.remaining().as_millis()}))?,
        "by callback" => {
            run.callbacks()?.complete(&"by callback").await?;
            Outcome::completed(&"not heard where it is not waited for")?
        }
        "an error" => Err(std::io::Error::other("the disk is full"))?,
        "panic" => panic!("at the disco"),
        "crash once" if run.attempt() == 1 => std::process::abort(),
        "crash once" => Outcome::completed(&"survived")?,
        "never" => std::future::pending().await,
        word if word.starts_with("until ") => {
            let file = word.trim_start_matches("until ");
            std::fs::write(format!("{file}.begun"), "")?;
            while !std::fs::exists(file)? {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Outcome::completed(&"in time")?
        }
        word => Err(Fail::new(format!("no such word: {word}")))?,
    })
}

/// What has to be paid, and is approved first.
#[derive(Job, Serialize, Deserialize)]
pub struct Order {
    pub cents: i64,
}

/// What the runs of orders were given to call back with, for who plays the third party.
pub static HANDED_OUT: Mutex<Vec<(JobId, CallbackGrant)>> = Mutex::new(Vec::new());

async fn order(args: Order, run: Run) -> Result<Outcome> {
    let grant = run.callback().cloned().ok_or_else(|| Fail::new("no gateway"))?;
    HANDED_OUT.lock().expect("no panic").push((run.id(), grant));
    let Some(woken) = run.resume() else {
        return Ok(Suspend::until(Wait::callback("approved")).step("cents", args.cents)?.into());
    };
    if woken.name == "approved" {
        let by: String = woken.payload()?;
        return Ok(Suspend::until(Wait::callback("paid")).step("by", by)?.into());
    }
    Ok(Outcome::completed(&json!({"paid": woken.payload, "steps": run.steps()}))?)
}

/// Work that is reported on.
#[derive(Job, Serialize, Deserialize)]
pub struct Encode {
    pub frames: u32,
}

async fn encode(args: Encode, run: Run) -> Result<u32> {
    let done = run.step::<u32>("frames")?.unwrap_or(0);
    if done < args.frames {
        run.progress(Progress::percent(50).message("half")).await?;
        run.checkpoint("frames", &(args.frames / 2)).await?;
        run.checkpoint("frames", &args.frames).await?;
        Err(Retry::new("once more"))?;
    }
    // The first checkpoint of this run, after two of another.
    run.checkpoint("ended", &true).await?;
    Ok(done)
}

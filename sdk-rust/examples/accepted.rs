//! Work that takes longer than a request: `POSTHASTE_SIGNING_SECRET=whsec_… cargo run --example accepted`.

use std::time::Duration;

use posthaste::callback::{Callback, CallbackGrant, Failed, Progress};
use posthaste::{Accepted, App, Fail, Job, Result, Run};

/// Work of an hour.
#[derive(Job, serde::Serialize, serde::Deserialize)]
pub struct Encode {
    /// Its name.
    pub film: String,
}

/// Hands the work to a worker, with the URL and the token to call back, and answers at once.
pub async fn encode(args: Encode, run: Run) -> Result<Accepted> {
    let grant = run.callback().ok_or_else(|| Fail::new("the server has no gateway to call back"))?;
    tokio::spawn(worker(args.film, grant.url().to_owned(), grant.token().to_owned()));
    Ok(Accepted::new().callback_timeout(Duration::from_hours(1)).heartbeat_timeout(Duration::from_mins(15)))
}

/// Here a task; as well another process, which has these three texts from a queue. The token is a secret: with it, the
/// run can be ended. If the worker is lost, nothing comes in time, and the job is tried again.
async fn worker(film: String, url: String, token: String) -> Result<()> {
    let callback = Callback::new(&CallbackGrant::new(url, token))?;
    callback.progress(&Progress::percent(10).message("decoding")).await?;
    if callback.heartbeat(None).await?.cancel_requested == Some(true) {
        callback.cancel(Some("as you asked")).await?;
        return Ok(());
    }
    match frames(&film) {
        Ok(frames) => callback.complete(&serde_json::json!({"film": film, "frames": frames})).await?,
        Err(error) => callback.fail(Failed::new(error).for_good()).await?, // without for_good() it is tried again
    };
    Ok(())
}

fn frames(film: &str) -> std::result::Result<u32, &'static str> {
    if film.is_empty() { Err("there is no film") } else { Ok(1440) }
}

#[tokio::main]
async fn main() -> Result<()> {
    Ok(App::from_env()?.on(encode).serve("127.0.0.1:9006").await?)
}

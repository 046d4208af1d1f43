//! `posthaste job wait ID`: until the job has ended, saying on the way what keeps it from running.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use posthaste_engine::{
    EngineError,
    explain::{self, Reason},
    job,
};
use posthaste_protocol::{
    id::JobId,
    job::{Job, State},
};
use sqlx::PgConnection;
use tokio::time::{Instant, sleep_until};

use super::get;
use crate::{
    connection::{self, Target},
    failure::{Interrupted, Said},
    output::{self, Tone},
};

/// The pause after the first look; each next one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How often to ask why a job is not running; for the first time when it has not ended after this long.
const ASK_WHY_EVERY: Duration = Duration::from_secs(1);

/// Which job, and for how long.
#[derive(Debug, Args)]
pub struct Options {
    /// The job's id
    id: JobId,
    /// How long to wait (default: until it ends)
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Waits, prints the job, and fails unless it completed.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let connection = options.target.connect().await?;
    let limit = options.timeout_ms.map(Duration::from_millis);
    let job = until_ended(connection, options.id, limit).await?;
    get::print(&job, options.json)?;
    verdict(&job)
}

/// The job once it has ended. Errors when that takes longer than `limit`, when there is no such job, or at Ctrl-C.
/// However it goes, the connection is closed.
pub async fn until_ended(mut connection: PgConnection, id: JobId, limit: Option<Duration>) -> anyhow::Result<Job> {
    let ended = tokio::select! {
        ended = look(&mut connection, id, limit) => ended,
        pressed = tokio::signal::ctrl_c() => Err(pressed.map_or_else(Into::into, |()| Interrupted.into())),
    };
    connection::close(connection).await;
    ended
}

/// Looks again and again, and says why the job is not running.
async fn look(connection: &mut PgConnection, id: JobId, limit: Option<Duration>) -> anyhow::Result<Job> {
    let give_up = limit.map(|limit| (Instant::now() + limit, limit));
    let mut ask_why = Instant::now() + ASK_WHY_EVERY;
    let mut said = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let job = job::job(connection, id).await?;
        let now = Instant::now();
        if job.state.is_terminal() {
            return Ok(job);
        }
        if now >= ask_why {
            say_why(connection, id, &mut said).await?;
            ask_why = now + ASK_WHY_EVERY;
        }
        let next = now + pause;
        match give_up {
            Some((at, limit)) if now >= at => return too_late(connection, id, limit).await,
            Some((give_up, _)) => sleep_until(next.min(give_up)).await,
            None => sleep_until(next).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Says what keeps the job from running whenever that is something else than what was `said` last.
async fn say_why(connection: &mut PgConnection, id: JobId, said: &mut String) -> Result<(), EngineError> {
    let why = explain::explain(connection, id).await?;
    let news = match why.reason {
        // It runs, or is about to: nothing keeps it.
        Reason::Ended | Reason::Running | Reason::Next => return Ok(()),
        // How many come first, or are in flight, changes all the time.
        Reason::BehindOthers | Reason::EndpointBusy => "a crowd",
        // Its deadline moves with each heartbeat.
        Reason::WaitingForCallback => "a callback",
        _ => &why.detail,
    };
    if said != news {
        news.clone_into(said);
        let line = format_args!("job {id} is not running: {}", output::clean(&why.detail));
        output::note_in(Tone::Warn, line);
    }
    Ok(())
}

/// The job as it is after all this time.
async fn too_late(connection: &mut PgConnection, id: JobId, limit: Duration) -> anyhow::Result<Job> {
    let why = explain::explain(connection, id).await?;
    if why.state.is_terminal() {
        return Ok(job::job(connection, id).await?);
    }
    bail!("after {} job {id} is still {}: {}", span(limit), why.state, output::clean(&why.detail));
}

/// In seconds where they are whole.
fn span(limit: Duration) -> String {
    match limit.subsec_millis() {
        0 => format!("{} s", limit.as_secs()),
        _ => format!("{} ms", limit.as_millis()),
    }
}

/// Fails, saying why, unless the job completed.
pub fn verdict(job: &Job) -> anyhow::Result<()> {
    if job.state == State::Completed {
        return Ok(());
    }
    let why = job.error.as_ref().map(|error| format!(": {}: {}", error.code, error.message));
    output::error(format_args!("job {} is {}{}", job.id, job.state, output::clean(&why.unwrap_or_default())));
    Err(Said.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_said_in_seconds_where_they_are_whole() {
        assert_eq!(span(Duration::from_secs(4)), "4 s");
        assert_eq!(span(Duration::from_millis(2200)), "2200 ms");
    }
}

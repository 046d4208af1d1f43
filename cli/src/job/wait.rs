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
    let give_up = limit.map(|limit| Instant::now() + limit);
    let mut ask_why = Instant::now() + ASK_WHY_EVERY;
    let mut said = Vec::new();
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
            Some(give_up) if now >= give_up => bail!("job {id} is still {}", job.state),
            Some(give_up) => sleep_until(next.min(give_up)).await,
            None => sleep_until(next).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Each reason is said once, however often it comes.
async fn say_why(connection: &mut PgConnection, id: JobId, said: &mut Vec<Reason>) -> Result<(), EngineError> {
    let why = explain::explain(connection, id).await?;
    if !matches!(why.reason, Reason::Ended | Reason::Running) && !said.contains(&why.reason) {
        let line = format_args!("job {id} is not running: {}", output::clean(&why.detail));
        output::note_in(Tone::Warn, line);
        said.push(why.reason);
    }
    Ok(())
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

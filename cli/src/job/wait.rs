//! `posthaste job wait ID`: until the job has ended. Woken by its end; a look each second is the truth.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use posthaste_engine::job::{self, DONE_CHANNEL};
use posthaste_protocol::{
    id::JobId,
    job::{Job, State},
};
use sqlx::{PgConnection, postgres::PgListener};
use tokio::time::{Instant, timeout, timeout_at};

use super::get;
use crate::{
    connection::{self, Target},
    failure::Said,
    output,
};

/// How often to look when nobody wakes us.
const LOOK: Duration = Duration::from_secs(1);

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
    let found = options.target.find()?;
    let mut connection = connection::connect(&found.url).await?;
    posthaste_engine::migrate::check(&mut connection).await?;
    let limit = options.timeout_ms.map(Duration::from_millis);
    let job = until_ended(&mut connection, &found.listen_url, options.id, limit).await?;
    get::print(&job, options.json)?;
    verdict(&job)
}

/// The job once it has ended. Errors when that takes longer than `limit`, or when there is no such job.
pub async fn until_ended(
    connection: &mut PgConnection,
    listen_url: &str,
    id: JobId,
    limit: Option<Duration>,
) -> anyhow::Result<Job> {
    let give_up = limit.map(|limit| Instant::now() + limit);
    // Interest first, then the look: an end in between is heard.
    let mut bell = Bell::hang(listen_url).await;
    loop {
        let job = job::job(connection, id).await?;
        if job.state.is_terminal() {
            return Ok(job);
        }
        let look = Instant::now() + LOOK;
        match give_up {
            Some(give_up) if Instant::now() >= give_up => bail!("job {id} is still {}", job.state),
            Some(give_up) => bell.wait(look.min(give_up), id).await,
            None => bell.wait(look, id).await,
        }
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

/// Rings when jobs end. Without one (a pooler in between, say) waiting is merely looking.
pub struct Bell {
    listener: Option<PgListener>,
    /// Holds the lock that asks finalizes to notify.
    _asking: Option<PgConnection>,
}

impl Bell {
    /// Listens, and asks finalizes to tell.
    pub async fn hang(listen_url: &str) -> Self {
        let hanging = async {
            let mut listener = PgListener::connect(listen_url).await?;
            listener.listen(DONE_CHANNEL).await?;
            let mut asking = connection::connect(listen_url).await?;
            job::ask_for_ends(&mut asking).await?;
            anyhow::Ok((listener, asking))
        };
        match timeout(Duration::from_secs(2), hanging).await {
            Ok(Ok((listener, asking))) => Self { listener: Some(listener), _asking: Some(asking) },
            _ => Self { listener: None, _asking: None },
        }
    }

    /// Until `id` is named or `deadline`.
    async fn wait(&mut self, deadline: Instant, id: JobId) {
        let named = async |listener: &mut PgListener| {
            let id = id.to_string();
            while let Ok(told) = listener.recv().await {
                if told.payload().split(',').any(|ended| ended == id) {
                    return;
                }
            }
            tokio::time::sleep_until(deadline).await;
        };
        match &mut self.listener {
            // Elapsed is as good as told: the caller looks.
            Some(listener) => drop(timeout_at(deadline, named(listener)).await),
            None => tokio::time::sleep_until(deadline).await,
        }
    }
}

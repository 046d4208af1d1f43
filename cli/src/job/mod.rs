//! `posthaste job …`: look at jobs, wait for them, cancel them, try them again.

mod cancel;
mod explain;
mod get;
mod list;
mod retry;
mod tail;
pub mod wait;

pub use get::print;
pub use tail::{Seen, line as ended_line};

use clap::{Args, Subcommand};
use posthaste_protocol::id::JobId;

use crate::connection::Target;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one job with its attempts
    Get(One),
    /// List jobs, newest first
    List(list::Options),
    /// Wait until a job has ended, then show it; exit 1 unless it completed
    Wait(wait::Options),
    /// Cancel a job: at once when it is not running, else it is asked to stop
    Cancel(cancel::Options),
    /// Run an ended job again, or a scheduled one now
    Retry(One),
    /// Say why a job is not running
    Explain(One),
    /// Follow runs as they end
    Tail(tail::Options),
}

/// One job.
#[derive(Debug, Args)]
pub struct One {
    /// The job's id
    id: JobId,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Runs one of them.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Get(one) => get::run(one).await,
        Command::List(options) => list::run(options).await,
        Command::Wait(options) => wait::run(options).await,
        Command::Cancel(options) => cancel::run(options).await,
        Command::Retry(one) => retry::run(one).await,
        Command::Explain(one) => explain::run(one).await,
        Command::Tail(options) => tail::run(options).await,
    }
}

//! `posthaste job cancel ID`.

use clap::Args;
use posthaste_engine::cancel;
use posthaste_protocol::{id::JobId, job::State};
use serde_json::json;

use crate::{connection::Target, output};

/// Which job.
#[derive(Debug, Args)]
pub struct Options {
    /// The job's id
    id: JobId,
    /// Why, for whoever reads the job later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// End a running job at once instead of asking it to stop
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Cancels. A job that has ended otherwise is an error.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut connection = options.target.connect().await?;
    let id = options.id;
    let state = cancel::cancel(&mut connection, id, options.reason.as_deref(), options.force).await?;
    let asked = match state {
        State::Cancelled => false,
        State::Running | State::Waiting => true,
        ended => anyhow::bail!("job {id} has ended before: it is {ended}"),
    };
    match (options.json, asked) {
        (true, false) => output::json(&json!({"id": id, "state": state}))?,
        (true, true) => output::json(&json!({"id": id, "state": state, "cancel_requested": true}))?,
        (false, false) => output::data(format_args!("job {id} is cancelled")),
        (false, true) => output::data(format_args!("job {id} is {state}; it was asked to stop")),
    }
    Ok(())
}

//! `posthaste endpoint pause` and `resume`.

use clap::Args;
use posthaste_engine::endpoint;

use super::{One, read};

/// What to pause.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    one: One,
    /// Why, for whoever finds it paused
    #[arg(long, value_name = "TEXT", default_value = "paused by an operator")]
    reason: String,
}

/// Pauses; one that is paused keeps its time and reason.
pub async fn pause(options: Options) -> anyhow::Result<()> {
    let Options { one, reason } = options;
    let mut connection = one.target.connect().await?;
    let row = endpoint::pause(&mut connection, &one.name, &reason).await?;
    read::show(&row, one.json)
}

/// Resumes.
pub async fn resume(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    let row = endpoint::resume(&mut connection, &one.name).await?;
    read::show(&row, one.json)
}

//! `posthaste migrate`: bring the schema up to date.

use clap::Args;
use posthaste_engine::migrate::{self, SCHEMA_VERSION};

use crate::{
    connection::{self, Target},
    output,
};

/// Which database.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    target: Target,
}

/// Migrates. Two at once are fine: the second waits for the first and finds nothing to do.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut connection = connection::connect(&options.target.find()?.url).await?;
    let applied = migrate::migrate(&mut connection).await?;
    if applied.is_empty() {
        output::note(format_args!("the schema is up to date: version {SCHEMA_VERSION}"));
    } else {
        output::note(format_args!("migrated to version {SCHEMA_VERSION}: applied {applied:?}"));
    }
    Ok(())
}

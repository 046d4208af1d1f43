//! `posthaste endpoint …`: the named HTTP targets of jobs.

mod pause;
mod put;
mod read;
mod rotate;
pub mod write;

use clap::{Args, Subcommand};
use posthaste_engine::endpoint::{self, EndpointRow};
use posthaste_service::config::SecretsConfig;
use serde_json::{Value, json};

use crate::{connection::Target, output};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List endpoints
    List(All),
    /// Show one endpoint
    Get(One),
    /// Write an endpoint, whole; prints the signing secret if one was made
    Put(put::Options),
    /// Delete an endpoint; jobs that it would have taken stay available
    Delete(One),
    /// Dispatch nothing more to it; its jobs stay available
    Pause(pause::Options),
    /// Dispatch to it again
    Resume(One),
    /// Make a new signing secret, and print it once
    RotateSecret(rotate::Options),
}

/// Every endpoint.
#[derive(Debug, Args)]
pub struct All {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// One endpoint.
#[derive(Debug, Args)]
pub struct One {
    /// The endpoint's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// What sealing needs.
#[derive(Debug, Args)]
pub struct Sealed {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    secrets: SecretsConfig,
}

/// Runs one of them.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(all) => read::list(all).await,
        Command::Get(one) => read::get(one).await,
        Command::Put(options) => put::run(options).await,
        Command::Delete(one) => delete(one).await,
        Command::Pause(options) => pause::pause(options).await,
        Command::Resume(one) => pause::resume(one).await,
        Command::RotateSecret(options) => rotate::run(options).await,
    }
}

async fn delete(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    endpoint::delete(&mut connection, &one.name).await?;
    if one.json {
        return output::json(&json!({"name": one.name, "deleted": true}));
    }
    output::data(format_args!("endpoint {} is deleted", one.name));
    Ok(())
}

/// An endpoint as REST shows it, too: what was written, and how it stands. Never its secret.
fn document(row: &EndpointRow) -> anyhow::Result<Value> {
    let mut document = serde_json::from_str::<Value>(&row.spec)?;
    if let Value::Object(fields) = &mut document {
        fields.insert("name".to_owned(), json!(row.name));
        fields.insert("version".to_owned(), json!(row.version));
        fields.insert("paused_at".to_owned(), json!(row.paused_at));
        fields.insert("paused_reason".to_owned(), json!(row.paused_reason));
        fields.insert("created_at".to_owned(), json!(row.created_at));
        fields.insert("updated_at".to_owned(), json!(row.updated_at));
    }
    Ok(document)
}

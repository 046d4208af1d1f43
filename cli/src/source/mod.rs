//! `posthaste source …`: the named senders of webhooks.

mod put;

use clap::{Args, Subcommand};
use posthaste_engine::source::{self, SourceRow};
use serde_json::{Value, json};

use crate::{connection::Target, output, table::Table, time};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List sources
    List(All),
    /// Show one source
    Get(One),
    /// Write a source, whole; without secrets in it, those that are stored stay
    Put(put::Options),
    /// Delete a source; its webhooks are then answered 404
    Delete(One),
}

/// Every source.
#[derive(Debug, Args)]
pub struct All {
    /// Print JSON: {"sources": [...]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// One source.
#[derive(Debug, Args)]
pub struct One {
    /// The source's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Runs one of them.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(all) => list(all).await,
        Command::Get(one) => get(one).await,
        Command::Put(options) => put::run(options).await,
        Command::Delete(one) => delete(one).await,
    }
}

async fn list(all: All) -> anyhow::Result<()> {
    let mut connection = all.target.connect().await?;
    let rows = source::sources(&mut connection).await?;
    if all.json {
        let sources = rows.iter().map(document).collect::<anyhow::Result<Vec<_>>>()?;
        return output::json(&json!({"sources": sources}));
    }
    let mut table = Table::new(&["name", "scheme", "updated_at", "correlate"]);
    for row in &rows {
        let spec: Value = serde_json::from_str(&row.spec)?;
        let text = |at: &str| spec.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        table.row([row.name.clone(), text("/signature/scheme"), time::show(row.updated_at), text("/correlate")]);
    }
    table.print();
    Ok(())
}

async fn get(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    let document = document(&source::source(&mut connection, &one.name).await?)?;
    if one.json {
        return output::json(&document);
    }
    output::data(serde_json::to_string_pretty(&document)?);
    Ok(())
}

async fn delete(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    source::delete(&mut connection, &one.name).await?;
    if one.json {
        return output::json(&json!({"name": one.name, "deleted": true}));
    }
    output::data(format_args!("source {} is deleted", one.name));
    Ok(())
}

/// A source as REST shows it, too. Never its secrets.
fn document(row: &SourceRow) -> anyhow::Result<Value> {
    let mut document = serde_json::from_str::<Value>(&row.spec)?;
    if let Value::Object(fields) = &mut document {
        fields.insert("name".to_owned(), json!(row.name));
        fields.insert("sealed_secrets".to_owned(), json!(row.secret.is_some()));
        fields.insert("version".to_owned(), json!(row.version));
        fields.insert("created_at".to_owned(), json!(row.created_at));
        fields.insert("updated_at".to_owned(), json!(row.updated_at));
    }
    Ok(document)
}

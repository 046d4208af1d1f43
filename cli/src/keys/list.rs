//! `posthaste keys list`: every key ever minted, newest first; never the keys themselves.

use clap::Args;
use posthaste_engine::api_key::{self, ApiKeyRow};
use serde_json::{Value, json};

use crate::{connection::Target, output, table::Table, time};

/// Every key.
#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON: {"keys": [...]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Prints them, at most 1,000.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut connection = options.target.connect().await?;
    let rows = api_key::list(&mut connection).await?;
    if options.json {
        return output::json(&json!({"keys": rows.iter().map(document).collect::<Vec<_>>()}));
    }
    let mut table = Table::new(&["key_id", "name", "scopes", "state", "created_at", "expires_at"]);
    for row in &rows {
        table.row([
            row.key_id.clone(),
            row.name.clone(),
            row.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "),
            state(row).to_owned(),
            time::show(row.created_at),
            row.expires_at.map(time::show).unwrap_or_default(),
        ]);
    }
    table.print();
    Ok(())
}

fn document(row: &ApiKeyRow) -> Value {
    json!({
        "key_id": row.key_id, "name": row.name, "scopes": row.scopes, "state": state(row),
        "created_at": row.created_at, "expires_at": row.expires_at, "revoked_at": row.revoked_at,
    })
}

const fn state(row: &ApiKeyRow) -> &'static str {
    match (row.active, row.revoked_at) {
        (true, _) => "active",
        (false, Some(_)) => "revoked",
        (false, None) => "expired",
    }
}

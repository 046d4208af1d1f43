//! `posthaste endpoint list` and `get`.

use posthaste_engine::endpoint::{self, EndpointRow};
use serde_json::{Value, json};

use super::{All, One, document};
use crate::{
    output,
    table::{Table, cut},
};

/// Every endpoint, by name.
pub async fn list(all: All) -> anyhow::Result<()> {
    let mut connection = all.target.connect().await?;
    let rows = endpoint::endpoints(&mut connection).await?;
    if all.json {
        let endpoints = rows.iter().map(document).collect::<anyhow::Result<Vec<_>>>()?;
        return output::json(&json!({"endpoints": endpoints}));
    }
    let mut table = Table::new(&["name", "state", "format", "concurrency", "kinds", "url"]);
    for row in &rows {
        let spec: Value = serde_json::from_str(&row.spec)?;
        let text = |name: &str| spec.get(name).map(shown).unwrap_or_default();
        table.row([
            row.name.clone(),
            state(row),
            text("format"),
            text("concurrency"),
            cut(&text("kinds"), 60),
            text("url"),
        ]);
    }
    table.print();
    Ok(())
}

/// One endpoint.
pub async fn get(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    let row = endpoint::endpoint(&mut connection, &one.name).await?;
    show(&row, one.json)
}

/// Prints one endpoint.
pub fn show(row: &EndpointRow, as_json: bool) -> anyhow::Result<()> {
    let document = document(row)?;
    if as_json {
        return output::json(&document);
    }
    output::data(format_args!("{:<21} {}", "name", row.name));
    output::data(format_args!("{:<21} {}", "state", output::clean(&state(row))));
    let fields = document.as_object().into_iter().flatten();
    let hidden = ["name", "paused_at", "paused_reason"];
    for (name, value) in fields.filter(|(name, value)| !value.is_null() && !hidden.contains(&name.as_str())) {
        output::data(format_args!("{name:<21} {}", output::clean(&shown(value))));
    }
    Ok(())
}

fn state(row: &EndpointRow) -> String {
    match (&row.paused_at, &row.paused_reason) {
        (None, _) => "active".to_owned(),
        (Some(_), None) => "paused".to_owned(),
        (Some(_), Some(reason)) => format!("paused: {reason}"),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

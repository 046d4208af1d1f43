//! `posthaste deliveries`: what came to the gateways and what became of it; and judging again what was kept.

use clap::{Args, Subcommand};
use posthaste_engine::{
    EngineError,
    delivery::{self, Logged, Which},
    judging,
};
use posthaste_protocol::id::JobId;
use serde_json::{Value, json};

use crate::{
    connection::Target,
    output::{self, Tone},
    table::{Table, cut},
    time,
};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List deliveries, newest first; callbacks that simply ended their runs are in `job get`
    List(All),
    /// Judge a delivery in quarantine again, after its expressions were mended
    Replay(One),
}

/// Which deliveries.
#[derive(Debug, Args)]
pub struct All {
    /// Those of this job
    #[arg(long, value_name = "ID")]
    job: Option<JobId>,
    /// Those with this verdict: applied, duplicate, ignored, buffered, quarantined, rejected
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(delivery::DeliveryVerdict::WORDS.iter().copied()))]
    verdict: Option<String>,
    /// How many, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Where the last page ended
    #[arg(long)]
    cursor: Option<i64>,
    /// Print JSON: {"deliveries": [...]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// One delivery.
#[derive(Debug, Args)]
pub struct One {
    /// The delivery's number
    id: i64,
    #[command(flatten)]
    target: Target,
}

/// Runs one of them.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(all) => list(all).await,
        Command::Replay(one) => replay(one).await,
    }
}

async fn list(all: All) -> anyhow::Result<()> {
    let mut connection = all.target.connect().await?;
    let which = Which { job_id: all.job.map(|id| id.0), verdict: all.verdict.as_deref() };
    let rows = delivery::list(&mut connection, which, all.cursor, all.limit).await?;
    if all.json {
        return output::json(&json!({"deliveries": rows.iter().map(document).collect::<Vec<_>>()}));
    }
    let mut table = Table::new(&["id", "at", "job", "via", "action", "verdict", "kept", "bytes", "reason"]);
    for row in &rows {
        table.row([
            row.delivery_id.to_string(),
            time::show(row.at),
            row.job_id.map(|id| id.to_string()).unwrap_or_default(),
            row.source.clone().unwrap_or_else(|| row.via.clone()),
            row.action.clone().unwrap_or_default(),
            row.verdict.clone(),
            String::from(if row.kept { "kept" } else { "" }),
            row.bytes.to_string(),
            cut(row.reason.as_deref().unwrap_or_default(), 60),
        ]);
    }
    table.print();
    if let Some(last) = rows.last().filter(|_| i64::try_from(rows.len()) == Ok(all.limit)) {
        output::note_in(Tone::Dim, format_args!("more: --cursor {}", last.delivery_id));
    }
    Ok(())
}

async fn replay(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    let missing = || EngineError::NotFound(format!("quarantined delivery {}", one.id));
    let inbox_id = delivery::inbox_id(&mut connection, one.id).await?.ok_or_else(missing)?;
    if !judging::ask(&mut connection, inbox_id).await? {
        return Err(missing().into());
    }
    output::note(format_args!("delivery {} is judged again in a moment; `deliveries list` shows the verdict", one.id));
    Ok(())
}

fn document(row: &Logged) -> Value {
    json!({
        "id": row.delivery_id.to_string(), "at": row.at, "job_id": row.job_id.map(|id| id.to_string()),
        "run_lease": row.run_lease, "via": row.via, "source": row.source, "action": row.action,
        "verdict": row.verdict, "reason": row.reason, "bytes": row.bytes, "kept": row.kept,
    })
}

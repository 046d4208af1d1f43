//! `posthaste job list`: jobs, newest first, a page at a time.

use clap::Args;
use posthaste_engine::list::{self, Filter};
use posthaste_protocol::job::{Job, State};
use serde::Serialize;

use crate::{
    connection::Target,
    output::{self, Tone},
    table::{Table, cut},
    time,
};

/// Which jobs.
#[derive(Debug, Args)]
pub struct Options {
    /// Those in this state: scheduled, available, running, completed, cancelled, dead
    #[arg(long)]
    state: Option<State>,
    /// Those of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Those of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Those with this tag
    #[arg(long)]
    tag: Option<String>,
    /// How many, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
    /// Where the last page ended
    #[arg(long)]
    cursor: Option<i64>,
    /// Print JSON: {"jobs": [...], "next_cursor": "…" or null}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// A page as REST shows it, too.
#[derive(Debug, Serialize)]
struct Page<'a> {
    jobs: &'a [Job],
    next_cursor: Option<String>,
}

/// Prints one page.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut connection = options.target.connect().await?;
    let filter = Filter { state: options.state, queue: options.queue, kind: options.kind, tag: options.tag };
    let page = list::list(&mut connection, &filter, options.cursor, options.limit).await?;
    if options.json {
        return output::json(&Page { jobs: &page.jobs, next_cursor: page.next.map(|next| next.to_string()) });
    }
    let mut table = Table::new(&["id", "kind", "queue", "state", "attempt", "created_at", "result or error"]);
    for job in page.jobs {
        let error = job.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
        let value = error.or_else(|| job.result.as_ref().map(|result| result.get().to_owned()));
        table.row([
            job.id.to_string(),
            job.kind,
            job.queue,
            job.state.to_string(),
            job.attempt.to_string(),
            time::show(job.created_at),
            cut(&value.unwrap_or_default(), 60),
        ]);
    }
    table.print();
    if let Some(next) = page.next {
        output::note_in(Tone::Dim, format_args!("more: --cursor {next}"));
    }
    Ok(())
}

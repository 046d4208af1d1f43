//! `posthaste job tail`: runs as they end.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args;
use posthaste_engine::overview::{self, EndedRun};
use posthaste_protocol::id::JobId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    connection::{self, Target},
    output,
    table::cut,
};

/// How often to look.
const LOOK: Duration = Duration::from_millis(500);
/// The most runs shown of one look.
const AT_ONCE: i64 = 500;

/// Which runs.
#[derive(Debug, Args)]
pub struct Options {
    /// Those of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Those of this kind
    #[arg(long)]
    kind: Option<String>,
    /// Begin with this many that have ended before
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: usize,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// An ended run for machines.
#[derive(Debug, Serialize)]
struct Document<'a> {
    id: JobId,
    kind: &'a str,
    queue: &'a str,
    run_lease: i64,
    attempt: i32,
    outcome: &'a str,
    http_status: Option<i32>,
    result: Option<Box<RawValue>>,
    error: Option<Failure<'a>>,
    finished_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: Option<&'a str>,
}

/// Prints until Ctrl-C, which is how it ends well.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut connection = options.target.connect().await?;
    let mut seen = Seen::default();
    let mut first = true;
    loop {
        let mut runs = seen.sift(overview::ended(&mut connection, AT_ONCE).await?);
        runs.retain(|run| options.queue.as_ref().is_none_or(|queue| *queue == run.queue));
        runs.retain(|run| options.kind.as_ref().is_none_or(|kind| *kind == run.kind));
        if first {
            runs.drain(..runs.len().saturating_sub(options.last));
            first = false;
        }
        for run in &runs {
            print(run, options.json)?;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            result = tokio::signal::ctrl_c() => {
                connection::close(connection).await;
                return Ok(result?);
            }
        }
    }
}

/// Which runs were shown.
#[derive(Debug, Default)]
pub struct Seen(HashSet<(i64, i64)>);

impl Seen {
    /// Those of `newest_first` that are new, oldest first. Remembers as many as it was shown last.
    pub fn sift(&mut self, mut newest_first: Vec<EndedRun>) -> Vec<EndedRun> {
        let shown = newest_first.iter().map(|run| (run.job_id, run.run_lease)).collect();
        newest_first.retain(|run| !self.0.contains(&(run.job_id, run.run_lease)));
        newest_first.reverse();
        self.0 = shown;
        newest_first
    }
}

/// A run in one line.
pub fn line(run: &EndedRun) -> String {
    let status = run.http_status.map_or("-".to_owned(), |status| status.to_string());
    let took = run.took_ms.map_or(String::new(), |ms| format!("{ms:.0} ms"));
    let said = match (&run.error_code, &run.error_message, &run.result) {
        (Some(code), Some(message), _) if message.is_empty() => code.clone(),
        (Some(code), Some(message), _) => format!("{code}: {message}"),
        (Some(code), None, _) => code.clone(),
        (None, _, Some(result)) => result.clone(),
        (None, _, None) => String::new(),
    };
    let line = format!(
        "{}  {:>6}  {:<16} {:<10} {:>3} {:>8}  {}",
        run.finished_at.format("%H:%M:%S"),
        run.job_id,
        run.kind,
        run.outcome,
        status,
        took,
        cut(&said, 120),
    );
    output::clean(line.trim_end())
}

fn print(run: &EndedRun, as_json: bool) -> anyhow::Result<()> {
    if !as_json {
        output::data(line(run));
        return Ok(());
    }
    output::json(&Document {
        id: JobId(run.job_id),
        kind: &run.kind,
        queue: &run.queue,
        run_lease: run.run_lease,
        attempt: run.attempt,
        outcome: &run.outcome,
        http_status: run.http_status,
        // A long result was cut, and is then no JSON.
        result: run.result.as_ref().and_then(|text| serde_json::from_str(text).ok()),
        error: run.error_code.as_ref().map(|code| Failure { code, message: run.error_message.as_deref() }),
        finished_at: run.finished_at,
    })
}

//! `posthaste enqueue KIND`: one job, checked and written as for every other producer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use posthaste_engine::{
    EngineError,
    enqueue::{self, Enqueued},
};
use posthaste_protocol::{id::JobId, job::State, new_job::NewJob};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    connection::Target,
    failure::{Malformed, Usage},
    input,
    job::{self, wait},
    output, time,
};

/// One job.
#[derive(Debug, Args)]
pub struct Options {
    /// The kind, by which endpoints take jobs
    kind: String,
    /// The function's input: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    args: String,
    /// The queue (default: default)
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// The endpoint, where the kind's own is not wanted
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// 1 (first) to 4 (last)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Not before this many milliseconds from now
    #[arg(long, value_name = "MS", allow_negative_numbers = true, conflicts_with = "run_at")]
    delay_ms: Option<i64>,
    /// Not before this time, such as 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    run_at: Option<DateTime<Utc>>,
    /// Worthless after this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    expires_at: Option<DateTime<Utc>>,
    /// How many attempts may fail
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    max_attempts: Option<i32>,
    /// How long the function has
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    timeout_ms: Option<i64>,
    /// A label to find the job by; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The producer's own notes: a JSON object, @FILE, or -
    #[arg(long, value_name = "JSON|@FILE|-")]
    metadata: Option<String>,
    /// What a webhook to this job means, as in {"cel": {"filter": "…"}}: JSON, @FILE, or -
    #[arg(long, value_name = "JSON|@FILE|-")]
    callback: Option<String>,
    /// Wait until the job has ended and show it; exit 1 unless it completed
    #[arg(long)]
    wait: bool,
    /// How long to wait (default: until it ends)
    #[arg(long, value_name = "MS", requires = "wait")]
    wait_timeout_ms: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// The job as every producer writes it; what was not given is left to the database.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
struct Document<'a> {
    kind: &'a str,
    args: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<i64>,
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<&'a RawValue>,
}

/// Enqueues and prints the id.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let documents = [Some(&options.args), options.metadata.as_ref(), options.callback.as_ref()];
    if documents.into_iter().flatten().filter(|given| *given == "-").count() > 1 {
        return Err(Usage("only one of --args, --metadata and --callback can be read from stdin".to_owned()).into());
    }
    let document = document(&options)?;
    let mut connection = options.target.connect().await?;
    let answers = enqueue::enqueue_batch(&mut connection, &format!("[{document}]")).await?;
    let (id, state) = match answers.into_iter().next() {
        Some(Enqueued::Job { id, state }) => (JobId(id), state),
        Some(Enqueued::Faults(faults)) => return Err(EngineError::Faults(faults).into()),
        None => anyhow::bail!("the database said nothing about the job"),
    };
    output::note(format_args!("job {id} is {state}"));
    if options.wait {
        let limit = options.wait_timeout_ms.map(Duration::from_millis);
        let job = wait::until_ended(connection, id, limit).await?;
        job::print(&job, options.json)?;
        return wait::verdict(&job);
    }
    if options.json {
        let state: State = state.parse()?;
        return output::json(&posthaste_protocol::job::JobRef { id, state });
    }
    output::data(id);
    Ok(())
}

/// The job as one JSON text, its types checked.
fn document(options: &Options) -> anyhow::Result<String> {
    let args = input::json("args", &options.args)?;
    let metadata = options.metadata.as_deref().map(|text| input::json("metadata", text)).transpose()?;
    let callback = options.callback.as_deref().map(|text| input::json("callback", text)).transpose()?;
    let document = serde_json::to_string(&Document {
        kind: &options.kind,
        args: &args,
        queue: options.queue.as_deref(),
        endpoint: options.endpoint.as_deref(),
        priority: options.priority,
        delay_ms: options.delay_ms,
        run_at: options.run_at,
        expires_at: options.expires_at,
        max_attempts: options.max_attempts,
        timeout_ms: options.timeout_ms,
        tags: &options.tags,
        metadata: metadata.as_deref(),
        callback: callback.as_deref(),
    })?;
    let checked = NewJob::parse(&document).and_then(|job| enqueue::check(&job));
    checked.map_err(Malformed)?;
    Ok(document)
}

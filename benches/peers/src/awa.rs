//! Awa's HTTP worker as a party of the benchmark, in sync mode or, with a callback receiver, in async mode: fills its queue,
//! says `filled`, waits for a line on stdin, then works until stdin closes.

mod callback;

use std::{
    io::{BufRead as _, Read as _, Write as _},
    time::Duration,
};

use awa::{Client, HttpWorkerConfig, HttpWorkerMode, InsertOpts, JobArgs, QueueConfig};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

const QUEUE: &str = "bench";
const BATCH: usize = 500;

/// About 300 bytes of args, the same as the other parties'.
#[derive(Debug, Serialize, Deserialize, JobArgs)]
struct BenchTask {
    account: u32,
    document: String,
    language: String,
    pages: u32,
    note: String,
}

impl BenchTask {
    fn new() -> Self {
        Self {
            account: 4711,
            document: "invoice-2026-11-000042".to_owned(),
            language: "en".to_owned(),
            pages: 3,
            note: "the quick brown fox jumps over the lazy dog ".repeat(5)[..200].to_owned(),
        }
    }
}

/// `bench-awa <database url> <endpoint url> default|tuned|async <jobs>`
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, endpoint, tuning, count] = arguments.as_slice() else {
        anyhow::bail!("bench-awa <database url> <endpoint url> default|tuned|async <jobs>");
    };
    let tuned = tuning == "tuned";
    let pool = PgPoolOptions::new().max_connections(if tuned { 20 } else { 10 }).connect(database).await?;
    awa::migrations::run(&pool).await?;
    // The first start of a fresh installation switches to Awa's current storage; jobs inserted before would keep the old.
    let callbacks = if tuning == "async" { Some(callback::serve(pool.clone()).await?) } else { None };
    let first = client(&pool, endpoint, tuned, callbacks.clone())?;
    first.start().await?;
    first.shutdown(Duration::from_secs(5)).await;
    let client = client(&pool, endpoint, tuned, callbacks)?;
    fill(&pool, count.parse()?).await?;
    let status: String =
        sqlx::query_scalar("select to_jsonb(s)::text from awa.storage_status() s").fetch_one(&pool).await?;
    say(&format!("storage {status}"))?;
    say("filled")?;
    tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await??;
    client.start().await?;
    tokio::task::spawn_blocking(|| std::io::stdin().lock().read_to_end(&mut Vec::new())).await??;
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn client(pool: &sqlx::PgPool, endpoint: &str, tuned: bool, callbacks: Option<String>) -> anyhow::Result<Client> {
    let mut queue = QueueConfig::default();
    if tuned {
        queue.max_workers = 1024;
        queue.deadline_duration = Duration::ZERO;
    }
    let worker = HttpWorkerConfig {
        url: endpoint.to_owned(),
        mode: match callbacks {
            Some(_) => HttpWorkerMode::Async,
            None => HttpWorkerMode::Sync { response_timeout: Duration::from_secs(30) },
        },
        callback_base_url: callbacks,
        ..HttpWorkerConfig::default()
    };
    Ok(Client::builder(pool.clone()).queue(QUEUE, queue).http_worker("bench_task", worker).build()?)
}

async fn fill(pool: &sqlx::PgPool, count: usize) -> anyhow::Result<()> {
    let mut left = count;
    while left > 0 {
        let size = left.min(BATCH);
        let options = || InsertOpts { queue: QUEUE.to_owned(), ..InsertOpts::default() };
        let jobs: Result<Vec<_>, _> =
            (0..size).map(|_| awa::model::insert::params_with(&BenchTask::new(), options())).collect();
        awa::insert_many_copy_from_pool(pool, &jobs?).await?;
        left -= size;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

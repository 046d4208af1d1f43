//! Producers: whoever enqueues through SQL, at a pace or as fast as it goes.

use std::{sync::Arc, time::Duration};

use clap::Subcommand;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{now_us, say, until_dismissed};
use crate::lab::{database::BATCH, job, stats};

/// What to produce. Every answer is in lines that begin with a word.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// One job at a time at this rate, open loop, on a few connections; then `id microseconds` of each commit
    Steady { url: String, kind: String, rate: u64, seconds: u64 },
    /// One job at a time with a random pause of 100 to 400 ms between; then `id microseconds` of each commit
    Idle { url: String, kind: String, count: u64 },
    /// Batches of 500 for so many seconds on so many connections
    Batches { url: String, kind: String, seconds: u64, connections: u64 },
    /// Single enqueues for so many seconds on one connection
    Singles { url: String, kind: String, seconds: u64 },
    /// The two bare rows of an enqueue, for so many seconds on one connection
    Bare { url: String, seconds: u64 },
}

/// Produces, tells, and waits to be looked at.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Steady { url, kind, rate, seconds } => steady(&url, &kind, rate, seconds).await?,
        Command::Idle { url, kind, count } => idle(&url, &kind, count).await?,
        Command::Batches { url, kind, seconds, connections } => batches(&url, &kind, seconds, connections).await?,
        Command::Singles { url, kind, seconds } => {
            let sql = format!("select posthaste.enqueue('{kind}', $1::text::json)");
            singles(&url, &sql, seconds).await?;
        }
        Command::Bare { url, seconds } => {
            // The rows of posthaste.enqueue in one statement and commit, without its rules.
            let sql = "with j as (insert into posthaste.job (job_id, lane_id, priority, max_attempts, args) \
                values (nextval('posthaste.seq'), 1, 2, 25, $1::text::json) returning job_id) \
                insert into posthaste.ready (seq, job_id, run_lease, lane_id, priority, failures, uncounted) \
                select job_id, job_id, 1, 1, 2, 0, 0 from j";
            singles(&url, sql, seconds).await?;
        }
    }
    until_dismissed().await;
    Ok(())
}

type Stamps = Arc<Mutex<Vec<(i64, i64)>>>;

async fn enqueue(connection: &mut PgConnection, kind: &str, args: &str) -> anyhow::Result<(i64, i64)> {
    let id = sqlx::query_scalar("select posthaste.enqueue($1, $2::text::json)")
        .bind(kind)
        .bind(args)
        .fetch_one(connection)
        .await?;
    Ok((id, now_us()))
}

/// Connections of the open loop: enough that a slow commit delays only itself.
const LANES: u64 = 16;

async fn steady(url: &str, kind: &str, rate: u64, seconds: u64) -> anyhow::Result<()> {
    let stamps = Stamps::default();
    let begin = Instant::now() + Duration::from_millis(200);
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let connection = PgConnection::connect(url).await?;
        lanes.push(tokio::spawn(lane_loop(
            connection,
            kind.to_owned(),
            Arc::clone(&stamps),
            begin,
            (lane, rate, seconds),
        )));
    }
    let mut late = Vec::new();
    for lane in lanes {
        late.extend(lane.await??);
    }
    // How late the enqueues were sent: a producer that cannot keep the pace must say so.
    say(&format!("late {}", stats::percentile(&mut late, 99.0)))?;
    tell(&stamps).await
}

/// One job in sixteen of the schedule; returns by how many milliseconds each was late.
async fn lane_loop(
    mut connection: PgConnection,
    kind: String,
    stamps: Stamps,
    begin: Instant,
    (lane, rate, seconds): (u64, u64, u64),
) -> anyhow::Result<Vec<f64>> {
    let (args, total) = (job::args(), rate * seconds);
    let mut own = Vec::new();
    let mut delays = Vec::new();
    for n in (lane..total).step_by(usize::try_from(LANES)?) {
        let due = begin + Duration::from_nanos(n * 1_000_000_000 / rate);
        sleep_until(due).await;
        delays.push(due.elapsed().as_secs_f64() * 1e3);
        own.push(enqueue(&mut connection, &kind, &args).await?);
    }
    stamps.lock().await.append(&mut own);
    Ok(delays)
}

async fn tell(stamps: &Stamps) -> anyhow::Result<()> {
    let stamps = stamps.lock().await;
    for (id, us) in stamps.iter() {
        say(&format!("{id} {us}"))?;
    }
    say("end")
}

async fn idle(url: &str, kind: &str, count: u64) -> anyhow::Result<()> {
    let (mut connection, args) = (PgConnection::connect(url).await?, job::args());
    let stamps = Stamps::default();
    for _ in 0..count {
        let pause = 100.0 + 300.0 * posthaste_service::entropy::jitter();
        tokio::time::sleep(Duration::from_secs_f64(pause / 1e3)).await;
        let stamp = enqueue(&mut connection, kind, &args).await?;
        stamps.lock().await.push(stamp);
    }
    tell(&stamps).await
}

async fn batches(url: &str, kind: &str, seconds: u64, connections: u64) -> anyhow::Result<()> {
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (mut connection, batch) = (PgConnection::connect(url).await?, job::batch(kind, BATCH));
        tasks.push(tokio::spawn(async move {
            let begin = Instant::now();
            let mut rows = 0;
            while begin.elapsed() < Duration::from_secs(seconds) {
                sqlx::query("select count(*) from posthaste.enqueue_many($1::text::jsonb)")
                    .bind(&batch)
                    .execute(&mut connection)
                    .await?;
                rows += BATCH;
            }
            anyhow::Ok(rate(rows, begin))
        }));
    }
    let mut total = 0.0;
    for task in tasks {
        total += task.await??;
    }
    say(&format!("rate {total}"))
}

async fn singles(url: &str, sql: &str, seconds: u64) -> anyhow::Result<()> {
    let (mut connection, args) = (PgConnection::connect(url).await?, job::args());
    let begin = Instant::now();
    let mut rows = 0;
    while begin.elapsed() < Duration::from_secs(seconds) {
        sqlx::query(AssertSqlSafe(sql)).bind(&args).execute(&mut connection).await?;
        rows += 1;
    }
    say(&format!("rate {}", rate(rows, begin)))
}

#[expect(clippy::cast_precision_loss, reason = "at most a few million rows")]
fn rate(rows: usize, begin: Instant) -> f64 {
    rows as f64 / begin.elapsed().as_secs_f64()
}

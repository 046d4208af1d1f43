//! T5 and T6: jobs enqueued one by one; how long from the commit to the POST, and to the outcome.

use std::{collections::HashMap, time::Instant};

use sqlx::Row as _;

use crate::lab::{cpu, database::Database, dispatcher::Dispatcher, http, party::Party, rig::Rig, stats::percentile};

/// Milliseconds, and what it cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    /// Commit to POST received: median and 99th percentile.
    pub pickup: [f64; 2],
    /// Commit to the outcome's row.
    pub end: [f64; 2],
    /// CPU of everything but the producer, microseconds per job.
    pub cpu_us: f64,
    /// How late the producer was, 99th percentile.
    pub late: f64,
    /// Share of the machine that strangers used, percent.
    pub strangers: f64,
}

/// T5: open loop at this rate.
pub async fn steady(rig: &mut Rig, rate: u64, seconds: u64) -> anyhow::Result<Latency> {
    let (rate, seconds) = (rate.to_string(), seconds.to_string());
    measure(rig, |url| Party::role(&["producer", "steady", url, "stamped", &rate, &seconds])).await
}

/// T6: one job at a time on an idle system.
pub async fn idle(rig: &mut Rig, count: u64) -> anyhow::Result<Latency> {
    let count = count.to_string();
    measure(rig, |url| Party::role(&["producer", "idle", url, "stamped", &count])).await
}

#[expect(clippy::cast_precision_loss, reason = "counts and microseconds")]
async fn measure(rig: &mut Rig, start: impl FnOnce(&str) -> anyhow::Result<Party>) -> anyhow::Result<Latency> {
    let mut database = rig.database().await?;
    // One job first: the lane is known and the connections are warm.
    database.fill("stamped", 1).await?;
    let dispatcher = Dispatcher::start(&database).await?;
    database.until_zero("select 1 - count(*) from posthaste.attempt").await?;
    http::get(rig.port, "/stamps").await?;
    let read = |rig: &Rig| rig.postgres_us() + rig.endpoint_us() + cpu::process_us(dispatcher.party.pid);
    let (before, machine, began) = (read(rig), cpu::machine_us(), Instant::now());
    let mut producer = start(&database.url)?;
    let (late, commits) = stamps_of(&mut producer).await?;
    let total = commits.len() as f64;
    database.until_zero(&format!("select {} - count(*) from posthaste.attempt", commits.len() + 1)).await?;
    let used = read(rig) - before;
    let busy = cpu::machine_us() - machine - used - cpu::process_us(producer.pid);
    let strangers = busy.max(0.0) / began.elapsed().as_secs_f64() / 2e6 * 100.0;
    producer.dismiss().await?;
    let posts = posts(rig).await?;
    let ends = ends(&mut database).await?;
    dispatcher.party.terminate().await?;
    rig.drop_database(database).await?;
    let mut latency = Latency { cpu_us: used / total, late, strangers, ..Latency::default() };
    latency.pickup = spread(&commits, &posts);
    latency.end = spread(&commits, &ends);
    Ok(latency)
}

/// What the producer says: how late it was, and when each job was committed.
async fn stamps_of(producer: &mut Party) -> anyhow::Result<(f64, HashMap<i64, i64>)> {
    let (mut late, mut commits) = (0.0, HashMap::new());
    loop {
        let line = producer.line().await?;
        match line.split_once(' ') {
            Some(("late", ms)) => late = ms.parse()?,
            Some((id, us)) => {
                commits.insert(id.parse()?, us.parse()?);
            }
            None => return Ok((late, commits)),
        }
    }
}

/// When the endpoint received each job.
async fn posts(rig: &Rig) -> anyhow::Result<HashMap<i64, i64>> {
    let (_, text) = http::get(rig.port, "/stamps").await?;
    let pair = |line: &str| {
        let (id, us) = line.split_once(' ')?;
        Some((id.parse().ok()?, us.parse().ok()?))
    };
    Ok(text.lines().filter_map(pair).collect())
}

/// When each job's outcome was written, by Postgres' clock, which is the machine's.
pub async fn ends(database: &mut Database) -> anyhow::Result<HashMap<i64, i64>> {
    let sql = "select job_id, (extract(epoch from finished_at) * 1000000)::bigint from posthaste.attempt";
    let rows = sqlx::query(sql).fetch_all(&mut database.connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Median and 99th percentile of the time between, milliseconds. A job that is missing counts as a minute.
#[expect(clippy::cast_precision_loss, reason = "microseconds")]
fn spread(from: &HashMap<i64, i64>, to: &HashMap<i64, i64>) -> [f64; 2] {
    let mut values: Vec<f64> =
        from.iter().map(|(id, at)| to.get(id).map_or(60_000.0, |end| (end - at) as f64 / 1e3)).collect();
    [percentile(&mut values, 50.0), percentile(&mut values, 99.0)]
}

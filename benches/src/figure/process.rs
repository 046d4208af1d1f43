//! T11–T13: memory, start, idleness of one dispatcher process.

use std::time::{Duration, Instant};

use crate::{
    lab::{cpu, database::Database, dispatcher::Dispatcher, http, rig::Rig},
    role::now_us,
};

/// T11: resident MiB with this many dispatches open.
pub async fn memory(rig: &mut Rig, in_flight: u32) -> anyhow::Result<f64> {
    let database = rig.database().await?;
    database.fill("slow", usize::try_from(in_flight)? * 3).await?;
    let dispatcher = Dispatcher::spawn_with(&database, in_flight)?;
    dispatcher.ready().await?;
    // The second wave: buffers and connections have been used.
    let seen = http::number(rig.port, "/count").await?;
    super::drain::until_seen(rig, seen.max(1) + u64::from(in_flight)).await?;
    let give_up = Instant::now() + Duration::from_secs(20);
    let mut most: f64 = 0.0;
    let mut full = false;
    while !(full && http::number(rig.port, "/open").await? == 0) {
        full |= http::number(rig.port, "/open").await? >= u64::from(in_flight);
        most = most.max(cpu::memory_mib(dispatcher.party.pid).0);
        if Instant::now() > give_up {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::ensure!(full, "never {in_flight} dispatches open at once");
    drop(dispatcher);
    rig.drop_database(database).await?;
    Ok(most)
}

/// T12: milliseconds from the start of the process to the first claim's lease, and to the first POST.
#[expect(clippy::cast_precision_loss, reason = "milliseconds")]
pub async fn start(rig: &mut Rig) -> anyhow::Result<[f64; 2]> {
    let mut database = rig.database().await?;
    database.fill("stamped", 10).await?;
    http::get(rig.port, "/stamps").await?;
    let began = now_us();
    let dispatcher = Dispatcher::spawn(&database)?;
    database.until_zero("select 10 - count(*) from posthaste.attempt").await?;
    let claimed =
        database.number("select extract(epoch from min(started_at)) * 1000000 from posthaste.attempt").await?;
    let (_, stamps) = http::get(rig.port, "/stamps").await?;
    let first = stamps.lines().filter_map(|line| line.split_once(' ')?.1.parse::<i64>().ok()).min().unwrap_or(0);
    dispatcher.party.terminate().await?;
    rig.drop_database(database).await?;
    Ok([(claimed - began as f64) / 1e3, (first - began) as f64 / 1e3])
}

/// What an idle dispatcher costs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet {
    /// Percent of one core, the dispatcher.
    pub core: f64,
    /// Percent of one core, Postgres.
    pub postgres: f64,
    /// Statements a second.
    pub statements: f64,
}

/// T13: a hundred empty queues.
pub async fn quiet(rig: &mut Rig, window: Duration) -> anyhow::Result<Quiet> {
    let mut database = rig.database().await?;
    queues(&mut database).await?;
    let dispatcher = Dispatcher::start(&database).await?;
    database.until_zero("select 100 - count(*) from posthaste.attempt").await?;
    // Until it has fallen asleep; the window begins afterwards.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let statements = http::metric(dispatcher.port, "posthaste_statements_total", "").await?;
    let (own, postgres) = (cpu::process_us(dispatcher.party.pid), rig.postgres_us());
    let began = Instant::now();
    tokio::time::sleep(window).await;
    let seconds = began.elapsed().as_secs_f64();
    let quiet = Quiet {
        core: (cpu::process_us(dispatcher.party.pid) - own) / seconds / 1e4,
        postgres: (rig.postgres_us() - postgres) / seconds / 1e4,
        statements: (http::metric(dispatcher.port, "posthaste_statements_total", "").await? - statements) / seconds,
    };
    dispatcher.party.terminate().await?;
    rig.drop_database(database).await?;
    Ok(quiet)
}

/// A hundred queues that have seen a job each.
async fn queues(database: &mut Database) -> anyhow::Result<()> {
    database.run("select posthaste.enqueue('bench', '{}', queue => 'queue-' || n) from generate_series(1, 100) n").await
}

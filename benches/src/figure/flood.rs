//! T11 and the flood: forged tokens at full speed while functions call back; what the gateway makes of it.

use std::time::{Duration, Instant};

use crate::lab::{
    cpu, database::Database, dispatcher::Dispatcher, gateway::Gateway, http, party::Party, rig::Rig, stats::percentile,
};

/// Jobs enqueued a second while the flood comes in, each answered 202 and called back at once.
const VALID_RATE: &str = "100";
/// Connections that forge.
const FORGERS: &str = "8";
/// Forged requests a second while functions call back: a quarter above what must be withstood.
const FORGED_RATE: u64 = 25_000;

/// What a flood did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flooded {
    /// Forged requests refused a second.
    pub refused: f64,
    /// CPU of the gateway per refused request while nothing else came, microseconds.
    pub cpu_us: f64,
    /// Transactions in the database while only forged tokens came, above those of as long a silence.
    pub transactions: f64,
    /// From `pg_stat_statements`, where Postgres has it: statements that only the flood, and not as long a silence, brought,
    /// and the calls of all statements above those of the silence.
    pub statements: Option<[f64; 2]>,
    /// Forged requests refused a second while functions called back.
    pub refused_beside: f64,
    /// Valid callbacks meanwhile, sent to answered: median and 99th percentile, milliseconds.
    pub valid: [f64; 2],
    /// Resident memory before, MiB.
    pub idle_mib: f64,
    /// Resident memory at most, MiB.
    pub most_mib: f64,
}

/// Floods a rig of its own that counts statements, or this one where Postgres cannot.
pub async fn flood(rig: &mut Rig) -> anyhow::Result<Flooded> {
    match rig.start_counting().await? {
        Some(mut counting) => Box::pin(flood_of(&mut counting)).await,
        None => Box::pin(flood_of(rig)).await,
    }
}

/// Floods first alone, then while valid callbacks flow.
async fn flood_of(rig: &mut Rig) -> anyhow::Result<Flooded> {
    let seconds = if rig.quick { 5 } else { 10 };
    let mut database = rig.database().await?;
    if rig.counts_statements {
        database.run("create extension pg_stat_statements").await?;
    }
    database.fill("accept", 100).await?;
    let gateway = Gateway::start(&database).await?;
    let dispatcher = Dispatcher::start_for(&database, &gateway).await?;
    database.until_zero("select 100 - count(*) from posthaste.attempt").await?;
    dispatcher.party.terminate().await?;
    let mut flooded = Flooded { idle_mib: cpu::memory_mib(gateway.party.pid).0, ..Flooded::default() };
    alone(rig, &mut database, &gateway, seconds, &mut flooded).await?;
    beside(rig, &mut database, &gateway, seconds, &mut flooded).await?;
    flooded.most_mib = cpu::memory_mib(gateway.party.pid).1;
    gateway.party.terminate().await?;
    rig.drop_database(database).await?;
    Ok(flooded)
}

/// Forged tokens and nothing else.
#[expect(clippy::cast_precision_loss, reason = "counts")]
async fn alone(
    rig: &Rig,
    database: &mut Database,
    gateway: &Gateway,
    seconds: u64,
    flooded: &mut Flooded,
) -> anyhow::Result<()> {
    let silent = transactions(database).await?;
    let _before = statements(rig, database).await?;
    // What the gateway asks by itself in the same time.
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let of_silence = statements(rig, database).await?;
    let (before, used, began) = (transactions(database).await?, cpu::process_us(gateway.party.pid), Instant::now());
    let (refused, party) = forge(gateway.port, seconds, 0).await?;
    let elapsed = began.elapsed().as_secs_f64();
    let of_flood = statements(rig, database).await?;
    party.dismiss().await?;
    flooded.refused = refused as f64 / elapsed;
    flooded.statements = of_silence.zip(of_flood).map(|((calls, kinds), (calls_of_flood, kinds_of_flood))| {
        let brought = kinds_of_flood.iter().filter(|kind| !kinds.contains(kind)).count();
        [brought as f64, calls_of_flood - calls]
    });
    flooded.cpu_us = (cpu::process_us(gateway.party.pid) - used) / refused as f64;
    flooded.transactions = (transactions(database).await? - before) - (before - silent);
    Ok(())
}

/// Forged tokens while functions call back.
#[expect(clippy::cast_precision_loss, reason = "counts")]
async fn beside(
    rig: &Rig,
    database: &mut Database,
    gateway: &Gateway,
    seconds: u64,
    flooded: &mut Flooded,
) -> anyhow::Result<()> {
    let dispatcher = Dispatcher::start_for(database, gateway).await?;
    http::get(rig.port, "/callback-times").await?;
    let for_seconds = seconds.to_string();
    let mut producer = Party::role(&["producer", "steady", &database.url, "accept", VALID_RATE, &for_seconds])?;
    let (refused, party) = forge(gateway.port, seconds, FORGED_RATE).await?;
    flooded.refused_beside = refused as f64 / seconds as f64;
    producer.word("end").await?;
    producer.dismiss().await?;
    party.dismiss().await?;
    let open = "select count(*) from posthaste.job j where not exists \
        (select from posthaste.attempt a where a.job_id = j.job_id)";
    database.until_zero(open).await?;
    let (_, times) = http::get(rig.port, "/callback-times").await?;
    let mut times: Vec<f64> = times.lines().filter_map(|us| us.parse().ok()).map(|us: f64| us / 1e3).collect();
    anyhow::ensure!(times.len() > 100, "only {} valid callbacks were answered", times.len());
    flooded.valid = [percentile(&mut times, 50.0), percentile(&mut times, 99.0)];
    dispatcher.party.terminate().await
}

/// Floods at this rate, or as fast as it goes; how many were refused. Anything but a refusal is a failure of the figure.
async fn forge(port: u16, seconds: u64, rate: u64) -> anyhow::Result<(u64, Party)> {
    let mut party = Party::role(&["flood", &port.to_string(), &seconds.to_string(), FORGERS, &rate.to_string()])?;
    let told = party.word("refused").await?;
    let counts: Vec<u64> = told.split(' ').filter_map(|count| count.parse().ok()).collect();
    let [bad, limited, other] = counts[..] else { anyhow::bail!("the flood said {told}") };
    anyhow::ensure!(other == 0, "{other} forged requests were answered neither 401 nor 429");
    Ok((bad + limited, party))
}

/// Transactions of this database so far, committed or not.
async fn transactions(database: &mut Database) -> anyhow::Result<f64> {
    // Backends report their counts once a second at most.
    tokio::time::sleep(Duration::from_secs(2)).await;
    database.number("select xact_commit + xact_rollback from pg_stat_database where datname = current_database()").await
}

/// Calls of statements in this database since the last look, ours left out, and which statements they were.
async fn statements(rig: &Rig, database: &mut Database) -> anyhow::Result<Option<(f64, Vec<i64>)>> {
    if !rig.counts_statements {
        return Ok(None);
    }
    let read = "select coalesce(sum(calls), 0)::float8, coalesce(array_agg(queryid), '{}') from pg_stat_statements \
        where dbid = (select oid from pg_database where datname = current_database()) and query not like '%pg_stat_%'";
    let seen = sqlx::query_as(read).fetch_one(&mut database.connection).await?;
    database.run("select pg_stat_statements_reset()").await?;
    Ok(Some(seen))
}

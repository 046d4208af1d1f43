//! T1–T3: a queue of jobs that were enqueued before is drained; rate, CPU, WAL, commits, dead rows.

use std::time::{Duration, Instant};

use posthaste_engine::endpoint;

use crate::lab::{
    cpu,
    database::{Counters, Database},
    dispatcher::Dispatcher,
    http,
    party::Party,
    rig::Rig,
};

/// How often the endpoint is asked how many it has seen: each time costs what is measured some CPU.
const LOOK: Duration = Duration::from_millis(25);

/// How many of the newest jobs have no outcome yet: asked every few milliseconds when all have been POSTed. Counting all
/// outcomes that often would be a part of what is measured; [`verify`] counts them afterwards.
const NEWEST_OPEN: &str = "select count(*) from posthaste.job j \
    where j.job_id > (select last_value - 5000 from posthaste.seq) \
      and not exists (select from posthaste.attempt a where a.job_id = j.job_id)";

/// What one drain came to, everything per job.
#[derive(Debug, Clone, Copy, Default)]
pub struct Drained {
    /// Jobs a second, from the word "go" to the last durable outcome.
    pub rate: f64,
    /// CPU of Postgres, microseconds.
    pub postgres_us: f64,
    /// CPU of the dispatchers (or the bare loop, or the peer), microseconds.
    pub dispatcher_us: f64,
    /// CPU of the endpoint, microseconds.
    pub endpoint_us: f64,
    /// Share of the machine that strangers used meanwhile, percent.
    pub strangers: f64,
    /// WAL bytes of the enqueue.
    pub wal_enqueue: f64,
    /// WAL bytes of claim and outcome.
    pub wal_drain: f64,
    /// Commits of the drain.
    pub commits: f64,
    /// Rows updated or deleted.
    pub dead: f64,
}

impl Drained {
    /// With what the server counted: before the enqueue, between it and the drain, and after that.
    pub fn counting(self, [empty, full, done]: [Counters; 3], jobs: f64) -> Self {
        Self {
            wal_enqueue: (full.wal - empty.wal) / jobs,
            wal_drain: (done.wal - full.wal) / jobs,
            commits: (done.commits - full.commits) / jobs,
            dead: (done.dead - full.dead) / jobs,
            ..self
        }
    }
}

/// CPU clocks at one moment.
pub struct Clocks {
    at: Instant,
    postgres: f64,
    endpoint: f64,
    dispatchers: f64,
    machine: f64,
}

impl Clocks {
    /// Reads them; `pids` are the dispatchers.
    pub fn read(rig: &Rig, pids: &[u32]) -> Self {
        Self {
            at: Instant::now(),
            postgres: rig.postgres_us(),
            endpoint: rig.endpoint_us(),
            dispatchers: pids.iter().copied().map(cpu::process_us).sum(),
            machine: cpu::machine_us(),
        }
    }

    /// What was used since `before`, per job.
    pub fn since(&self, before: &Self, jobs: f64) -> Drained {
        let seconds = (self.at - before.at).as_secs_f64();
        let [postgres, endpoint, dispatchers] =
            [self.postgres - before.postgres, self.endpoint - before.endpoint, self.dispatchers - before.dispatchers];
        let strangers = (self.machine - before.machine - postgres - endpoint - dispatchers).max(0.0);
        Drained {
            rate: jobs / seconds,
            postgres_us: postgres / jobs,
            dispatcher_us: dispatchers / jobs,
            endpoint_us: endpoint / jobs,
            strangers: strangers / seconds / 1e6 / cores() * 100.0,
            ..Drained::default()
        }
    }
}

fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |n| f64::from(u32::try_from(n.get()).unwrap_or(1)))
}

/// Waits until the endpoint has seen `count` POSTs in all.
pub async fn until_seen(rig: &Rig, count: u64) -> anyhow::Result<()> {
    let give_up = Instant::now() + Duration::from_mins(5);
    while http::number(rig.port, "/count").await? < count {
        anyhow::ensure!(Instant::now() < give_up, "five minutes, and the endpoint has not seen {count} POSTs");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The bare loop, for the same minutes.
#[expect(clippy::cast_precision_loss, reason = "at most a few million jobs")]
pub async fn bare(rig: &Rig, count: usize) -> anyhow::Result<Drained> {
    let (endpoint, machine) = (rig.endpoint_us(), cpu::machine_us());
    let mut party = Party::role(&["bare", &rig.url("/job"), &count.to_string()])?;
    let seconds: f64 = party.word("done").await?.parse()?;
    let (own, served) = (cpu::process_us(party.pid), rig.endpoint_us() - endpoint);
    let strangers = (cpu::machine_us() - machine - own - served).max(0.0);
    party.dismiss().await?;
    let jobs = count as f64;
    Ok(Drained {
        rate: jobs / seconds,
        dispatcher_us: own / jobs,
        endpoint_us: served / jobs,
        strangers: strangers / seconds / 1e6 / cores() * 100.0,
        ..Drained::default()
    })
}

/// Enqueues `count` jobs of `kind`, then drains them with so many dispatchers.
#[expect(clippy::cast_precision_loss, reason = "at most a few million jobs")]
pub async fn ours(rig: &mut Rig, kind: &str, count: usize, dispatchers: usize) -> anyhow::Result<Drained> {
    let mut database = rig.database().await?;
    let jobs = count as f64;
    database.pause(kind, true).await?;
    database.run("checkpoint").await?;
    let empty = database.counters().await?;
    database.fill(kind, count).await?;
    database.until_alone().await?;
    let full = database.counters().await?;
    let mut fleet = Vec::new();
    for _ in 0..dispatchers {
        fleet.push(Dispatcher::start(&database).await?);
    }
    let drained = go(rig, &mut database, kind, count, &fleet).await?;
    for one in fleet {
        one.party.terminate().await?;
    }
    database.until_alone().await?;
    let done = database.counters().await?;
    verify(&mut database, count).await?;
    rig.drop_database(database).await?;
    Ok(drained.counting([empty, full, done], jobs))
}

/// From the word "go" until every outcome is durable.
#[expect(clippy::cast_precision_loss, reason = "at most a few million jobs")]
pub async fn go(
    rig: &Rig,
    database: &mut Database,
    kind: &str,
    count: usize,
    fleet: &[Dispatcher],
) -> anyhow::Result<Drained> {
    let pids: Vec<u32> = fleet.iter().map(|one| one.party.pid).collect();
    let seen = http::number(rig.port, "/count").await?;
    let before = Clocks::read(rig, &pids);
    endpoint::resume(&mut database.connection, kind).await?;
    until_seen(rig, seen + count as u64).await?;
    database.until_zero(NEWEST_OPEN).await?;
    Ok(Clocks::read(rig, &pids).since(&before, count as f64))
}

/// How many of `count` jobs have no outcome yet. (Leases may outlive the outcomes of their runs for a while.)
pub fn ended(count: usize) -> String {
    format!("select {count} - count(*) from posthaste.attempt")
}

/// Every job has ended well, once.
#[expect(clippy::cast_precision_loss, reason = "at most a few million jobs")]
pub async fn verify(database: &mut Database, count: usize) -> anyhow::Result<()> {
    let completed = database.number("select count(*) from posthaste.attempt where outcome = 'completed'").await?;
    let attempts = database.number("select count(*) from posthaste.attempt").await?;
    anyhow::ensure!(
        (completed - count as f64).abs() < 0.5 && (attempts - completed).abs() < 0.5,
        "of {count} jobs {completed} completed, in {attempts} attempts"
    );
    Ok(())
}

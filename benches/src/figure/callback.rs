//! T3 and T4 with callbacks: every job is accepted with 202 and completed at once by a callback through the gateway.

use std::time::{Duration, Instant};

use posthaste_engine::endpoint;

use super::drain::{Clocks, Drained, verify};
use crate::lab::{database::Database, dispatcher::Dispatcher, gateway::Gateway, http, party::Party, rig::Rig};

/// How often the endpoint is asked how many of its callbacks were answered: each time costs what is measured some CPU.
const LOOK: Duration = Duration::from_millis(25);

/// Enqueues `count` jobs, then drains them with one dispatcher and one gateway; the gateway's CPU is in `dispatcher_us`.
#[expect(clippy::cast_precision_loss, reason = "thousands of jobs")]
pub async fn ours(rig: &mut Rig, count: usize) -> anyhow::Result<Drained> {
    let mut database = rig.database().await?;
    let jobs = count as f64;
    database.pause("accept", true).await?;
    database.run("checkpoint").await?;
    let empty = database.counters().await?;
    database.fill("accept", count).await?;
    database.until_alone().await?;
    let full = database.counters().await?;
    let gateway = Gateway::start(&database).await?;
    let dispatcher = Dispatcher::start_for(&database, &gateway).await?;
    let drained = go(rig, &mut database, count, &[dispatcher.party.pid, gateway.party.pid]).await?;
    dispatcher.party.terminate().await?;
    gateway.party.terminate().await?;
    database.until_alone().await?;
    let done = database.counters().await?;
    verify(&mut database, count).await?;
    rig.drop_database(database).await?;
    Ok(drained.counting([empty, full, done], jobs))
}

/// From the word "go" until every callback is answered, which its end's commit precedes.
#[expect(clippy::cast_precision_loss, reason = "thousands of jobs")]
async fn go(rig: &Rig, database: &mut Database, count: usize, pids: &[u32]) -> anyhow::Result<Drained> {
    let answered = http::number(rig.port, "/answered").await?;
    let before = Clocks::read(rig, pids);
    endpoint::resume(&mut database.connection, "accept").await?;
    let refused = http::number(rig.port, "/refused").await?;
    until_answered(rig, answered + count as u64).await?;
    let drained = Clocks::read(rig, pids).since(&before, count as f64);
    let now = http::number(rig.port, "/refused").await?;
    anyhow::ensure!(now == refused, "{} callbacks were refused", now - refused);
    Ok(drained)
}

/// Waits until so many callbacks were answered with 200 in all.
async fn until_answered(rig: &Rig, count: u64) -> anyhow::Result<()> {
    let give_up = Instant::now() + Duration::from_mins(5);
    while http::number(rig.port, "/answered").await? < count {
        anyhow::ensure!(Instant::now() < give_up, "five minutes, and not {count} callbacks were answered");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Awa in async mode with its callback receiver in the worker's process; its clock runs from the word "go". It refuses the
/// callback of a POST that it gave up and sent again: the second one's counts.
#[expect(clippy::cast_precision_loss, reason = "thousands of jobs")]
pub async fn awa(rig: &mut Rig, count: usize) -> anyhow::Result<Drained> {
    let Some(program) = super::peer::program() else { anyhow::bail!("bench-awa is not built") };
    let database = rig.empty_database().await?;
    let (url, jobs) = (rig.url("/accept-awa"), count.to_string());
    let mut party = Party::program(&program.to_string_lossy(), &[&database.url, &url, "async", &jobs], &[])?;
    party.word("filled").await?;
    let answered = http::number(rig.port, "/answered").await?;
    let pids = [party.pid];
    let before = Clocks::read(rig, &pids);
    party.tell("go").await?;
    until_answered(rig, answered + count as u64).await?;
    let drained = Clocks::read(rig, &pids).since(&before, count as f64);
    party.dismiss().await?;
    rig.drop_database(database).await?;
    Ok(drained)
}

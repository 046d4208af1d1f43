//! Awa, the peer: the same drain with its HTTP worker in sync mode.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::drain::{self, Clocks, Drained};
use crate::lab::{http, party::Party, rig::Rig};

/// Awa's driver, if `make bench` could build it.
pub fn program() -> Option<PathBuf> {
    let release = std::env::current_exe().ok()?;
    let path = release.parent()?.parent()?.join("peers/release/bench-awa");
    path.is_file().then_some(path)
}

/// Drains `count` jobs. The clock runs from its first POST to its last: neither its start nor its last batch is counted.
#[expect(clippy::cast_precision_loss, reason = "thousands of jobs")]
pub async fn awa(rig: &mut Rig, tuning: &str, count: usize) -> anyhow::Result<Drained> {
    let Some(program) = program() else { anyhow::bail!("bench-awa is not built") };
    let mut database = rig.empty_database().await?;
    let (url, jobs) = (rig.url("/job"), count.to_string());
    database.run("checkpoint").await?;
    let empty = database.counters().await?;
    let mut party = Party::program(&program.to_string_lossy(), &[&database.url, &url, tuning, &jobs], &[])?;
    let storage = party.word("storage").await?;
    anyhow::ensure!(
        storage.contains("\"current_engine\": \"queue_storage\""),
        "Awa is not on its queue storage: {storage}"
    );
    party.word("filled").await?;
    let full = database.counters().await?;
    let seen = http::number(rig.port, "/count").await?;
    let pids = [party.pid];
    party.tell("go").await?;
    let patience = Instant::now() + Duration::from_secs(30);
    while http::number(rig.port, "/count").await? == seen {
        anyhow::ensure!(Instant::now() < patience, "Awa has not POSTed anything in 30 s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let before = Clocks::read(rig, &pids);
    drain::until_seen(rig, seen + count as u64).await?;
    let drained = Clocks::read(rig, &pids).since(&before, count as f64);
    // Its graceful end writes what is left. (Asking `awa.jobs` how many have completed takes minutes.)
    party.dismiss().await?;
    database.until_alone().await?;
    let done = database.counters().await?;
    rig.drop_database(database).await?;
    Ok(drained.counting([empty, full, done], count as f64))
}

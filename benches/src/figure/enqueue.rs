//! T7: how fast producers can enqueue, with no dispatcher.

use crate::lab::{database::Database, party::Party, rig::Rig};

/// Rows a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Enqueued {
    /// Batches of 500, one connection.
    pub batches: f64,
    /// Batches of 500, two connections.
    pub batches_of_two: f64,
    /// One by one, one connection.
    pub singles: f64,
    /// The same two rows without the function, in the same minute.
    pub bare: f64,
}

/// Measures all of them, each on the same fresh database.
pub async fn through_sql(rig: &mut Rig) -> anyhow::Result<Enqueued> {
    let seconds = if rig.quick { "3" } else { "5" };
    let mut database = rig.database().await?;
    // The lane that the bare rows name.
    database.fill("bench", 1).await?;
    database.run("checkpoint").await?;
    let url = database.url.clone();
    let enqueued = Enqueued {
        batches: rate(&["batches", &url, "bench", seconds, "1"]).await?,
        batches_of_two: rate(&["batches", &url, "bench", seconds, "2"]).await?,
        singles: rate(&["singles", &url, "bench", seconds]).await?,
        bare: rate(&["bare", &url, seconds]).await?,
    };
    check(&mut database).await?;
    rig.drop_database(database).await?;
    Ok(enqueued)
}

async fn rate(arguments: &[&str]) -> anyhow::Result<f64> {
    let mut all = vec!["producer"];
    all.extend(arguments);
    let mut party = Party::role(&all)?;
    let rate = party.word("rate").await?.parse()?;
    party.dismiss().await?;
    Ok(rate)
}

/// Every job has its ready row.
async fn check(database: &mut Database) -> anyhow::Result<()> {
    let lost =
        database.number("select (select count(*) from posthaste.job) - (select count(*) from posthaste.ready)").await?;
    anyhow::ensure!(lost.abs() < 0.5, "{lost} jobs have no ready row");
    Ok(())
}

//! T6 and T7 through REST: `posthaste serve`, its dispatcher idle or hardly busy.

use std::collections::HashMap;

use crate::lab::{dispatcher::Dispatcher, party::Party, rig::Rig, stats::percentile};

/// Jobs a second through REST.
#[derive(Debug, Clone, Copy, Default)]
pub struct Posted {
    /// Batches of 500 on two connections.
    pub batches: f64,
    /// Single jobs, 64 clients.
    pub singles: f64,
}

/// T7: enqueues only, the endpoint is paused.
pub async fn enqueue(rig: &mut Rig) -> anyhow::Result<Posted> {
    let database = rig.database().await?;
    database.pause("bench", true).await?;
    let seconds = if rig.quick { "3" } else { "5" };
    let server = Dispatcher::serve(&database)?;
    server.ready().await?;
    let port = server.port.to_string();
    let posted = Posted {
        batches: rate(&["rest", "batches", &port, seconds, "2"]).await?,
        singles: rate(&["rest", "singles", &port, seconds, "64"]).await?,
    };
    server.party.terminate().await?;
    rig.drop_database(database).await?;
    Ok(posted)
}

async fn rate(arguments: &[&str]) -> anyhow::Result<f64> {
    let mut party = Party::role(arguments)?;
    let rate = party.word("rate").await?.parse()?;
    party.dismiss().await?;
    Ok(rate)
}

/// Milliseconds that a `wait_ms` answer came late: median and 99th percentile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waited {
    /// After the notification of the outcome's commit reached another listener; never below 0.
    pub after_notice: [f64; 2],
    /// After the outcome's transaction began: includes writing and committing it.
    pub after_begin: [f64; 2],
}

/// T6: one job at a time, each takes 50 ms and is waited for.
#[expect(clippy::cast_precision_loss, reason = "microseconds")]
pub async fn waits(rig: &mut Rig, count: u64) -> anyhow::Result<Waited> {
    let mut database = rig.database().await?;
    let server = Dispatcher::serve(&database)?;
    server.ready().await?;
    let (port, url, count) = (server.port.to_string(), database.url.clone(), count.to_string());
    let mut party = Party::role(&["rest", "waits", &port, &url, &count])?;
    let mut answers: HashMap<i64, [i64; 2]> = HashMap::new();
    loop {
        let line = party.line().await?;
        let mut fields = line.split(' ').filter_map(|field| field.parse::<i64>().ok());
        let (Some(id), Some(answered), Some(notified)) = (fields.next(), fields.next(), fields.next()) else { break };
        answers.insert(id, [answered, notified]);
    }
    party.dismiss().await?;
    let ends = super::latency::ends(&mut database).await?;
    server.party.terminate().await?;
    rig.drop_database(database).await?;
    let ms = |us: i64| us as f64 / 1e3;
    let mut notice: Vec<f64> = answers.values().map(|[answered, notified]| ms((answered - notified).max(0))).collect();
    let mut begin: Vec<f64> =
        answers.iter().filter_map(|(id, [answered, _])| Some(ms(answered - ends.get(id)?))).collect();
    let spread = |values: &mut Vec<f64>| [percentile(values, 50.0), percentile(values, 99.0)];
    Ok(Waited { after_notice: spread(&mut notice), after_begin: spread(&mut begin) })
}

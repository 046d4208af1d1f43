//! T8, small: a drain while an old reader holds the vacuum horizon, against one without.

use posthaste_engine::endpoint;
use sqlx::{Connection as _, PgConnection};

use super::drain::{self, Drained};
use crate::lab::{dispatcher::Dispatcher, http, rig::Rig};

/// Parts of the drain whose claims are compared.
const PARTS: usize = 10;

/// A drain, and its claims in the first and the last tenth.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pinned {
    /// The drain.
    pub drained: Drained,
    /// Mean milliseconds of a claim, first and last tenth.
    pub claim_ms: [f64; 2],
    /// Upper bound of the 99th percentile of a claim over the whole drain, milliseconds.
    pub claim_p99_ms: f64,
}

/// Drains `count` jobs, with or without a transaction that has been open since before they were enqueued.
pub async fn drain(rig: &mut Rig, count: usize, pinned: bool) -> anyhow::Result<Pinned> {
    let mut database = rig.database().await?;
    database.pause("wide", true).await?;
    let mut reader = PgConnection::connect(&database.url).await?;
    if pinned {
        sqlx::raw_sql("begin isolation level repeatable read; select count(*) from posthaste.job")
            .execute(&mut reader)
            .await?;
    }
    database.fill("wide", count).await?;
    let dispatcher = Dispatcher::start(&database).await?;
    let seen = http::number(rig.port, "/count").await?;
    let began = std::time::Instant::now();
    endpoint::resume(&mut database.connection, "wide").await?;
    let mut marks = vec![claims(dispatcher.port).await?];
    for part in 1..=PARTS {
        drain::until_seen(rig, seen + (count * part / PARTS) as u64).await?;
        marks.push(claims(dispatcher.port).await?);
    }
    database.until_zero(&drain::ended(count)).await?;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand jobs")]
    let rate = count as f64 / began.elapsed().as_secs_f64();
    let claim_p99_ms = p99(dispatcher.port).await?;
    drop(reader);
    drain::verify(&mut database, count).await?;
    dispatcher.party.terminate().await?;
    rig.drop_database(database).await?;
    let mean = |from: (f64, f64), to: (f64, f64)| (to.0 - from.0) / (to.1 - from.1).max(1.0) * 1e3;
    let claim_ms = [mean(marks[0], marks[1]), mean(marks[PARTS - 1], marks[PARTS])];
    Ok(Pinned { drained: Drained { rate, ..Drained::default() }, claim_ms, claim_p99_ms })
}

/// Seconds and number of the claims so far.
async fn claims(port: u16) -> anyhow::Result<(f64, f64)> {
    let read = async |suffix: &str| {
        http::metric(port, &format!("posthaste_statement_seconds_{suffix}"), "statement=\"claim\"").await
    };
    Ok((read("sum").await?, read("count").await?))
}

/// The boundary of the histogram below which 99 % of the claims are.
async fn p99(port: u16) -> anyhow::Result<f64> {
    let (_, total) = claims(port).await?;
    for bound in posthaste_service::telemetry::metrics::LATENCY_SECONDS {
        let label = format!("statement=\"claim\",le=\"{bound}\"");
        if http::metric(port, "posthaste_statement_seconds_bucket", &label).await? >= total * 0.99 {
            return Ok(bound * 1e3);
        }
    }
    Ok(f64::INFINITY)
}

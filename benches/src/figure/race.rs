//! The race: 64 callers complete, fail and resume one suspended run while its time-out comes, wait after wait.

use std::time::Duration;

use crate::lab::{party::Party, rig::Rig};

/// How long 20,000 races may take.
const PATIENCE: Duration = Duration::from_hours(1);

/// What a race came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raced {
    /// Waits that were raced for.
    pub waits: f64,
    /// Those that not exactly one caller, or the time-out, was told to have ended.
    pub not_once: f64,
    /// Answers that the ledger contradicted.
    pub contradicted: f64,
    /// Answers a second, all callers.
    pub rate: f64,
    /// Waits won by `complete`, `fail`, `resume` and the time-out.
    pub won: [f64; 4],
}

/// Races in a process of its own, which calls the engine as the gateway does after its token and its body were checked.
#[expect(clippy::cast_precision_loss, reason = "millions of answers")]
pub async fn race(rig: &mut Rig) -> anyhow::Result<Raced> {
    let waits: u64 = if rig.quick { 2_000 } else { 20_000 };
    let database = rig.database().await?;
    let mut party = Party::role(&["race", &database.url, &waits.to_string()])?;
    let told = party.line_within(PATIENCE).await?;
    party.dismiss().await?;
    rig.drop_database(database).await?;
    let counts: Vec<u64> = told.split(' ').skip(1).filter_map(|count| count.parse().ok()).collect();
    let [once, answers, contradicted, micros, complete, fail, resume, timed_out] = counts[..] else {
        anyhow::bail!("the race said {told}")
    };
    Ok(Raced {
        waits: waits as f64,
        not_once: waits.abs_diff(once) as f64,
        contradicted: contradicted as f64,
        rate: answers as f64 / micros as f64 * 1e6,
        won: [complete, fail, resume, timed_out].map(|won| won as f64),
    })
}

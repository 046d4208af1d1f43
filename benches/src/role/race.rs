//! Race: the storm of the tests, for as many waits as the figure wants.

use posthaste_tests::storm::storm;

use super::{say, until_dismissed};

/// Races, says `raced <ended once> <answers> <contradicted> <microseconds> <complete> <fail> <resume> <time-out>`, and waits to be
/// looked at.
pub async fn run(url: &str, waits: usize) -> anyhow::Result<()> {
    let tally = storm(url, waits).await;
    let won = |action: &str| tally.won.get(action).copied().unwrap_or_default();
    say(&format!(
        "raced {} {} {} {} {} {} {} {}",
        tally.once,
        tally.answers,
        tally.contradicted,
        tally.elapsed.as_micros(),
        won("complete"),
        won("fail"),
        won("resume"),
        won("none"),
    ))?;
    until_dismissed().await;
    Ok(())
}

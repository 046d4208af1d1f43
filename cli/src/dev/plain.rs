//! Without a terminal: a line for each run that ends, and now and then a summary.

use std::time::{Duration, Instant};

use posthaste_service::shutdown::Shutdown;

use super::{
    hints::Hints,
    meter::{Meter, Snapshot},
};
use crate::{job::Seen, job::ended_line, output};

const LOOK: Duration = Duration::from_millis(250);
const SUMMARY: Duration = Duration::from_secs(10);

/// Prints until the shutdown.
pub async fn run(mut meter: Meter, hints: Hints, shutdown: Shutdown) -> anyhow::Result<()> {
    let Hints { database, api_url, gateway_url, data, .. } = &hints;
    output::note(format_args!("{database}, API at {api_url}, callbacks at {gateway_url}, data in {data}"));
    if let Some(samples) = hints.samples {
        output::note(samples);
    }
    output::note("enqueue a job of your own by one of these:");
    for line in hints.lines() {
        output::note(format_args!("  {line}"));
    }
    let mut seen = Seen::default();
    let mut earlier = true;
    let mut summed = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.soft().cancelled() => return Ok(()),
        }
        let snapshot = match meter.look().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::warn!(%error, "nothing to show");
                continue;
            }
        };
        let runs = seen.sift(snapshot.ended.clone());
        // What ended in earlier runs of this command is no news.
        if !std::mem::take(&mut earlier) {
            for run in &runs {
                output::data(ended_line(run));
            }
        }
        if summed.elapsed() > SUMMARY {
            output::data(summary(&snapshot));
            summed = Instant::now();
        }
    }
}

fn summary(snapshot: &Snapshot) -> String {
    let sum =
        |count: fn(&posthaste_engine::overview::QueueDepth) -> i64| -> i64 { snapshot.queues.iter().map(count).sum() };
    format!(
        "-- available {}, scheduled {}, running {}, waiting {}; {:.1} ends/s; {}",
        sum(|queue| queue.available),
        sum(|queue| queue.scheduled),
        sum(|queue| queue.running),
        sum(|queue| queue.waiting),
        snapshot.ends_per_s,
        counts(&snapshot.counted.outcomes),
    )
}

/// `completed 3, dead 1`.
pub fn counts(by: &std::collections::BTreeMap<String, f64>) -> String {
    let words: Vec<String> = by.iter().map(|(word, count)| format!("{word} {count}")).collect();
    words.join(", ")
}

//! The run: what is measured, in which order; A B A B, so that all parties see the same minutes.

use std::{future::Future, path::PathBuf, time::Duration};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    figure::{callback, drain, enqueue, flood, horizon, latency, peer, process, race, rest},
    lab::{machine, rig::Rig},
    output,
    report::{self, Findings},
};

/// How to run.
#[derive(Debug, Args)]
pub struct Options {
    /// One repetition of each figure, and smaller
    #[arg(long)]
    quick: bool,
    /// Repetitions (3, or 1 with --quick)
    #[arg(long)]
    repetitions: Option<usize>,
    /// Only these figures, such as T1,T5
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the report goes
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Options {
    fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.eq_ignore_ascii_case(id))
    }
}

/// Measures until done or SIGTERM; either way Postgres and all parties are gone afterwards.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        result = measure(options) => result,
        _ = terminate.recv() => anyhow::bail!("terminated"),
        _ = interrupt.recv() => anyhow::bail!("interrupted"),
    }
}

async fn measure(options: Options) -> anyhow::Result<()> {
    let began = std::time::Instant::now();
    let mut rig = Rig::start(options.quick).await?;
    let mut settings = machine::describe();
    settings.extend(rig.settings().await?);
    let mut findings = Findings { settings, quick: options.quick, ..Findings::default() };
    let repetitions = options.repetitions.unwrap_or(if options.quick { 1 } else { 3 });
    for repetition in 1..=repetitions {
        output::progress(&format!("repetition {repetition} of {repetitions}, {} s", began.elapsed().as_secs()));
        drains(&options, &mut rig, &mut findings).await;
        callbacks(&options, &mut rig, &mut findings).await;
        latencies(&options, &mut rig, &mut findings).await;
        others(&options, &mut rig, &mut findings).await;
    }
    findings.settings.push(("Load at the end".to_owned(), machine::load()));
    findings.settings.push(("Run".to_owned(), format!("{repetitions} repetition(s), {} s", began.elapsed().as_secs())));
    let text = report::write(&findings);
    if let Some(out) = &options.out {
        std::fs::write(out, &text)?;
    }
    output::report(&text);
    Ok(())
}

/// Keeps what a measurement came to; one that failed is named in the report.
async fn keep<T>(into: &mut Vec<T>, errors: &mut Vec<String>, what: &str, work: impl Future<Output = anyhow::Result<T>>)
where
    T: std::fmt::Debug,
{
    machine::settle().await;
    match work.await {
        Ok(value) => {
            output::progress(&format!("  {what}: {value:.2?}"));
            into.push(value);
        }
        Err(error) => {
            output::progress(&format!("  {what}: FAILED: {error:#}"));
            errors.push(format!("{what}: {error:#}"));
        }
    }
}

/// T1, T2, T3, T10 and the peer.
async fn drains(options: &Options, rig: &mut Rig, found: &mut Findings) {
    if !["T1", "T2", "T3", "T10"].iter().any(|id| options.wants(id)) {
        return;
    }
    let (count, errors) = (50_000, &mut found.errors);
    keep(&mut found.bare, errors, "bare loop", drain::bare(rig, count * 2)).await;
    keep(&mut found.default, errors, "drain, default", drain::ours(rig, "bench", count, 1)).await;
    if peer::program().is_some() {
        keep(&mut found.awa_tuned, errors, "Awa, tuned", peer::awa(rig, "tuned", 20_000)).await;
    }
    keep(&mut found.wide, errors, "drain, 512 in flight", drain::ours(rig, "wide", count, 1)).await;
    if peer::program().is_some() {
        keep(
            &mut found.awa_default,
            errors,
            "Awa, default",
            peer::awa(rig, "default", if rig.quick { 10_000 } else { 20_000 }),
        )
        .await;
    }
    keep(&mut found.four, errors, "drain, four dispatchers", drain::ours(rig, "bench", count, 4)).await;
}

/// T4, and T3 with callbacks.
async fn callbacks(options: &Options, rig: &mut Rig, found: &mut Findings) {
    if !["T3", "T4"].iter().any(|id| options.wants(id)) {
        return;
    }
    let errors = &mut found.errors;
    keep(&mut found.bare_beside, errors, "bare loop, beside", drain::bare(rig, 50_000)).await;
    let count = if rig.quick { 20_000 } else { 50_000 };
    keep(&mut found.called_back, errors, "drain with callbacks", callback::ours(rig, count)).await;
    if peer::program().is_some() {
        keep(&mut found.awa_async, errors, "Awa, async", callback::awa(rig, if rig.quick { 500 } else { 1_000 })).await;
    }
}

/// T5 and T6.
async fn latencies(options: &Options, rig: &mut Rig, found: &mut Findings) {
    let (seconds, errors) = (if rig.quick { 8 } else { 20 }, &mut found.errors);
    if options.wants("T5") {
        keep(&mut found.at_2000, errors, "2,000/s", latency::steady(rig, 2_000, seconds)).await;
        keep(&mut found.at_750, errors, "750/s", latency::steady(rig, 750, seconds / 2)).await;
        keep(&mut found.at_5000, errors, "5,000/s", latency::steady(rig, 5_000, seconds / 2)).await;
    }
    if options.wants("T6") {
        let count = if rig.quick { 150 } else { 300 };
        keep(&mut found.idle, errors, "idle, one job", latency::idle(rig, count)).await;
        keep(&mut found.waited, errors, "wait_ms", rest::waits(rig, 100)).await;
    }
}

/// T7, T8, T11, T12, T13, the flood and the race.
async fn others(options: &Options, rig: &mut Rig, found: &mut Findings) {
    let errors = &mut found.errors;
    if options.wants("T7") {
        keep(&mut found.enqueued, errors, "enqueue", enqueue::through_sql(rig)).await;
        keep(&mut found.posted, errors, "enqueue through REST", rest::enqueue(rig)).await;
    }
    if options.wants("T8") {
        let count = if rig.quick { 50_000 } else { 150_000 };
        keep(&mut found.free, errors, "horizon free", horizon::drain(rig, count, false)).await;
        keep(&mut found.pinned, errors, "horizon pinned", horizon::drain(rig, count, true)).await;
    }
    if options.wants("T11") {
        keep(&mut found.memory, errors, "memory at 512", process::memory(rig, 512)).await;
        keep(&mut found.memory_wide, errors, "memory at 10,000", process::memory(rig, 10_000)).await;
    }
    if options.wants("T11") || options.wants("flood") {
        keep(&mut found.flooded, errors, "flood of forged tokens", flood::flood(rig)).await;
    }
    // More than a million answers: once is enough.
    if options.wants("race") && found.raced.is_empty() {
        keep(&mut found.raced, errors, "race of 64 callers", race::race(rig)).await;
    }
    if options.wants("T12") {
        keep(&mut found.start, errors, "start", process::start(rig)).await;
    }
    if options.wants("T13") {
        let window = Duration::from_secs(if rig.quick { 20 } else { 30 });
        keep(&mut found.quiet, errors, "idle dispatcher", process::quiet(rig, window)).await;
    }
}

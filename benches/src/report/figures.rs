//! The figures of the report, each against its floor and its goal.

use super::{Findings, each};
use crate::{
    figure::{Figure, drain::Drained},
    lab::stats::Values,
};

/// The ratio within each repetition.
fn ratio<A, B>(a: &[A], b: &[B], value_a: impl Fn(&A) -> f64, value_b: impl Fn(&B) -> f64) -> Values {
    a.iter().zip(b).map(|(a, b)| value_a(a) / value_b(b)).collect()
}

/// CPU of a request of a bare loop of this rate when the targets were set, microseconds: 21 of the sender, 15 of the endpoint.
const BARE_REQUEST_US: f64 = 36.0;

fn total(one: &Drained) -> f64 {
    one.postgres_us + one.dispatcher_us + one.endpoint_us
}

/// CPU per job as it would be where a request of the bare loop costs [`BARE_REQUEST_US`].
fn scaled(ours: &[Drained], bare: &[Drained], value: impl Fn(&Drained) -> f64) -> Values {
    ratio(ours, bare, value, |bare| total(bare) / BARE_REQUEST_US)
}

/// All of them, in the order of the targets.
pub fn all(found: &Findings) -> Vec<Figure> {
    let mut figures = drain_figures(found);
    figures.extend(callback_figures(found));
    figures.extend(latency_figures(found));
    figures.extend(enqueue_figures(found));
    figures.extend(process_figures(found));
    figures.extend(flood_figures(found));
    figures.extend(race_figures(found));
    figures
}

fn drain_figures(found: &Findings) -> Vec<Figure> {
    let rate = |one: &Drained| one.rate;
    let wal = |one: &Drained| one.wal_enqueue + one.wal_drain;
    let (ours, wide, bare) = (&found.default, &found.wide, &found.bare);
    vec![
        Figure::held("T1", "drain, default settings ÷ bare loop", ratio(ours, bare, rate, rate), "×", 0.40, 0.60),
        Figure::held(
            "T1",
            "… with 512 in flight on the endpoint ÷ bare loop",
            ratio(wide, bare, rate, rate),
            "×",
            0.40,
            0.60,
        ),
        Figure::held("T1", "drain ÷ Awa tuned", ratio(ours, &found.awa_tuned, rate, rate), "×", 3.5, 5.0),
        Figure::held("T1", "… 512 in flight ÷ Awa tuned", ratio(wide, &found.awa_tuned, rate, rate), "×", 3.5, 5.0),
        Figure::held("T1", "drain ÷ Awa default", ratio(ours, &found.awa_default, rate, rate), "×", 8.0, 12.0),
        Figure::held("T2", "CPU per job, all processes", each(ours, total), "µs", 90.0, 60.0),
        Figure::held("T2", "… Postgres", each(ours, |one| one.postgres_us), "µs", 25.0, 15.0),
        Figure::held("T2", "… dispatcher", each(ours, |one| one.dispatcher_us), "µs", 45.0, 28.0),
        Figure::held("T2", "… 512 in flight, all processes", each(wide, total), "µs", 90.0, 60.0),
        Figure::context("T2", "CPU per request of the bare loop", each(bare, total), "µs"),
        Figure::held("T2", "scaled: CPU per job, all processes", scaled(ours, bare, total), "µs", 90.0, 60.0),
        Figure::held("T2", "… Postgres", scaled(ours, bare, |one| one.postgres_us), "µs", 25.0, 15.0),
        Figure::held("T2", "… dispatcher", scaled(ours, bare, |one| one.dispatcher_us), "µs", 45.0, 28.0),
        Figure::held("T2", "… 512 in flight, all processes", scaled(wide, bare, total), "µs", 90.0, 60.0),
        Figure::held("T3", "WAL per job, enqueue to outcome", each(ours, wal), "B", 1_100.0, 720.0),
        Figure::held("T3", "commits per job in the drain", each(ours, |one| one.commits), "", 0.03, 0.015),
        Figure::held("T3", "… 512 in flight", each(wide, |one| one.commits), "", 0.03, 0.015),
        Figure::context("T3", "dead rows per job", each(ours, |one| one.dead), ""),
        Figure::held("T10", "4 dispatchers ÷ 1, total rate", ratio(&found.four, ours, rate, rate), "×", 0.9, 1.0),
        Figure::held(
            "T10",
            "4 dispatchers ÷ 1, commits per job",
            ratio(&found.four, ours, |one| one.commits, |one| one.commits),
            "×",
            2.5,
            1.5,
        ),
    ]
}

fn callback_figures(found: &Findings) -> Vec<Figure> {
    let rate = |one: &Drained| one.rate;
    let (ours, bare) = (&found.called_back, &found.bare_beside);
    vec![
        Figure::held(
            "T3",
            "with callbacks: WAL per job, enqueue to outcome",
            each(ours, |one| one.wal_enqueue + one.wal_drain),
            "B",
            1_400.0,
            1_000.0,
        ),
        Figure::held("T3", "… commits per job", each(ours, |one| one.commits), "", 0.06, 0.03),
        Figure::held("T4", "drain with callbacks ÷ bare loop", ratio(ours, bare, rate, rate), "×", 0.18, 0.33),
        Figure::held("T4", "… ÷ Awa async", ratio(ours, &found.awa_async, rate, rate), "×", 60.0, 100.0),
        Figure::held("T4", "CPU per job, all processes", each(ours, total), "µs", 180.0, 110.0),
        Figure::held("T4", "scaled: CPU per job, all processes", scaled(ours, bare, total), "µs", 180.0, 110.0),
    ]
}

fn latency_figures(found: &Findings) -> Vec<Figure> {
    let (steady, idle) = (&found.at_2000, &found.idle);
    vec![
        Figure::held("T5", "2,000/s: pickup p50", each(steady, |one| one.pickup[0]), "ms", 5.0, 2.0),
        Figure::held("T5", "2,000/s: pickup p99", each(steady, |one| one.pickup[1]), "ms", 15.0, 8.0),
        Figure::held("T5", "2,000/s: end to end p99", each(steady, |one| one.end[1]), "ms", 25.0, 12.0),
        Figure::held(
            "T6",
            "idle, one job: commit → POST received p50",
            each(idle, |one| one.pickup[0]),
            "ms",
            3.0,
            1.5,
        ),
        Figure::held(
            "T6",
            "idle, one job: commit → POST received p99",
            each(idle, |one| one.pickup[1]),
            "ms",
            10.0,
            5.0,
        ),
        Figure::held(
            "T6",
            "`wait_ms` answer after the notice of the outcome's commit, p99",
            each(&found.waited, |one| one.after_notice[1]),
            "ms",
            5.0,
            2.0,
        ),
        Figure::context(
            "T6",
            "… after the outcome's transaction began, p50",
            each(&found.waited, |one| one.after_begin[0]),
            "ms",
        ),
    ]
}

fn enqueue_figures(found: &Findings) -> Vec<Figure> {
    let enqueued = &found.enqueued;
    vec![
        Figure::held(
            "T7",
            "SQL batches of 500, one connection",
            each(enqueued, |one| one.batches),
            "/s",
            60_000.0,
            100_000.0,
        ),
        Figure::held("T7", "… two connections", each(enqueued, |one| one.batches_of_two), "/s", 60_000.0, 100_000.0),
        Figure::held(
            "T7",
            "REST batches of 500, two connections",
            each(&found.posted, |one| one.batches),
            "/s",
            40_000.0,
            80_000.0,
        ),
        Figure::held("T7", "REST single, 64 clients", each(&found.posted, |one| one.singles), "/s", 8_000.0, 15_000.0),
        Figure::held(
            "T7",
            "SQL single ÷ bare two-row insert",
            each(enqueued, |one| one.singles / one.bare),
            "×",
            0.7,
            0.9,
        ),
        Figure::context("T7", "SQL single, one connection", each(enqueued, |one| one.singles), "/s"),
    ]
}

fn process_figures(found: &Findings) -> Vec<Figure> {
    let (free, pinned) = (&found.free, &found.pinned);
    vec![
        Figure::held(
            "T8",
            "horizon pinned during the drain ÷ not, rate",
            ratio(pinned, free, |one| one.drained.rate, |one| one.drained.rate),
            "×",
            0.8,
            0.98,
        ),
        Figure::held(
            "T8",
            "… claim, last tenth ÷ first tenth",
            each(pinned, |one| one.claim_ms[1] / one.claim_ms[0]),
            "×",
            2.0,
            1.2,
        ),
        Figure::context("T8", "claim p99 below, free", each(free, |one| one.claim_p99_ms), "ms"),
        Figure::context("T8", "claim p99 below, pinned", each(pinned, |one| one.claim_p99_ms), "ms"),
        Figure::held("T11", "memory, 512 in flight", each(&found.memory, |mib| *mib), "MiB", 96.0, 48.0),
        Figure::held("T11", "memory, 10,000 in flight", each(&found.memory_wide, |mib| *mib), "MiB", 384.0, 200.0),
        Figure::held(
            "T12",
            "process start → first claim's POST begun",
            each(&found.start, |one| one[0]),
            "ms",
            1_000.0,
            200.0,
        ),
        Figure::context("T12", "process start → first POST received", each(&found.start, |one| one[1]), "ms"),
        Figure::held(
            "T13",
            "idle, 100 empty queues: dispatcher",
            each(&found.quiet, |one| one.core),
            "% of a core",
            2.0,
            0.3,
        ),
        Figure::held(
            "T13",
            "idle, 100 empty queues: statements",
            each(&found.quiet, |one| one.statements),
            "/s",
            10.0,
            2.0,
        ),
        Figure::context(
            "T13",
            "idle, 100 empty queues: Postgres",
            each(&found.quiet, |one| one.postgres),
            "% of a core",
        ),
    ]
}

fn flood_figures(found: &Findings) -> Vec<Figure> {
    let flooded = &found.flooded;
    let of_statements = |n: usize| flooded.iter().filter_map(|one| Some(one.statements?[n])).collect();
    vec![
        Figure::held("T11", "gateway: memory, idle", each(flooded, |one| one.idle_mib), "MiB", 48.0, 24.0),
        Figure::held(
            "T11",
            "… at most, under a flood of forged tokens",
            each(flooded, |one| one.most_mib),
            "MiB",
            160.0,
            96.0,
        ),
        Figure::context(
            "Flood",
            "forged tokens refused, as fast as they come beside their sender",
            each(flooded, |one| one.refused),
            "/s",
        ),
        // 20,000 a second on one core.
        Figure::at_most("Flood", "… CPU of the gateway each", each(flooded, |one| one.cpu_us), "µs", 50.0),
        Figure::at_most(
            "Flood",
            "… statements that it brought and a silence did not (`pg_stat_statements`)",
            of_statements(0),
            "",
            0.0,
        ),
        Figure::context(
            "Flood",
            "… calls of the gateway's own statements above those of a silence as long (`pg_stat_statements`)",
            of_statements(1),
            "",
        ),
        Figure::context(
            "Flood",
            "… transactions above those of a silence as long (`pg_stat_database`)",
            each(flooded, |one| one.transactions),
            "",
        ),
        Figure::context(
            "Flood",
            "valid callbacks during 25,000 forged ones a second, p50",
            each(flooded, |one| one.valid[0]),
            "ms",
        ),
        Figure::at_most("Flood", "… p99", each(flooded, |one| one.valid[1]), "ms", 50.0),
        Figure::context("Flood", "… forged tokens refused meanwhile", each(flooded, |one| one.refused_beside), "/s"),
    ]
}

fn race_figures(found: &Findings) -> Vec<Figure> {
    let raced = &found.raced;
    vec![
        Figure::context(
            "Race",
            "waits, each raced for by 64 callers (16 at a time, in the engine, not over HTTP): complete, fail, resume, time-out",
            each(raced, |one| one.waits),
            "",
        ),
        Figure::at_most("Race", "… not ended exactly once", each(raced, |one| one.not_once), "", 0.0),
        Figure::at_most(
            "Race",
            "… answers that contradicted the recorded truth",
            each(raced, |one| one.contradicted),
            "",
            0.0,
        ),
        Figure::context("Race", "… answers, all callers", each(raced, |one| one.rate), "/s"),
        Figure::context("Race", "… won by complete", each(raced, |one| one.won[0]), ""),
        Figure::context("Race", "… won by fail", each(raced, |one| one.won[1]), ""),
        Figure::context("Race", "… won by resume", each(raced, |one| one.won[2]), ""),
        Figure::context("Race", "… won by the time-out", each(raced, |one| one.won[3]), ""),
    ]
}

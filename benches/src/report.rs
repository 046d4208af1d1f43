//! The report: `docs/reference/benchmark.md`.

#![expect(clippy::format_push_string, reason = "some lines of a report, written once")]

use crate::{
    figure::{
        Figure,
        drain::Drained,
        enqueue::Enqueued,
        horizon::Pinned,
        latency::Latency,
        peer,
        process::Quiet,
        rest::{Posted, Waited},
    },
    lab::{
        dispatcher,
        stats::{Values, number},
    },
};

/// Everything that was measured, one element a repetition.
#[derive(Debug, Default)]
pub struct Findings {
    pub settings: Vec<(String, String)>,
    pub quick: bool,
    pub errors: Vec<String>,
    pub bare: Vec<Drained>,
    pub default: Vec<Drained>,
    pub wide: Vec<Drained>,
    pub four: Vec<Drained>,
    pub awa_default: Vec<Drained>,
    pub awa_tuned: Vec<Drained>,
    pub at_750: Vec<Latency>,
    pub at_2000: Vec<Latency>,
    pub at_5000: Vec<Latency>,
    pub idle: Vec<Latency>,
    pub waited: Vec<Waited>,
    pub enqueued: Vec<Enqueued>,
    pub posted: Vec<Posted>,
    pub free: Vec<Pinned>,
    pub pinned: Vec<Pinned>,
    pub memory: Vec<f64>,
    pub start: Vec<[f64; 2]>,
    pub quiet: Vec<Quiet>,
}

/// One value a repetition.
fn each<T>(of: &[T], value: impl Fn(&T) -> f64) -> Values {
    of.iter().map(value).collect()
}

/// The ratio within each repetition.
fn ratio<A, B>(a: &[A], b: &[B], value_a: impl Fn(&A) -> f64, value_b: impl Fn(&B) -> f64) -> Values {
    a.iter().zip(b).map(|(a, b)| value_a(a) / value_b(b)).collect()
}

/// The whole report.
pub fn write(found: &Findings) -> String {
    let mut text = String::from(HEAD);
    if found.quick {
        text.push_str("\n**A quick run: smaller, and one repetition unless stated.**\n");
    }
    text.push_str("\n## Figures\n\n| | figure | measured, median (min–max) | floor | goal | verdict |\n|---|---|---|---|---|---|\n");
    for figure in figures(found) {
        text.push_str(&figure.row());
        text.push('\n');
    }
    text.push_str(&drains(found));
    text.push_str(&latencies(found));
    text.push_str("\n## Machine and settings\n\n| | |\n|---|---|\n");
    for (name, value) in &found.settings {
        text.extend([format!("| {name} | {value} |\n")]);
    }
    text.extend([format!(
        "| Dispatcher | {} |\n",
        if dispatcher::product().is_some() {
            "`posthaste dispatcher`"
        } else {
            "`posthaste_dispatcher::run` in a role of `bench`"
        }
    )]);
    text.extend([format!(
        "| Awa | {} |\n",
        if peer::program().is_some() { "0.6.9, HTTP worker, sync" } else { "not built: its figures are missing" }
    )]);
    for error in &found.errors {
        text.extend([format!("\nFailed: {error}\n")]);
    }
    text
}

const HEAD: &str = "# Benchmark

Written by `make bench`; do not edit. Every party is a process of its own on one machine, beside a private Postgres with default durability
(`fsync`, `synchronous_commit` on). Parties are interleaved A B A B; ratios are taken within a repetition. CPU is that of `/proc/<pid>/stat`, for Postgres of the
postmaster and all of its children. Jobs have about 300 bytes of args; the endpoint reads the JSON and answers a small one. Each drain has a fresh database, a
checkpoint before the enqueue and none between enqueue and drain; its clock runs from the word \"go\" (the endpoint is resumed) to the last durable outcome.
Awa's runs from its first POST to its last, which is a little in its favour. Commits are those of `pg_stat_database` after the dispatcher has stopped, dead rows the rows updated or deleted.
*Strangers* is the share of the machine that other processes used meanwhile: where it is not near 0, rates and latencies are worse than the truth.
";

fn figures(found: &Findings) -> Vec<Figure> {
    let mut figures = drain_figures(found);
    figures.extend(latency_figures(found));
    figures.extend(enqueue_figures(found));
    figures.extend(process_figures(found));
    figures
}

fn drain_figures(found: &Findings) -> Vec<Figure> {
    let rate = |one: &Drained| one.rate;
    let total = |one: &Drained| one.postgres_us + one.dispatcher_us + one.endpoint_us;
    let wal = |one: &Drained| one.wal_enqueue + one.wal_drain;
    let (ours, wide) = (&found.default, &found.wide);
    vec![
        Figure::held(
            "T1",
            "drain, default settings ÷ bare loop",
            ratio(ours, &found.bare, rate, rate),
            "×",
            0.40,
            0.60,
        ),
        Figure::held(
            "T1",
            "… with 512 in flight on the endpoint ÷ bare loop",
            ratio(wide, &found.bare, rate, rate),
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

/// What the ratios of T1–T3 are made of.
fn drains(found: &Findings) -> String {
    let mut text = String::from(
        "\n## Drains\n\n| party | jobs/s | CPU µs/job: Postgres | dispatcher | endpoint | WAL B/job: enqueue | drain | commits/job | dead rows/job | strangers % |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let parties = [
        ("bare loop, same client, 64 in flight", &found.bare),
        ("Posthaste, default (64 in flight on an endpoint)", &found.default),
        ("Posthaste, 512 in flight on the endpoint", &found.wide),
        ("Posthaste, default, 4 dispatchers", &found.four),
        ("Awa, default", &found.awa_default),
        ("Awa, tuned (1024 workers, deadline off)", &found.awa_tuned),
    ];
    for (name, party) in parties {
        let show = |value: fn(&Drained) -> f64| each(party, value).show();
        let cells = [
            show(|one| one.rate),
            show(|one| one.postgres_us),
            show(|one| one.dispatcher_us),
            show(|one| one.endpoint_us),
            show(|one| one.wal_enqueue),
            show(|one| one.wal_drain),
            show(|one| one.commits),
            show(|one| one.dead),
            show(|one| one.strangers),
        ];
        text.extend([format!("| {name} | {} |\n", cells.join(" | "))]);
    }
    text
}

fn latencies(found: &Findings) -> String {
    let mut text = String::from(
        "\n## One by one through SQL\n\n| offered | pickup p50 ms | p99 | end to end p50 | p99 | CPU µs/job | producer late p99 ms | strangers % |\n|---|---|---|---|---|---|---|---|\n",
    );
    let loads = [
        ("750/s", &found.at_750),
        ("2,000/s", &found.at_2000),
        ("5,000/s", &found.at_5000),
        ("idle, one job", &found.idle),
    ];
    for (name, load) in loads {
        let show = |value: fn(&Latency) -> f64| each(load, value).show();
        let cells = [
            show(|one| one.pickup[0]),
            show(|one| one.pickup[1]),
            show(|one| one.end[0]),
            show(|one| one.end[1]),
            show(|one| one.cpu_us),
            show(|one| one.late),
            show(|one| one.strangers),
        ];
        text.extend([format!("| {name} | {} |\n", cells.join(" | "))]);
    }
    if let Some(bare) = each(&found.enqueued, |one| one.bare).median() {
        text +=
            &format!("\nA bare two-row insert on one connection made {} rows/s in the same minutes.\n", number(bare));
    }
    text
}

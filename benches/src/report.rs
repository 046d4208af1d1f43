//! The report: `docs/reference/benchmark.md`.

#![expect(clippy::format_push_string, reason = "some lines of a report, written once")]

mod figures;

use crate::{
    figure::{
        drain::Drained,
        enqueue::Enqueued,
        flood::Flooded,
        horizon::Pinned,
        latency::Latency,
        peer,
        process::Quiet,
        race::Raced,
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
    pub bare_beside: Vec<Drained>,
    pub called_back: Vec<Drained>,
    pub awa_async: Vec<Drained>,
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
    pub memory_wide: Vec<f64>,
    pub flooded: Vec<Flooded>,
    pub raced: Vec<Raced>,
    pub start: Vec<[f64; 2]>,
    pub quiet: Vec<Quiet>,
}

/// One value a repetition.
fn each<T>(of: &[T], value: impl Fn(&T) -> f64) -> Values {
    of.iter().map(value).collect()
}

/// The whole report.
pub fn write(found: &Findings) -> String {
    let mut text = String::from(HEAD);
    if found.quick {
        text.push_str("\n**A quick run: smaller, and one repetition unless stated.**\n");
    }
    text.push_str("\n## Figures\n\n| | figure | measured, median (min–max) | floor | goal | verdict |\n|---|---|---|---|---|---|\n");
    for figure in figures::all(found) {
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
        if peer::program().is_some() {
            "0.6.9, HTTP worker, sync and async"
        } else {
            "not built: its figures are missing"
        }
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
Callbacks are made by the endpoint, on connections that it keeps: a function runs elsewhere, and its client is as small as one can be here.
*Scaled* figures are CPU as it would be where a request of the bare loop costs 36 µs, as it did on such a machine when the targets were set: shared hosts have slow hours.
*Strangers* is the share of the machine that other processes used meanwhile: where it is not near 0, rates and latencies are worse than the truth.
";

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
        ("bare loop, beside the drain with callbacks", &found.bare_beside),
        ("Posthaste, 202 and a callback at once (dispatcher: with the gateway)", &found.called_back),
        ("Awa, async (worker: with its callback receiver)", &found.awa_async),
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

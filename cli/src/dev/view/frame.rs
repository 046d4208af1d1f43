//! One picture of the live view: pure.

use std::{fmt::Display, path::Path, time::Duration};

use posthaste_engine::overview::EndedRun;

use super::{
    super::{hints::Hints, meter::Snapshot, plain, producer::Progress, sample::SAMPLES},
    screen::Line,
};
use crate::{
    job::ended_line,
    output::{self, Tone},
    table::cut,
};

const QUEUES: usize = 6;
const ERRORS: usize = 3;
const BAR: usize = 24;
/// From so many rows on, errors have a section of their own.
const ROOMY: usize = 34;

/// Everything that is shown.
pub struct Frame<'a> {
    /// Of the database and the counters.
    pub snapshot: &'a Snapshot,
    /// Of the sample batch.
    pub progress: Progress,
    /// What to do next.
    pub hints: &'a Hints,
    /// Where the log goes.
    pub log: &'a Path,
    /// Since the start.
    pub up: Duration,
    /// Why the snapshot is an old one.
    pub trouble: Option<&'a str>,
}

impl Frame<'_> {
    /// The lines, at most `rows`, none wider than `columns` but for those that wrap.
    pub fn lines(&self, columns: usize, rows: usize) -> Vec<Line> {
        let roomy = rows >= ROOMY;
        let mut lines = self.head();
        lines.extend(self.queues());
        lines.extend(self.counters());
        if roomy {
            lines.extend(self.errors());
        }
        let hints = self.hint_lines();
        let rows_of = |lines: &[Line]| lines.iter().map(|line| line.rows(columns)).sum::<usize>();
        // A blank line and a heading go before what has ended.
        let room = rows.saturating_sub(rows_of(&lines) + rows_of(&hints) + 2);
        lines.extend(self.ended(room, roomy));
        lines.extend(hints);
        for line in lines.iter_mut().filter(|line| !line.wraps) {
            line.text = cut(&output::clean(&line.text), columns);
        }
        fit(lines, columns, rows)
    }

    fn head(&self) -> Vec<Line> {
        let seconds = self.up.as_secs();
        let up = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let title = format!("posthaste dev {}   up {up}   Ctrl-C stops everything", env!("CARGO_PKG_VERSION"));
        let Hints { database, api_url, gateway_url, data, .. } = self.hints;
        let places = format!("{database} · API {api_url} · callbacks {gateway_url} · data {data}");
        // To be copied whole, so wrapped where it does not fit.
        let places = Line { text: places, tone: Tone::Dim, wraps: true };
        let mut lines = vec![line(title, Tone::Bold), places];
        if let Some(trouble) = self.trouble {
            lines.push(line(format!("the database does not answer: {trouble}"), Tone::Bad));
        }
        lines
    }

    fn queues(&self) -> Vec<Line> {
        let row = |name: &str, counts: [&dyn Display; 4]| {
            let [available, scheduled, running, waiting] = counts;
            format!("{name:<24} {available:>10} {scheduled:>10} {running:>10} {waiting:>10}")
        };
        let heading = row("QUEUE", [&"AVAILABLE", &"SCHEDULED", &"RUNNING", &"WAITING"]);
        let mut lines = vec![blank(), line(heading, Tone::Bold)];
        for queue in self.snapshot.queues.iter().take(QUEUES) {
            let counts: [&dyn Display; 4] = [&queue.available, &queue.scheduled, &queue.running, &queue.waiting];
            lines.push(line(row(&cut(&queue.queue, 24), counts), Tone::Plain));
        }
        lines
    }

    fn counters(&self) -> Vec<Line> {
        let Snapshot { counted, claims_per_s, ends_per_s, .. } = self.snapshot;
        let in_flight = counted.in_flight;
        let rates = format!("claims {claims_per_s:.1}/s   ends {ends_per_s:.1}/s   in flight {in_flight}");
        let mut lines = vec![
            blank(),
            line(rates, Tone::Plain),
            line(format!("outcomes  {}", plain::counts(&counted.outcomes)), Tone::Plain),
            line(format!("answers   {}", plain::counts(&counted.answers)), Tone::Plain),
        ];
        let Progress { round, enqueued, ended } = self.progress;
        if round > 0 {
            let text =
                format!("samples   {} {ended}/{} of batch {round}, {enqueued} enqueued", bar(ended), SAMPLES.len());
            lines.push(line(text, Tone::Good));
        }
        lines.extend(self.hints.samples.map(|samples| line(samples.to_owned(), Tone::Dim)));
        lines
    }

    fn errors(&self) -> Vec<Line> {
        let failed = |run: &&EndedRun| run.error_code.is_some();
        let mut lines = vec![blank(), line("LAST ERRORS".to_owned(), Tone::Bold)];
        lines.extend(
            self.snapshot.ended.iter().filter(failed).take(ERRORS).map(|run| line(ended_line(run), Tone::Warn)),
        );
        lines
    }

    /// What has finished; where there is no room for errors of their own, what was tried again, too.
    fn ended(&self, room: usize, finished_only: bool) -> Vec<Line> {
        let ends = |run: &&EndedRun| matches!(run.outcome.as_str(), "completed" | "cancelled" | "dead");
        let heading = if finished_only { "LAST FINISHED" } else { "LAST RUNS" };
        let mut lines = vec![blank(), line(heading.to_owned(), Tone::Bold)];
        let runs = self.snapshot.ended.iter().filter(|run| !finished_only || ends(run));
        lines.extend(runs.take(room).map(|run| {
            let tone = if run.outcome == "completed" { Tone::Plain } else { Tone::Warn };
            line(ended_line(run), tone)
        }));
        lines
    }

    fn hint_lines(&self) -> Vec<Line> {
        let mut lines = vec![blank(), line("ENQUEUE ONE YOURSELF".to_owned(), Tone::Bold)];
        lines.extend(self.hints.lines().map(|text| Line { text, tone: Tone::Plain, wraps: true }));
        lines.push(line(format!("log {}", self.log.display()), Tone::Dim));
        lines
    }
}

/// As many lines as there are rows for.
fn fit(mut lines: Vec<Line>, columns: usize, rows: usize) -> Vec<Line> {
    let mut taken = 0;
    lines.retain(|line| {
        taken += line.rows(columns);
        taken <= rows
    });
    lines
}

fn line(text: String, tone: Tone) -> Line {
    Line { text, tone, wraps: false }
}

fn blank() -> Line {
    line(String::new(), Tone::Plain)
}

fn bar(ended: usize) -> String {
    let filled = (ended * BAR / SAMPLES.len()).min(BAR);
    format!("[{}{}]", "#".repeat(filled), "-".repeat(BAR - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut long = line("x".repeat(25), Tone::Plain);
        long.wraps = true;
        let lines = vec![blank(), long, blank()];
        assert_eq!(fit(lines.clone(), 10, 5).len(), 3);
        assert_eq!(fit(lines.clone(), 10, 4).len(), 2);
        assert_eq!(fit(lines, 10, 3).len(), 1);
    }

    #[test]
    fn the_bar_fills() {
        assert_eq!(bar(0), format!("[{}]", "-".repeat(BAR)));
        assert_eq!(bar(SAMPLES.len()), format!("[{}]", "#".repeat(BAR)));
    }
}

//! `posthaste job get ID`: one job, as the contract shows it or as people read it.

use posthaste_engine::job;
use posthaste_protocol::job::{Attempt, Job, State};

use super::One;
use crate::{
    output::{self, Tone},
    table::{Table, cut},
    time,
};

/// The longest value that is shown to people whole.
const VALUE_CHARS: usize = 2000;

/// Shows it.
pub async fn run(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    let job = job::job(&mut connection, one.id).await?;
    print(&job, one.json)?;
    if job.state == State::Waiting && !one.json {
        output::note_in(
            Tone::Dim,
            format_args!("`posthaste explain {}` says what it waits for, and until when", job.id),
        );
    }
    Ok(())
}

/// Prints a job: exactly the contract's shape, or for people.
pub fn print(job: &Job, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(job);
    }
    for (name, value) in fields(job) {
        output::data(format_args!("{name:<13} {}", output::clean(&value)));
    }
    if !job.attempts.is_empty() {
        output::data("");
        attempts(&job.attempts).print();
    }
    Ok(())
}

fn fields(job: &Job) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("id", job.id.to_string()),
        ("kind", job.kind.clone()),
        ("queue", job.queue.clone()),
        ("state", job.state.to_string()),
        ("attempt", format!("{} of {}", job.attempt, job.max_attempts)),
        ("priority", job.priority.to_string()),
        ("args", cut(job.args.get(), VALUE_CHARS)),
    ];
    let mut optional = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
    optional("result", job.result.as_ref().map(|result| cut(result.get(), VALUE_CHARS)));
    optional("error", job.error.as_ref().map(|error| format!("{}: {}", error.code, error.message)));
    optional("endpoint", job.endpoint.clone());
    optional("progress", job.progress.as_ref().map(|progress| cut(progress.get(), VALUE_CHARS)));
    optional("tags", (!job.tags.is_empty()).then(|| job.tags.join(", ")));
    optional("metadata", (job.metadata.get() != "{}").then(|| cut(job.metadata.get(), VALUE_CHARS)));
    optional("run_at", (job.run_at != job.created_at).then(|| time::show(job.run_at)));
    optional("created_at", Some(time::show(job.created_at)));
    optional("finished_at", job.finished_at.map(time::show));
    fields
}

fn attempts(attempts: &[Attempt]) -> Table {
    let mut table = Table::new(&["run", "attempt", "outcome", "class", "status", "ms", "finished_at", "error"]);
    for attempt in attempts {
        let took = attempt.started_at.map(|started| (attempt.finished_at - started).num_milliseconds());
        table.row([
            attempt.run_lease.to_string(),
            attempt.attempt.to_string(),
            attempt.outcome.to_string(),
            attempt.class.map(|class| class.to_string()).unwrap_or_default(),
            attempt.http_status.map(|status| status.to_string()).unwrap_or_default(),
            took.map(|ms| ms.to_string()).unwrap_or_default(),
            time::show(attempt.finished_at),
            attempt
                .error
                .as_ref()
                .map(|error| cut(&format!("{}: {}", error.code, error.message), 80))
                .unwrap_or_default(),
        ]);
    }
    table
}

//! `--once`: a batch of samples, from enqueue to result.

use std::time::Duration;

use anyhow::bail;
use posthaste_engine::{
    job,
    session::{Role, Session},
};
use posthaste_protocol::{id::JobId, job::Job};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    producer,
    sample::{SAMPLES, Sample},
};
use crate::{
    failure::Said,
    output::{self, Tone},
    table::{Table, cut},
};

/// A first batch ends within some seconds, on a machine that is busy with other things too.
const LIMIT: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(100);

/// Enqueues the samples, waits for them, prints them. Fails when one did not end as it should.
pub async fn run(url: &str, json: bool) -> anyhow::Result<()> {
    let mut session = Session::new(url, Role::General)?;
    let jobs: Vec<Value> = SAMPLES.iter().enumerate().map(|(n, sample)| sample.job(n)).collect();
    let ids = producer::enqueue(&mut session, &jobs).await?;
    output::note_in(Tone::Dim, format_args!("{} samples are enqueued", ids.len()));
    until_ended(&mut session, &ids).await?;
    let mut jobs = Vec::new();
    for id in ids {
        jobs.push(session.call(async |c| job::job(c, JobId(id)).await).await?);
    }
    let pairs: Vec<(&Sample, &Job)> = SAMPLES.iter().zip(&jobs).collect();
    if json {
        pairs.iter().try_for_each(|(_, job)| output::json(job))?;
    } else {
        table(&pairs).print();
    }
    let wrong: Vec<_> = pairs.iter().filter(|(sample, job)| sample.ends != job.state).collect();
    for (sample, job) in &wrong {
        output::error(format_args!("job {} ({}) is {}, not {}", job.id, job.kind, job.state, sample.ends));
    }
    if !wrong.is_empty() {
        return Err(Said.into());
    }
    output::note_in(Tone::Good, format_args!("all {} samples ended as they should", jobs.len()));
    Ok(())
}

async fn until_ended(session: &mut Session, ids: &[i64]) -> anyhow::Result<()> {
    let give_up = Instant::now() + LIMIT;
    let mut shown = 0;
    loop {
        let ended = session.call(async |c| job::ended(c, ids).await).await?.len();
        if ended > shown {
            output::note_in(Tone::Dim, format_args!("{ended:>3} of {} have ended", ids.len()));
            shown = ended;
        }
        if ended == ids.len() {
            return Ok(());
        }
        if Instant::now() > give_up {
            bail!("only {ended} of {} samples ended within {} s", ids.len(), LIMIT.as_secs());
        }
        sleep(LOOK).await;
    }
}

fn table(pairs: &[(&Sample, &Job)]) -> Table {
    let mut table = Table::new(&["id", "kind", "state", "attempt", "runs", "result or error", "the function answers"]);
    for (sample, job) in pairs {
        let error = job.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
        let result = job.result.as_ref().map(|result| result.get().to_owned());
        table.row([
            job.id.to_string(),
            job.kind.clone(),
            job.state.to_string(),
            job.attempt.to_string(),
            job.run_lease.to_string(),
            cut(&error.or(result).unwrap_or_default(), 60),
            sample.shows.to_owned(),
        ]);
    }
    table
}

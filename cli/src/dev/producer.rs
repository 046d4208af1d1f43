//! The producer: samples at a gentle rate, batch after batch.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use posthaste_engine::{
    EngineError,
    enqueue::{self, Enqueued},
    job,
    session::{Role, Session},
};
use posthaste_service::shutdown::Shutdown;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::sample::SAMPLES;

/// Between two samples.
const PACE: Duration = Duration::from_millis(500);
/// How long the last ones of a batch may take before the next batch begins.
const BATCH_LIMIT: Duration = Duration::from_secs(30);

/// How far the batch is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Which batch, from 1; 0 before the first.
    pub round: u64,
    /// Jobs enqueued.
    pub enqueued: usize,
    /// Jobs that have ended.
    pub ended: usize,
}

/// The progress of the batch, shared with whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct Batch(Arc<Mutex<Progress>>);

impl Batch {
    /// Now.
    pub fn progress(&self) -> Progress {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, progress: Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

/// Enqueues until the shutdown. A database that is away is tried again at the next beat.
pub async fn run(url: String, batch: Batch, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut session = Session::new(&url, Role::General)?;
    let producing = async {
        for round in 1.. {
            one_batch(&mut session, &batch, round).await;
        }
    };
    tokio::select! {
        () = producing => {}
        () = shutdown.soft().cancelled() => {}
    }
    Ok(())
}

async fn one_batch(session: &mut Session, batch: &Batch, round: u64) {
    let mut ids = Vec::new();
    let mut samples = SAMPLES.iter().enumerate();
    let begun = Instant::now();
    loop {
        sleep(PACE).await;
        let next = samples.next();
        if let Some((n, sample)) = next {
            match enqueue(session, &[sample.job(n)]).await {
                Ok(new) => ids.extend(new),
                Err(error) => tracing::warn!(%error, "a sample was not enqueued"),
            }
        }
        let ended = session.call(async |c| job::ended(c, &ids).await).await.map_or(0, |ended| ended.len());
        batch.set(Progress { round, enqueued: ids.len(), ended });
        if next.is_none() && (ended == ids.len() || begun.elapsed() > BATCH_LIMIT) {
            return;
        }
    }
}

/// Enqueues these in one commit and returns their ids.
pub async fn enqueue(session: &mut Session, jobs: &[Value]) -> Result<Vec<i64>, EngineError> {
    let text = Value::from(jobs).to_string();
    let answers = session.call(async |c| enqueue::enqueue_batch(c, &text).await).await?;
    answers
        .into_iter()
        .map(|answer| match answer {
            Enqueued::Job { id, .. } => Ok(id),
            Enqueued::Faults(faults) => Err(EngineError::Faults(faults)),
        })
        .collect()
}

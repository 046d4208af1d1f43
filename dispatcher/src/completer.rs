//! Completer: ended runs → finalize, in batches. A permit is given back when the end of its run is durable.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError,
    finalize::{EndedBy, RunEnd, Settled, settle},
    lifecycle::{Next, Recorded, RunError, Transition},
    session::Session,
};
use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use crate::{context::Context, permit::Permit};

/// The most runs one finalize ends.
const BATCH_MAX: usize = 500;
/// How long a small batch waits for company while others are in flight.
const LINGER: Duration = Duration::from_millis(1);
/// How long a batch waits when Postgres is away, and a run that Postgres refuses before it is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// One ended run.
pub struct Ended {
    /// Its end.
    pub end: RunEnd,
    /// When its POST began.
    pub began: Option<Instant>,
    /// Held until the end is durable, and given back by dropping this.
    #[expect(dead_code, reason = "its drop is what it is for")]
    pub permit: Permit,
}

/// Writes ends until every flight has told its own, or the hard stop.
pub async fn run(context: Arc<Context>, mut session: Session, mut ended: mpsc::UnboundedReceiver<Ended>) {
    let mut completer = Completer { context, drained: Vec::new(), aside: Vec::new() };
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        let closing = completer.context.closing.is_cancelled();
        tokio::select! {
            biased;
            _ = ended.recv_many(&mut batch, BATCH_MAX) => {}
            () = completer.context.closing.cancelled(), if !closing => {}
            // Runs that stand aside are tried again even when no others end.
            () = tokio::time::sleep(PAUSE), if !completer.aside.is_empty() => {}
            () = std::future::ready(()), if closing && completer.aside.is_empty() => return,
        }
        completer.linger(&mut batch, &mut ended).await;
        batch.append(&mut completer.aside);
        if !completer.write(&mut session, &mut batch).await {
            return;
        }
    }
}

struct Completer {
    context: Arc<Context>,
    /// Leases without open runs that are still to be deleted.
    drained: Vec<i64>,
    /// Runs that Postgres refused one by one; each waits by itself.
    aside: Vec<Ended>,
}

impl Completer {
    /// Gives a small batch a moment to grow, when more ends are to be expected.
    async fn linger(&self, batch: &mut Vec<Ended>, ended: &mut mpsc::UnboundedReceiver<Ended>) {
        let expected = self.context.permits.in_flight().saturating_sub(batch.len());
        if batch.len() >= 64 || expected < 8 {
            return;
        }
        let until = tokio::time::Instant::now() + LINGER;
        while batch.len() < 64 {
            let room = BATCH_MAX - batch.len();
            match tokio::time::timeout_at(until, ended.recv_many(batch, room)).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Writes the whole batch, however often Postgres must be asked. False: the hard stop came first.
    async fn write(&mut self, session: &mut Session, batch: &mut Vec<Ended>) -> bool {
        while !batch.is_empty() {
            let now = Instant::now();
            for one in batch.iter_mut() {
                let age = one.began.map(|began| now.saturating_duration_since(began).as_micros());
                one.end.age_us = age.map(|us| i64::try_from(us).unwrap_or(i64::MAX));
            }
            let ends: Vec<RunEnd> = batch.iter().map(|one| one.end.clone()).collect();
            let drained = self.drained_with(&ends);
            match self.settle(session, &ends, &drained).await {
                Ok(settled) => {
                    self.finished(&ends, &settled, &drained);
                    batch.clear();
                }
                Err(error) if error.is_divisible() => self.divide(session, std::mem::take(batch)).await,
                Err(error) => {
                    warn!(error = %error, runs = batch.len(), "ends cannot be written now; they are kept and tried again");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = self.context.shutdown.hard().cancelled() => return false,
                    }
                }
            }
        }
        true
    }

    async fn settle(
        &self,
        session: &mut Session,
        ends: &[RunEnd],
        drained: &[i64],
    ) -> Result<Vec<Settled>, EngineError> {
        let sent = Instant::now();
        let result = session.call(async |c| settle(c, ends, EndedBy::Dispatcher, drained).await).await;
        self.context.metrics.statement("finalize", sent.elapsed(), result.is_ok());
        #[expect(clippy::cast_precision_loss, reason = "at most 500")]
        self.context.metrics.finalize_batch.observe(ends.len() as f64);
        result
    }

    /// One lock, value or row of the batch is at fault: halves it until the guilty run stands alone.
    async fn divide(&mut self, session: &mut Session, batch: Vec<Ended>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let ends: Vec<RunEnd> = part.iter().map(|one| one.end.clone()).collect();
            match self.settle(session, &ends, &[]).await {
                Ok(settled) => self.finished(&ends, &settled, &[]),
                Err(error) if error.is_divisible() && part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(error) => self.set_aside(part, &error),
            }
        }
    }

    /// Keeps what could not be written. A value that Postgres will never store ends its job, which then says so.
    fn set_aside(&mut self, mut part: Vec<Ended>, error: &EngineError) {
        for one in &mut part {
            warn!(job.id = one.end.job_id, run_lease = one.end.run_lease, error = %error, "the end of a run was refused");
            if let EngineError::Refused { code, .. } = error
                && (code.starts_with("22") || code.starts_with("54"))
            {
                one.end.transition = unstorable();
            }
        }
        self.aside.append(&mut part);
    }

    /// The leases that are to be deleted with this batch: those whose last open runs it ends.
    fn drained_with(&self, ends: &[RunEnd]) -> Vec<i64> {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        for end in ends {
            *counts.entry(end.lease.lease_id).or_default() += 1;
        }
        let open = self.context.leases.open();
        let mut drained = self.drained.clone();
        drained.extend(counts.into_iter().filter(|(id, count)| open.get(id) == Some(count)).map(|(id, _)| id));
        drained
    }

    fn finished(&mut self, ends: &[RunEnd], settled: &[Settled], drained: &[i64]) {
        self.drained.retain(|id| !drained.contains(id));
        let mut open = self.context.leases.open();
        for end in ends {
            let id = end.lease.lease_id;
            if let Some(count) = open.get_mut(&id) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    open.remove(&id);
                    if !drained.contains(&id) {
                        self.drained.push(id);
                    }
                }
            }
        }
        drop(open);
        for (end, settled) in ends.iter().zip(settled) {
            self.count(end, *settled);
        }
    }

    fn count(&self, end: &RunEnd, settled: Settled) {
        let metrics = &self.context.metrics;
        match settled {
            Settled::Applied | Settled::Duplicate => {
                let status = end.http_status.map(|status| status.to_string()).unwrap_or_default();
                let word = end.transition.recorded.as_str();
                metrics.outcomes.with_label_values(&[word, end.class.unwrap_or(""), &status]).inc();
                if let Next::Dead { reason } = &end.transition.next {
                    debug!(job.id = end.job_id, run_lease = end.run_lease, reason = reason.as_ref(), "job is dead");
                }
            }
            Settled::Superseded => {
                metrics.stale.with_label_values(&["superseded"]).inc();
                debug!(
                    job.id = end.job_id,
                    run_lease = end.run_lease,
                    "a stale end was refused: another party ended the run"
                );
            }
            Settled::Refused => {
                metrics.stale.with_label_values(&["refused"]).inc();
                error!(
                    job.id = end.job_id,
                    run_lease = end.run_lease,
                    "an end was refused: neither its lease nor another end exists"
                );
            }
        }
    }
}

/// The end of a job whose answer Postgres cannot store.
fn unstorable() -> Transition {
    Transition {
        recorded: Recorded::Dead,
        next: Next::Dead { reason: "result_unstorable".into() },
        result: None,
        error: Some(RunError::new("result_unstorable", "Postgres refused to store what the function answered")),
    }
}

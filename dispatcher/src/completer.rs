//! Completer: ended runs → finalize, in batches. A permit is given back when the end of its run is durable.

use std::{
    borrow::Borrow,
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError,
    finalize::{EndedBy, RunEnd, Settled, settle},
    lifecycle::{Next, Recorded, RunError, Transition},
    session::Session,
};
use tokio::sync::{Mutex, mpsc};
use tracing::{debug, error, warn};

use crate::{context::Context, permit::Permit};

/// The most runs one finalize ends.
const BATCH_MAX: usize = 500;
/// How long a small batch waits for company while others are in flight; and how long while company keeps coming.
const LINGER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(4));
/// So many ends within the first wait, and more are coming.
const COMPANY: usize = 16;
/// A batch of so many runs waits for no more.
const BATCH_GOOD: usize = 128;
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

impl Borrow<RunEnd> for Ended {
    fn borrow(&self) -> &RunEnd {
        &self.end
    }
}

/// The ends that the completers share; each takes a batch in turn while the others write theirs.
pub type Inbox = Arc<Mutex<mpsc::UnboundedReceiver<Ended>>>;

/// Writes ends until every flight has told its own. False: the hard stop came first, and some are not written.
pub async fn run(context: Arc<Context>, mut session: Session, inbox: Inbox) -> bool {
    let mut completer = Completer { context, aside: Vec::new() };
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while completer.gather(&mut batch, &inbox).await {
        batch.append(&mut completer.aside);
        if !completer.write(&mut session, &mut batch).await {
            return false;
        }
    }
    true
}

struct Completer {
    context: Arc<Context>,
    /// Runs that Postgres refused one by one; each waits by itself.
    aside: Vec<Ended>,
}

impl Completer {
    /// Waits for ends, and gives a small batch a moment to grow when more are to be expected. False: there will be none.
    async fn gather(&self, batch: &mut Vec<Ended>, inbox: &Inbox) -> bool {
        let leftover = !self.aside.is_empty();
        let mut ended = tokio::select! {
            ended = inbox.lock() => ended,
            () = tokio::time::sleep(PAUSE), if leftover => return true,
        };
        let closing = self.context.closing.is_cancelled();
        let drained = self.context.leases.any_drained();
        tokio::select! {
            biased;
            _ = ended.recv_many(batch, BATCH_MAX) => {}
            () = self.context.closing.cancelled(), if !closing => return true,
            // Runs that stand aside, and leases to delete, are seen to even when no others end.
            () = tokio::time::sleep(PAUSE), if leftover || drained => return true,
            () = std::future::ready(()), if closing && !leftover => return false,
        }
        let began = Instant::now();
        while batch.len() < BATCH_GOOD && self.context.permits.in_flight() > batch.len() + 8 {
            let waited = began.elapsed();
            if waited >= LINGER.1 || waited >= LINGER.0 && batch.len() < COMPANY {
                break;
            }
            // By the clock, not by the end: waking for each costs more than writing it.
            tokio::time::sleep(LINGER.0).await;
            let room = BATCH_MAX - batch.len();
            if !ended.is_empty() {
                ended.recv_many(batch, room).await;
            }
        }
        true
    }

    /// Writes the whole batch, however often Postgres must be asked. False: the hard stop came first.
    async fn write(&mut self, session: &mut Session, batch: &mut Vec<Ended>) -> bool {
        loop {
            let now = Instant::now();
            for one in batch.iter_mut() {
                let age = one.began.map(|began| now.saturating_duration_since(began).as_micros());
                one.end.age_us = age.map(|us| i64::try_from(us).unwrap_or(i64::MAX));
            }
            let drained = self.context.leases.drained_with(batch);
            if batch.is_empty() && drained.is_empty() {
                return true;
            }
            let error = match self.settle(session, batch, &drained).await {
                Ok(settled) => {
                    self.finished(batch, &settled, &drained);
                    batch.clear();
                    return true;
                }
                Err(error) => error,
            };
            self.context.leases.not_deleted(&drained);
            if error.is_divisible() {
                self.divide(session, std::mem::take(batch)).await;
                return true;
            }
            warn!(error = %error, runs = batch.len(), "ends cannot be written now; they are kept and tried again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.context.shutdown.hard().cancelled() => return false,
            }
        }
    }

    async fn settle(
        &self,
        session: &mut Session,
        ends: &[Ended],
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
            match self.settle(session, &part, &[]).await {
                Ok(settled) => self.finished(&part, &settled, &[]),
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

    fn finished(&self, ends: &[Ended], settled: &[Settled], deleted: &[i64]) {
        self.context.leases.ended(ends, deleted);
        // Most of a batch ends alike, and looking up a counter by three labels costs more than counting.
        let mut alike: Vec<(OutcomeLabels, u64)> = Vec::new();
        for (one, settled) in ends.iter().zip(settled) {
            let Some(labels) = self.note(&one.end, *settled) else { continue };
            match alike.iter_mut().find(|(known, _)| *known == labels) {
                Some((_, count)) => *count += 1,
                None => alike.push((labels, 1)),
            }
        }
        for ((word, class, status), count) in alike {
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            self.context.metrics.outcomes.with_label_values(&[word, class, &status]).inc_by(count);
        }
    }

    /// Says what became of an end. The labels to count it under, when it is written.
    fn note(&self, end: &RunEnd, settled: Settled) -> Option<OutcomeLabels> {
        let metrics = &self.context.metrics;
        match settled {
            Settled::Applied | Settled::Duplicate => {
                if let Next::Dead { reason } = &end.transition.next {
                    debug!(job.id = end.job_id, run_lease = end.run_lease, reason = reason.as_ref(), "job is dead");
                }
                return Some((end.transition.recorded.as_str(), end.class.unwrap_or(""), end.http_status));
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
        None
    }
}

/// Outcome, class and status: the labels of one counter.
type OutcomeLabels = (&'static str, &'static str, Option<i16>);

/// The end of a job whose answer Postgres cannot store.
fn unstorable() -> Transition {
    Transition {
        recorded: Recorded::Dead,
        next: Next::Dead { reason: "result_unstorable".into() },
        result: None,
        error: Some(RunError::new("result_unstorable", "Postgres refused to store what the function answered")),
    }
}

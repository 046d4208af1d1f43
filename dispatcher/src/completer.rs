//! Completer: ended runs → finalize, accepted ones → park, suspended ones → suspend, in batches. A permit is given back
//! when what became of its run is durable.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError,
    finalize::{EndedBy, RunEnd, Settled, settle},
    held::HeldRun,
    lifecycle::{self, Next, Outcome, Policy, RunError},
    park::{Park, Parked, park},
    session::Session,
    suspend::{Suspend, Suspended, suspend},
};
use posthaste_service::entropy;
use tokio::sync::{Mutex, mpsc};
use tracing::{debug, error, warn};

use crate::{
    context::Context,
    told::{Fate, Kind, Told, Word},
};

/// The most runs one finalize ends.
const BATCH_MAX: usize = 500;
/// The most suspensions of one transaction: each has steps, and some dozens of waits.
const SUSPEND_MAX: usize = 50;
/// A batch of so many runs waits for no more.
const BATCH_GOOD: usize = 128;
/// How long a batch waits when Postgres is away, and a run that Postgres refuses before it is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a small batch waits for company while others are in flight.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// It looks for company so often, by the clock: waking for each run costs more than writing it.
    look: Duration,
    /// It waits no longer, whoever comes.
    most: Duration,
    /// With fewer at the first look, it waits no longer.
    company: usize,
    /// How old a word is before it is written, while permits are plenty.
    ripe: Duration,
}

/// Of ends and suspensions.
pub const PROMPT: Pace =
    Pace { look: Duration::from_millis(1), most: Duration::from_millis(4), company: 16, ripe: Duration::ZERO };
/// Of parks: a callback that comes first makes its park a mere look.
pub const PATIENT: Pace = Pace {
    look: Duration::from_millis(4),
    most: Duration::from_millis(16),
    company: 0,
    ripe: Duration::from_millis(40),
};

/// What the completers share; each takes a batch in turn while the others write theirs.
pub type Inbox = Arc<Mutex<mpsc::UnboundedReceiver<Told>>>;

/// Writes what is told until every flight has told its own. False: the hard stop came first, and some are not written.
pub async fn run(context: Arc<Context>, mut session: Session, inbox: Inbox, pace: Pace) -> bool {
    let mut completer = Completer { context, pace, young: VecDeque::new(), aside: Vec::new() };
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while completer.gather(&mut batch, &inbox).await {
        batch.append(&mut completer.aside);
        if !completer.write_in_turn(&mut session, &mut batch).await {
            return false;
        }
    }
    true
}

struct Completer {
    context: Arc<Context>,
    pace: Pace,
    /// Words that are not ripe yet, oldest first.
    young: VecDeque<Told>,
    /// Runs that Postgres refused one by one; each waits by itself.
    aside: Vec<Told>,
}

impl Completer {
    /// Waits for words, and gives a small batch a moment to grow when more are to be expected. False: there will be none.
    async fn gather(&mut self, batch: &mut Vec<Told>, inbox: &Inbox) -> bool {
        let leftover = !self.aside.is_empty();
        let ripening = !self.young.is_empty();
        let mut told = tokio::select! {
            told = inbox.lock() => told,
            () = tokio::time::sleep(PAUSE), if leftover => return true,
        };
        let closing = self.context.closing.is_cancelled();
        let drained = self.context.leases.any_drained();
        tokio::select! {
            biased;
            _ = told.recv_many(batch, BATCH_MAX) => {}
            () = self.context.closing.cancelled(), if !closing => return true,
            // Runs that stand aside, and leases to delete, are seen to even when no others end.
            () = std::future::ready(()), if closing && ripening => {}
            () = tokio::time::sleep(self.pace.most), if ripening => {}
            () = tokio::time::sleep(PAUSE), if leftover || drained => return true,
            () = std::future::ready(()), if closing && !leftover => return false,
        }
        let (began, Pace { look, most, company, .. }) = (Instant::now(), self.pace);
        let permits = &self.context.permits;
        while batch.len() < BATCH_GOOD && permits.in_flight() > batch.len() + 8 && permits.free() >= batch.len() {
            let waited = began.elapsed();
            if waited >= most || waited >= look && batch.len() < company {
                break;
            }
            tokio::time::sleep(look).await;
            let room = BATCH_MAX - batch.len();
            if !told.is_empty() {
                told.recv_many(batch, room).await;
            }
        }
        drop(told);
        self.ripen(batch);
        true
    }

    /// Keeps words back until they are due; at the end all are.
    fn ripen(&mut self, batch: &mut Vec<Told>) {
        if self.pace.ripe.is_zero() {
            return;
        }
        self.young.extend(batch.drain(..));
        let due = if self.context.closing.is_cancelled() {
            self.young.len()
        } else {
            let ages = self.young.iter().map(|one| one.at.elapsed());
            due(ages, self.pace.ripe, self.context.permits.capacity())
        };
        batch.extend(self.young.drain(..due.min(BATCH_MAX)));
    }

    /// Writes one kind after the other, so that a lease is deleted with the last of its runs, whatever became of that.
    /// False: the hard stop came first.
    async fn write_in_turn(&mut self, session: &mut Session, batch: &mut Vec<Told>) -> bool {
        for (kind, most) in [(Kind::Park, BATCH_MAX), (Kind::Suspend, SUSPEND_MAX)] {
            let mut some: Vec<Told> = batch.extract_if(.., |one| one.kind() == kind).collect();
            while !some.is_empty() {
                let mut part = some.split_off(some.len().saturating_sub(most));
                if !self.write(session, &mut part).await {
                    return false;
                }
            }
        }
        self.write(session, batch).await
    }

    /// Writes the whole batch, all of one kind, however often Postgres must be asked. False: the hard stop came
    /// first.
    async fn write(&mut self, session: &mut Session, batch: &mut Vec<Told>) -> bool {
        loop {
            let now = Instant::now();
            for one in batch.iter_mut() {
                one.age(now);
            }
            let drained = self.context.leases.drained_with(batch);
            if batch.is_empty() && drained.is_empty() {
                return true;
            }
            let error = match self.issue(session, batch, &drained).await {
                Ok(fates) => {
                    self.finished(batch, fates, &drained);
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
            warn!(error = %error, runs = batch.len(), "runs cannot be written now; they are kept and tried again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.context.shutdown.hard().cancelled() => return false,
            }
        }
    }

    /// Writes a batch of one kind once.
    async fn issue(&self, session: &mut Session, batch: &[Told], drained: &[i64]) -> Result<Vec<Fate>, EngineError> {
        let (sent, metrics) = (Instant::now(), &self.context.metrics);
        let (statement, result) = match batch.first().map_or(Kind::End, Told::kind) {
            Kind::End => {
                #[expect(clippy::cast_precision_loss, reason = "at most 500")]
                metrics.finalize_batch.observe(batch.len() as f64);
                let ends: Vec<&RunEnd> = batch.iter().filter_map(Told::end).collect();
                let settled = session.call(async |c| settle(c, &ends, EndedBy::Dispatcher, drained).await).await;
                ("finalize", settled.map(|all| all.into_iter().map(Fate::Settled).collect()))
            }
            Kind::Park => {
                let parks: Vec<Park> = batch.iter().filter_map(|one| one.park().cloned()).collect();
                let parked = session.call(async |c| park(c, &parks, drained).await).await;
                ("park", parked.map(|all| all.into_iter().map(Fate::Parked).collect()))
            }
            Kind::Suspend => {
                let suspends: Vec<Suspend> = batch.iter().filter_map(|one| one.suspend().cloned()).collect();
                let suspended = session.call(async |c| suspend(c, &suspends, drained).await).await;
                ("suspend", suspended.map(|all| all.into_iter().map(Fate::Suspended).collect()))
            }
        };
        metrics.statement(statement, sent.elapsed(), result.is_ok());
        result
    }

    /// One lock, value or row of the batch is at fault: halves it until the guilty run stands alone.
    async fn divide(&mut self, session: &mut Session, batch: Vec<Told>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.issue(session, &part, &[]).await {
                Ok(fates) => self.finished(&mut part, fates, &[]),
                Err(error) if error.is_divisible() && part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                }
                Err(error) => self.set_aside(part, &error),
            }
        }
    }

    /// Keeps what could not be written. A value that Postgres will never store ends its job, which then says so.
    fn set_aside(&mut self, mut part: Vec<Told>, error: &EngineError) {
        for one in &mut part {
            let run = one.run();
            warn!(job.id = run.job_id, run_lease = run.run_lease, error = %error, "what became of a run was refused");
            if let EngineError::Refused { code, .. } = error
                && (code.starts_with("22") || code.starts_with("54"))
            {
                one.make_storable(|held, error| failed(&self.context, held, error));
            }
        }
        self.aside.append(&mut part);
    }

    fn finished(&mut self, batch: &mut Vec<Told>, mut fates: Vec<Fate>, deleted: &[i64]) {
        self.fail_refused(batch, &mut fates);
        self.context.leases.written(batch, deleted);
        // Most of a batch ends alike, and looking up a counter by three labels costs more than counting.
        let mut alike: Vec<(OutcomeLabels, u64)> = Vec::new();
        for (one, fate) in batch.iter().zip(fates) {
            let (Some(end), Fate::Settled(settled)) = (one.end(), fate) else {
                self.note_wait(one, fate);
                continue;
            };
            let Some(labels) = self.note(end, settled) else { continue };
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

    /// Says what became of a park or a suspension, and counts it.
    fn note_wait(&self, one: &Told, fate: Fate) {
        let run = one.run();
        let word = match fate {
            Fate::Parked(Parked::Waits { .. }) => "waits",
            Fate::Suspended(Suspended::Waits) => "suspended",
            Fate::Parked(Parked::Refused) | Fate::Suspended(Suspended::Refused) => {
                error!(
                    job.id = run.job_id,
                    run_lease = run.run_lease,
                    "a park was refused: neither its lease, nor a wait, nor an end exists"
                );
                "refused"
            }
            _ => {
                debug!(
                    job.id = run.job_id,
                    run_lease = run.run_lease,
                    "a run ended before it was parked: its callback came first"
                );
                "ended"
            }
        };
        self.context.metrics.parks.with_label_values(&[word]).inc();
    }

    /// Takes suspensions out whose steps were refused: nothing of them was written, and their attempts have failed.
    fn fail_refused(&mut self, batch: &mut Vec<Told>, fates: &mut Vec<Fate>) {
        if !fates.iter().any(|fate| refusal(*fate).is_some()) {
            return;
        }
        let pairs: Vec<(Told, Fate)> = batch.drain(..).zip(fates.drain(..)).collect();
        for (mut one, fate) in pairs {
            if let (Some(error), Some(suspend)) = (refusal(fate), one.suspend()) {
                one.word = Word::End(failed(&self.context, &suspend.run, error));
                self.aside.push(one);
            } else {
                batch.push(one);
                fates.push(fate);
            }
        }
    }
}

/// How many of the words that are kept back, oldest first, are written now: those that are ripe, and the oldest of those that
/// together hold more than half of the permits.
fn due(ages: impl ExactSizeIterator<Item = Duration>, ripe: Duration, capacity: usize) -> usize {
    let crowded = ages.len().saturating_sub(capacity / 2);
    ages.take_while(|age| *age >= ripe).count().max(crowded)
}

/// Why a suspension is a failed attempt.
fn refusal(fate: Fate) -> Option<RunError> {
    match fate {
        Fate::Suspended(Suspended::StepsConflict { seq }) => {
            let message = format!("the steps were changed meanwhile: their seq is {seq}");
            Some(RunError::new("steps_conflict", message))
        }
        Fate::Suspended(Suspended::StepsTooLarge) => {
            Some(RunError::new("steps_too_large", "with these steps, those of the job are too large"))
        }
        _ => None,
    }
}

/// The end of a run whose answer makes no sense to Postgres.
fn failed(context: &Context, held: &HeldRun, error: RunError) -> RunEnd {
    let policy = Policy { max_attempts: held.max_attempts, retry: context.routes.load().retry_of(held.scan) };
    let outcome = Outcome::Failed { error, retry_after: None };
    held.end(lifecycle::decide(outcome, held.spent, &policy, entropy::jitter()), Some("responded"))
}

/// Outcome, class and status: the labels of one counter.
type OutcomeLabels = (&'static str, &'static str, Option<i16>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_due_when_they_are_ripe_and_the_oldest_when_they_hold_half_of_the_permits() {
        let due_of = |ages: &[u64], capacity| {
            due(ages.iter().map(|ms| Duration::from_millis(*ms)), Duration::from_millis(40), capacity)
        };
        assert_eq!(due_of(&[], 512), 0);
        assert_eq!(due_of(&[90, 40, 39, 1], 512), 2, "those of 40 ms and more");
        assert_eq!(due_of(&[30, 20, 10, 1], 8), 0, "just half");
        assert_eq!(due_of(&[30, 20, 10, 5, 1], 8), 1, "the oldest, not all");
        assert_eq!(due_of(&[90, 80, 70, 1, 1], 8), 3, "more are ripe than are too many");
        assert_eq!(due_of(&[5, 1], 1), 2, "nothing is kept back where there is no room");
    }
}

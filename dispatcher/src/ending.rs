//! Ending: what became of a claimed run is told to the completer, once, whatever happens to its task.

use std::{sync::Arc, time::Instant};

use posthaste_engine::{
    claim::ClaimedRun,
    finalize::RunEnd,
    held::HeldRun,
    lifecycle::{self, Outcome, Policy, RunError},
    park::Park,
    suspend::Suspend,
};
use posthaste_protocol::{accepted::Accepted, suspend::Suspension};
use posthaste_service::entropy;
use tracing::warn;

use crate::{
    context::Context,
    outcome::{self, Reading},
    permit::Permit,
    target::Target,
    told::{Told, Word},
};

/// What is known of a POST besides what it came to.
#[derive(Default)]
pub struct Facts {
    /// `responded`, `not_sent` or `unknown`.
    pub class: Option<&'static str>,
    /// The answer's.
    pub status: Option<u16>,
    /// When it began; `None` when it did not.
    pub began: Option<Instant>,
    /// Until the answer's head, microseconds.
    pub headers_us: Option<u64>,
    /// From there to the end of the body, microseconds.
    pub body_us: Option<u64>,
}

/// What the end of a run needs of its flight.
struct Open {
    run: Arc<ClaimedRun>,
    target: Arc<Target>,
    permit: Permit,
}

/// A run whose end is still to be told. Dropping it tells one too: an end that nobody tells would hold its permit and
/// lease for ever.
pub struct Ending {
    context: Arc<Context>,
    open: Option<Open>,
}

impl Ending {
    /// Of this run.
    pub fn new(context: Arc<Context>, run: Arc<ClaimedRun>, target: Arc<Target>, permit: Permit) -> Self {
        Self { context, open: Some(Open { run, target, permit }) }
    }

    /// The run ended, or waits.
    pub fn tell(&mut self, reading: Reading, facts: &Facts) {
        match reading {
            Reading::Ended(outcome) => self.end(outcome, facts),
            Reading::Accepted(accepted) => self.park(accepted.unwrap_or_default(), facts),
            Reading::Suspended(suspension) => self.suspend(*suspension, facts),
            Reading::Unknown(_) => self.park(Accepted::default(), facts),
        }
    }

    /// The run ended.
    pub fn end(&mut self, outcome: Outcome, facts: &Facts) {
        let Some(Open { run, target, permit }) = self.open.take() else { return };
        let max_attempts = u32::try_from(run.max_attempts).unwrap_or(1);
        let policy = Policy { max_attempts, retry: target.endpoint.retry.clone() };
        let transition = lifecycle::decide(outcome, run.spent, &policy, entropy::jitter());
        self.send(&run, Word::End(run_end(&run, transition, facts)), facts, permit);
    }

    /// Nobody knows whether the function ran.
    pub fn lost(&mut self, error: RunError, facts: &Facts) {
        let Some(open) = &self.open else { return };
        let on_unknown = open.target.endpoint.on_unknown(self.context.callbacks.is_some());
        self.tell(outcome::unknown(error, on_unknown), facts);
    }

    fn park(&mut self, accepted: Accepted, facts: &Facts) {
        let Some(Open { run, target, permit }) = self.open.take() else { return };
        let park = Park { run: held(&run, facts), times: target.endpoint.wait_times(accepted, run.callback_timeout) };
        self.send(&run, Word::Park(park), facts, permit);
    }

    fn suspend(&mut self, suspension: Suspension, facts: &Facts) {
        let Some(Open { run, target, permit }) = self.open.take() else { return };
        let times = target.endpoint.wait_times(Accepted::default(), run.callback_timeout);
        let (max_run, default_timeout) = (times.max_run, times.callback);
        let suspend = Suspend { run: held(&run, facts), suspension, max_run, default_timeout };
        self.send(&run, Word::Suspend(Box::new(suspend)), facts, permit);
    }

    fn send(&self, run: &ClaimedRun, word: Word, facts: &Facts, permit: Permit) {
        self.context.flights().remove(&run.job_id);
        // The completer outlives every flight; should it be gone, the lease is rescued.
        let (told, parks) = (&self.context.told, &self.context.parks);
        let inbox = if matches!(word, Word::Park(_)) { parks } else { told };
        if inbox.send(Told { word, at: Instant::now(), began: facts.began, permit }).is_err() {
            warn!(job.id = run.job_id, "the completer is gone; the run will be rescued");
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let error = RunError::new("dispatcher_panic", "the dispatcher failed while it handled this run");
        self.lost(error, &Facts { class: Some("unknown"), ..Facts::default() });
    }
}

/// The run, with its answer.
fn held(run: &ClaimedRun, facts: &Facts) -> HeldRun {
    HeldRun {
        http_status: facts.status.and_then(|status| i16::try_from(status).ok()),
        headers_us: facts.headers_us.map(small),
        body_us: facts.body_us.map(small),
        ..HeldRun::from(run)
    }
}

/// Whether a row of snoozes turns into one of holds, or the other way round: the clock starts anew.
fn changes_kind(run: &ClaimedRun, transition: &lifecycle::Transition) -> bool {
    matches!(transition.next, lifecycle::Next::Again { snoozing, .. } if snoozing != run.spent.snoozing)
}

fn run_end(run: &ClaimedRun, transition: lifecycle::Transition, facts: &Facts) -> RunEnd {
    RunEnd {
        lease: run.lease,
        job_id: run.job_id,
        run_lease: run.run_lease,
        scan: run.scan,
        attempt: if facts.began.is_some() { run.attempt() } else { run.attempt() - 1 },
        uncounted_since: run.uncounted_since.filter(|_| !changes_kind(run, &transition)),
        transition,
        class: facts.class,
        http_status: facts.status.and_then(|status| i16::try_from(status).ok()),
        age_us: None, // set by the completer, when it writes
        headers_us: facts.headers_us.map(small),
        body_us: facts.body_us.map(small),
        callback: None,
    }
}

fn small(us: u64) -> i32 {
    i32::try_from(us).unwrap_or(i32::MAX)
}

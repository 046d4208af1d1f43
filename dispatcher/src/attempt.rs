//! Attempt: one claimed run → one POST → one end. Whatever happens to the task, the end is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    claim::ClaimedRun,
    finalize::RunEnd,
    lane::Lane,
    lifecycle::{self, Outcome, Policy, RunError, THROTTLES_BEFORE_CHARGE},
};
use posthaste_service::{entropy, telemetry};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, debug_span, info, warn};

use crate::{
    breaker::{Consequence, State},
    completer::Ended,
    context::Context,
    egress::{Answer, SendError},
    outcome::{self, AnswerContext, RESULT_CAP, Verdict},
    permit::{Hold, Permit},
    request,
    target::Target,
};

/// A claimed run on its way to its function.
pub struct Flight {
    /// The run.
    pub run: Arc<ClaimedRun>,
    /// Its words.
    pub lane: Arc<Lane>,
    /// Where it goes.
    pub target: Arc<Target>,
    /// When its claim was sent.
    pub claimed: Instant,
    /// Given back when the end is durable.
    pub permit: Permit,
    /// Given back when the POST has ended.
    pub hold: Hold,
}

/// What is known of a POST besides its outcome.
#[derive(Default)]
struct Facts {
    class: Option<&'static str>,
    status: Option<u16>,
    began: Option<Instant>,
    headers_us: Option<u64>,
    body_us: Option<u64>,
}

/// What the end of a run needs of its flight.
struct Open {
    run: Arc<ClaimedRun>,
    target: Arc<Target>,
    permit: Permit,
}

/// Tells the end of a run even when its task panics: an end that nobody tells would hold its permit and lease for ever.
struct Ending {
    context: Arc<Context>,
    open: Option<Open>,
}

impl Ending {
    fn tell(&mut self, outcome: Outcome, facts: &Facts) {
        let Some(Open { run, target, permit }) = self.open.take() else { return };
        self.context.flights().remove(&run.job_id);
        let max_attempts = u32::try_from(run.max_attempts).unwrap_or(1);
        let policy = Policy { max_attempts, retry: target.retry.clone() };
        let transition = lifecycle::decide(outcome, run.spent, &policy, entropy::jitter());
        let ended = Ended { end: run_end(&run, transition, facts), began: facts.began, permit };
        // The completer outlives every flight; should it be gone, the lease is rescued.
        if self.context.ended.send(ended).is_err() {
            warn!(job.id = run.job_id, "the completer is gone; the run will be rescued");
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let error = RunError::new("dispatcher_panic", "the dispatcher failed while it handled this run");
        let fail = self.open.as_ref().is_some_and(|open| open.target.lost().fail);
        self.tell(Outcome::Unknown { error, fail }, &Facts { class: Some("unknown"), ..Facts::default() });
    }
}

/// Runs one attempt to its end.
pub async fn attempt(context: Arc<Context>, flight: Flight) {
    let span = debug_span!(
        "attempt",
        job.id = flight.run.job_id,
        run_lease = flight.run.run_lease,
        lease.id = flight.run.lease.lease_id,
        job.kind = flight.lane.kind,
        job.queue = flight.lane.queue,
        endpoint.name = flight.target.name,
        attempt.number = flight.run.attempt(),
        trace_id = tracing::field::Empty,
        outcome = tracing::field::Empty,
        http.status = tracing::field::Empty,
    );
    if !span.is_disabled() {
        adopt(&span, flight.run.trace.as_deref());
    }
    dispatch(context, flight, &span).instrument(span.clone()).await;
}

/// Makes the attempt's span a child of the enqueue's.
fn adopt(span: &Span, trace: Option<&str>) {
    if let Some(parent) = trace.and_then(|trace| trace.parse::<posthaste_protocol::trace::TraceContext>().ok()) {
        telemetry::set_parent(span, parent.trace_id(), parent.span_id(), parent.flags());
        span.record(
            "trace_id",
            tracing::field::display(format_args!("{:032x}", u128::from_be_bytes(parent.trace_id()))),
        );
    }
}

async fn dispatch(context: Arc<Context>, flight: Flight, span: &Span) {
    let (run, target, lane) = (Arc::clone(&flight.run), Arc::clone(&flight.target), Arc::clone(&flight.lane));
    let Flight { run: _, lane: _, target: _, claimed, permit, hold } = flight;
    let cancel = CancellationToken::new();
    context.flights().insert(run.job_id, cancel.clone());
    let mut ending = Ending {
        context: Arc::clone(&context),
        open: Some(Open { run: Arc::clone(&run), target: Arc::clone(&target), permit }),
    };
    let mut facts = Facts::default();
    if run.expired {
        return ending.tell(Outcome::Expired, &facts);
    }
    let slot = tokio::select! {
        slot = hold.enter() => slot,
        () = cancel.cancelled() => return cancelled(&context, &mut ending, &target, &facts).await,
        () = context.shutdown.soft().cancelled() => None,
    };
    // No slot: the endpoint's breaker opened, or this process drains. Too late: a rescuer may hold the run by now.
    let Some(_slot) = slot.filter(|_| context.may_send(claimed)) else {
        return ending.tell(Outcome::Released, &facts);
    };
    let request = match request::build(&run, &lane, &target, *context.installation.as_bytes(), span) {
        Ok(request) => request,
        Err(error) => {
            let error = RunError::new("unsendable", error.to_string());
            return ending.tell(Outcome::GaveUp { error }, &facts);
        }
    };
    let began = Instant::now();
    facts.began = Some(began);
    if run.run_lease == 1 {
        context.metrics.pickup_seconds.observe((run.age + claimed.elapsed()).as_secs_f64());
    }
    let deadline = tokio::time::Instant::from_std(began + target.timeout(run.timeout_ms));
    let result = tokio::select! {
        result = context.client.post(target.uri.clone(), request.headers, request.body, deadline, RESULT_CAP) => result,
        () = cancel.cancelled() => {
            facts.class = Some("unknown");
            return cancelled(&context, &mut ending, &target, &facts).await;
        }
        () = context.shutdown.hard().cancelled() => {
            facts.class = Some("unknown");
            let error = RunError::new("shutdown", "the dispatcher stopped before the function answered");
            return ending.tell(Outcome::Unknown { error, fail: target.lost().fail }, &facts);
        }
    };
    target.gate.took(began.elapsed());
    target.dispatch_seconds.observe(began.elapsed().as_secs_f64());
    let outcome = judge(&context, &run, &target, &result, &mut facts);
    describe(span, &outcome, &facts);
    ending.tell(outcome, &facts);
}

/// The POST was dropped on request; what the run holds is held until the function's grace is over.
async fn cancelled(context: &Context, ending: &mut Ending, target: &Target, facts: &Facts) {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(target.spec.cancel_grace_ms)) => {}
        () = context.shutdown.soft().cancelled() => {}
    }
    ending.tell(Outcome::Cancelled { reason: Some("cancelled while it was running".to_owned()) }, facts);
}

/// The answer, or its absence, read by the table; and what it says about the endpoint.
fn judge(
    context: &Arc<Context>,
    run: &ClaimedRun,
    target: &Target,
    result: &Result<Answer, SendError>,
    facts: &mut Facts,
) -> Outcome {
    let (mut outcome, verdict) = match result {
        Ok(answer) => {
            facts.class = Some("responded");
            facts.status = Some(answer.status.as_u16());
            facts.headers_us = Some(answer.headers_us);
            facts.body_us = Some(answer.body_us);
            let table = AnswerContext {
                status_map: &target.status_map,
                sdk: target.spec.sdk,
                accept_202_wait: target.waits_on_202(),
                result_cap: RESULT_CAP,
            };
            outcome::classify(&answer.view(), &table)
        }
        Err(error) => {
            let (outcome, verdict) = outcome::from_send_error(error, target.on_unknown());
            facts.class = Some(if verdict == Verdict::NotSent { "not_sent" } else { "unknown" });
            (outcome, verdict)
        }
    };
    let now = Instant::now();
    let (consequence, others_succeed, probed) = target.gate.health(|health| {
        let (others_succeed, probed) = (health.others_succeed(now), health.state() == State::HalfOpen);
        (health.record(verdict, run.job_id, now), others_succeed, probed)
    });
    if let Outcome::Throttled { charged, .. } = &mut outcome {
        *charged = run.spent.uncounted >= THROTTLES_BEFORE_CHARGE && others_succeed;
    }
    announce(context, target, consequence, probed);
    outcome
}

fn announce(context: &Arc<Context>, target: &Target, consequence: Consequence, probed: bool) {
    let name = target.name.as_str();
    match consequence {
        Consequence::None => {}
        Consequence::Opened => {
            target.gate.shut();
            if probed {
                debug!(endpoint.name = name, "the probe failed: the breaker stays open");
            } else {
                warn!(endpoint.name = name, "breaker opened: its jobs stay available");
            }
        }
        Consequence::Closed => info!(endpoint.name = name, "breaker closed"),
        Consequence::Shrunk(limit) => info!(endpoint.name = name, limit, "endpoint is overloaded: sending less"),
        Consequence::Retired => {
            warn!(endpoint.name = name, "five jobs were told 410: pausing the endpoint");
            if context.retire.send(name.to_owned()).is_err() {
                warn!(endpoint.name = name, "shutting down: the endpoint was not paused");
            }
        }
    }
}

fn describe(span: &Span, outcome: &Outcome, facts: &Facts) {
    if span.is_disabled() {
        return;
    }
    if let Some(status) = facts.status {
        span.record("http.status", status);
    }
    let word = match outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Snoozed { .. } => "snoozed",
        Outcome::Cancelled { .. } => "cancelled",
        Outcome::GaveUp { error }
        | Outcome::Failed { error, .. }
        | Outcome::Throttled { error, .. }
        | Outcome::Misconfigured { error, .. }
        | Outcome::NotSent { error }
        | Outcome::Unknown { error, .. } => error.code.as_ref(),
        Outcome::TimedOut(_) => "timed_out",
        Outcome::Expired => "expired",
        Outcome::Released => "released",
    };
    span.record("outcome", word);
    debug!(outcome = word, "attempt ended");
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
        headers_us: facts.headers_us.map(|us| i32::try_from(us).unwrap_or(i32::MAX)),
        body_us: facts.body_us.map(|us| i32::try_from(us).unwrap_or(i32::MAX)),
        callback: None,
    }
}

//! Attempt: one claimed run → one POST → one end. Whatever happens to the task, the end is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    claim::ClaimedRun,
    lane::Lane,
    lifecycle::{Outcome, RunError, THROTTLES_BEFORE_CHARGE},
};
use posthaste_service::{clock, telemetry};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, debug_span, info, warn};

use crate::{
    auth::Unauthorized,
    breaker::{Consequence, State},
    context::Context,
    egress::{Answer, SendError},
    ending::{Ending, Facts},
    mint::Minted,
    outcome::{self, AnswerContext, LAMBDA_CAP, RESULT_CAP, Reading, Verdict},
    permit::{Hold, Permit},
    request::{self, DispatchRequest, Unsent},
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
    let mut ending = Ending::new(Arc::clone(&context), Arc::clone(&run), Arc::clone(&target), permit);
    let mut facts = Facts::default();
    if run.expired {
        return ending.end(Outcome::Expired, &facts);
    }
    let slot = tokio::select! {
        slot = hold.enter() => slot,
        () = cancel.cancelled() => return cancelled(&context, &mut ending, &target, &facts).await,
        () = context.shutdown.soft().cancelled() => None,
    };
    // No slot: the endpoint's breaker opened, or this process drains. Too late: a rescuer may hold the run by now.
    let Some(_slot) = slot.filter(|_| context.may_send(claimed)) else {
        return ending.end(Outcome::Released, &facts);
    };
    let request = match request(&context, &run, &lane, &target, claimed, span) {
        Ok(request) => request,
        Err(error) => return unsent(&context, &mut ending, &error, &facts),
    };
    let began = Instant::now();
    facts.began = Some(began);
    if run.run_lease == 1 {
        context.metrics.pickup_seconds.observe((run.age + claimed.elapsed()).as_secs_f64());
    }
    let deadline = tokio::time::Instant::from_std(began + target.timeout(run.timeout_ms));
    let cap = if target.unwraps() { LAMBDA_CAP } else { RESULT_CAP };
    let client = target.own_client.as_ref().map_or(&context.client, |own| &own.client);
    let result = tokio::select! {
        result = client.post(target.uri.clone(), request.headers, request.body, deadline, cap) => {
            result.map(|answer| if target.unwraps() { outcome::unwrap(answer) } else { answer })
        }
        () = cancel.cancelled() => {
            facts.class = Some("unknown");
            return cancelled(&context, &mut ending, &target, &facts).await;
        }
        () = context.shutdown.hard().cancelled() => {
            facts.class = Some("unknown");
            let error = RunError::new("shutdown", "the dispatcher stopped before the function answered");
            return ending.lost(error, &facts);
        }
    };
    target.endpoint.gate.took(began.elapsed());
    target.dispatch_seconds.observe(began.elapsed().as_secs_f64());
    let reading = judge(&context, &run, &target, &result, &mut facts);
    describe(span, &reading, &facts);
    ending.tell(reading, &facts);
}

/// The request, with the tokens to call back. They are gone before the POST begins.
fn request(
    context: &Context,
    run: &ClaimedRun,
    lane: &Lane,
    target: &Target,
    claimed: Instant,
    span: &Span,
) -> Result<DispatchRequest, Unsent> {
    let minted = context.callbacks.as_ref().map(|callbacks| callbacks.mint(run, target, claimed, clock::unix_now()));
    request::build(run, lane, target, *context.installation.as_bytes(), minted.as_ref().map(Minted::grant), span)
}

/// Nothing was sent. Without credentials the run is given back, and nothing is claimed until there are some.
fn unsent(context: &Context, ending: &mut Ending, why: &Unsent, facts: &Facts) {
    let code = match why {
        Unsent::Unauthorized(Unauthorized::NoCredentials) => {
            context.credentials.ended();
            return ending.end(Outcome::Released, facts);
        }
        Unsent::Header(_) | Unsent::Unauthorized(Unauthorized::Unsignable(_)) => "unsendable",
        Unsent::TooLarge { .. } => "payload_too_large",
    };
    ending.end(Outcome::GaveUp { error: RunError::new(code, why.to_string()) }, facts);
}

/// The POST was dropped on request. What the run holds is held until the function's grace is over; a callback that
/// comes before wins. A function that was never called has nothing to end.
async fn cancelled(context: &Context, ending: &mut Ending, target: &Target, facts: &Facts) {
    let reason = "cancelled while it was running";
    if facts.began.is_some() {
        let stops = tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(target.endpoint.spec.cancel_grace_ms)) => false,
            () = context.shutdown.soft().cancelled() => true,
        };
        if stops && context.callbacks.is_some() {
            // It waits out its grace without us: then the sweep of cancel requests ends it.
            return ending.tell(Reading::Unknown(RunError::new("cancelled", reason)), facts);
        }
    }
    ending.end(Outcome::Cancelled { reason: Some(reason.to_owned()) }, facts);
}

/// The answer, or its absence, read by the table; and what it says about the endpoint.
fn judge(
    context: &Arc<Context>,
    run: &ClaimedRun,
    target: &Target,
    result: &Result<Answer, SendError>,
    facts: &mut Facts,
) -> Reading {
    let callbacks = context.callbacks.is_some();
    let (mut reading, verdict) = match result {
        Ok(answer) => {
            facts.class = Some("responded");
            facts.status = Some(answer.status.as_u16());
            facts.headers_us = Some(answer.headers_us);
            facts.body_us = Some(answer.body_us);
            let table = AnswerContext {
                status_map: &target.status_map,
                // Where Lambda queues, the 202 is its own.
                sdk: target.endpoint.spec.sdk && !target.queues(),
                accept_202_wait: target.waits_on_202(),
                callbacks,
                max_run_ms: target.endpoint.spec.max_run_ms,
                now_unix: clock::unix_now(),
                result_cap: RESULT_CAP,
            };
            outcome::classify(&answer.view(), &table)
        }
        Err(error) => {
            let (reading, verdict) = outcome::from_send_error(error, target.endpoint.on_unknown(callbacks));
            facts.class = Some(if verdict == Verdict::NotSent { "not_sent" } else { "unknown" });
            (reading, verdict)
        }
    };
    let now = Instant::now();
    let (consequence, others_succeed, probed) = target.endpoint.gate.health(|health| {
        let (others_succeed, probed) = (health.others_succeed(now), health.state() == State::HalfOpen);
        match &reading {
            Reading::Accepted(_) => health.took_job(true),
            Reading::Ended(Outcome::Completed { .. }) | Reading::Suspended(_) => health.took_job(false),
            _ => {}
        }
        (health.record(verdict, run.job_id, now), others_succeed, probed)
    });
    match &mut reading {
        Reading::Ended(Outcome::Throttled { charged, .. }) => {
            *charged = run.spent.uncounted >= THROTTLES_BEFORE_CHARGE && others_succeed;
        }
        Reading::Accepted(Err(error)) => {
            warn!(job.id = run.job_id, error = %error, "waiting as long as the endpoint says");
        }
        _ => {}
    }
    announce(context, target, consequence, probed);
    reading
}

fn announce(context: &Arc<Context>, target: &Target, consequence: Consequence, probed: bool) {
    let name = target.name.as_str();
    match consequence {
        Consequence::None => {}
        Consequence::Opened => {
            target.endpoint.gate.shut();
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

fn describe(span: &Span, reading: &Reading, facts: &Facts) {
    if span.is_disabled() {
        return;
    }
    if let Some(status) = facts.status {
        span.record("http.status", status);
    }
    let word = match reading {
        Reading::Accepted(_) => "accepted",
        Reading::Suspended(_) => "suspended",
        Reading::Unknown(error) => error.code.as_ref(),
        Reading::Ended(outcome) => word_of(outcome),
    };
    span.record("outcome", word);
    debug!(outcome = word, "attempt ended");
}

fn word_of(outcome: &Outcome) -> &str {
    match outcome {
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
    }
}

//! Beat: this dispatcher lives, what it does, and which of its runs somebody asked to cancel.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{fleet, session::Session, sweep};
use posthaste_service::health::{HEARTBEAT_ALIVE, POSTGRES_CONNECTED};
use serde::Serialize;
use tracing::warn;

use crate::{breaker::State, context::Context};

/// How often. A rescue needs 15 s of silence: four beats may be lost.
const EVERY: Duration = Duration::from_secs(3);

/// Beats until the flights are over (the process ends this task).
pub async fn run(context: Arc<Context>, mut session: Session) {
    loop {
        beat(&context, &mut session).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = context.cancels.notified() => {}
        }
    }
}

async fn beat(context: &Context, session: &mut Session) {
    let state = state(context);
    let sent = Instant::now();
    let (id, flying) = (context.dispatcher_id, context.permits.in_flight() > 0);
    let result = session
        .call(async |c| {
            fleet::beat(c, id, &state, &context.host, env!("CARGO_PKG_VERSION")).await?;
            if flying { sweep::cancel_requests(c).await } else { Ok(Vec::new()) }
        })
        .await;
    context.metrics.statement("heartbeat", sent.elapsed(), result.is_ok());
    context.health.set(POSTGRES_CONNECTED, result.is_ok());
    match result {
        Ok(cancels) => {
            context.beat_arrived(sent);
            context.health.beat(HEARTBEAT_ALIVE);
            cancel(context, &cancels);
        }
        Err(error) => warn!(error = %error, "the heartbeat did not arrive"),
    }
}

/// Drops the open POSTs of these jobs.
fn cancel(context: &Context, jobs: &[i64]) {
    let flights = context.flights();
    for token in jobs.iter().filter_map(|job| flights.get(job)) {
        token.cancel();
    }
}

/// What operators see of this dispatcher.
#[derive(Serialize)]
struct Report<'a> {
    in_flight: usize,
    capacity: usize,
    endpoints: std::collections::BTreeMap<&'a str, EndpointReport<'a>>,
}

#[derive(Serialize)]
struct EndpointReport<'a> {
    /// Why this dispatcher cannot use the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    unusable: Option<&'a str>,
    breaker: &'static str,
    in_flight: usize,
    limit: usize,
    misconfigured: bool,
}

fn state(context: &Context) -> String {
    let routes = context.routes.load();
    let now = Instant::now();
    let endpoints = routes.targets.values().map(|target| {
        let (state, limit, misconfigured) = target.endpoint.gate.health(|health| {
            let limit = health.limit(now);
            (health.state(), limit, health.is_misconfigured())
        });
        let in_flight = target.endpoint.gate.open();
        gauges(context, &target.name, state, limit, in_flight);
        let report = EndpointReport { unusable: None, breaker: state.as_str(), in_flight, limit, misconfigured };
        (target.name.as_str(), report)
    });
    let unusable = routes.unusable.iter().map(|(name, why)| {
        let unusable = Some(why.reason.as_str());
        (name.as_str(), EndpointReport { unusable, breaker: "closed", in_flight: 0, limit: 0, misconfigured: false })
    });
    let report = Report {
        in_flight: context.permits.in_flight(),
        capacity: context.permits.capacity(),
        endpoints: endpoints.chain(unusable).collect(),
    };
    serde_json::to_string(&report).unwrap_or_else(|_| "{}".to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "at most 10,000")]
fn gauges(context: &Context, endpoint: &str, state: State, limit: usize, in_flight: usize) {
    let metrics = &context.metrics;
    let level = match state {
        State::Closed => 0.0,
        State::HalfOpen => 1.0,
        State::Open(_) => 2.0,
    };
    metrics.breaker.with_label_values(&[endpoint]).set(level);
    metrics.limit.with_label_values(&[endpoint]).set(limit as f64);
    metrics.in_flight.with_label_values(&[endpoint]).set(in_flight as f64);
}

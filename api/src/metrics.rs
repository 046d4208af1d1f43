//! The API's metrics. Queue depth is counted when somebody scrapes, at most every 10 s and only so far.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use http::Method;
use posthaste_engine::depth::{self, Depth};
use posthaste_service::telemetry::metrics::{GaugeVec, HistogramVec, IntCounterVec, LATENCY_SECONDS, Registry};
use tokio::{sync::Mutex, time::Instant};

use crate::state::Api;

/// How old the queue gauges may be.
const DEPTH_EVERY: Duration = Duration::from_secs(10);
/// How long a scrape waits for them.
const DEPTH_DEADLINE: Duration = Duration::from_secs(3);
/// Boundaries of batch sizes.
const BATCH_JOBS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 500.0, 1000.0, 10_000.0];

/// The instruments.
pub struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    pub(crate) batch_jobs: HistogramVec,
    pub(crate) waiters: GaugeVec,
    queue_depth: GaugeVec,
    queue_stranded: GaugeVec,
    queue_lag: GaugeVec,
    counted: Mutex<Option<Instant>>,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.counter_vec(
                "posthaste_api_requests_total",
                "Requests answered, by route and status.",
                &["method", "route", "status"],
            ),
            seconds: registry.histogram_vec(
                "posthaste_api_request_seconds",
                "Time to the answer's head; long-polls take as long as they were asked to.",
                &["method", "route"],
                LATENCY_SECONDS,
            ),
            batch_jobs: registry.histogram_vec(
                "posthaste_api_enqueue_batch_jobs",
                "Jobs that shared one statement: single enqueues committed together, and batches.",
                &["source"],
                BATCH_JOBS,
            ),
            waiters: registry.gauge_vec("posthaste_api_waiters", "Long-polls that wait for a job to end.", &[]),
            queue_depth: registry.gauge_vec(
                "posthaste_queue_depth",
                "Runs that may start now in the 100 deepest queues, counted to 100,000 a lane and 1,000,000 in all.",
                &["queue"],
            ),
            queue_stranded: registry.gauge_vec(
                "posthaste_queue_stranded",
                "Of the runs that may start now, those that no endpoint takes, or a paused one.",
                &["queue"],
            ),
            queue_lag: registry.gauge_vec(
                "posthaste_queue_lag_seconds",
                "How long the run that is first in line has waited, of those that an endpoint takes.",
                &["queue"],
            ),
            counted: Mutex::new(None),
        }
    }

    fn show_depth(&self, queues: &[Depth]) {
        self.queue_depth.reset();
        self.queue_stranded.reset();
        self.queue_lag.reset();
        for queue in queues {
            #[expect(clippy::cast_precision_loss, reason = "counts are capped at a million")]
            let (available, stranded) = (queue.available as f64, queue.stranded as f64);
            self.queue_depth.with_label_values(&[&queue.queue]).set(available);
            self.queue_stranded.with_label_values(&[&queue.queue]).set(stranded);
            self.queue_lag.with_label_values(&[&queue.queue]).set(queue.lag_s);
        }
    }
}

/// Middleware of `/metrics`: counts the queues first, if that was not done lately. A database that is away or slow
/// leaves the old numbers and delays the scrape by 3 s at most.
pub async fn refresh_depth(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/metrics" {
        let mut counted = api.metrics.counted.lock().await;
        if counted.is_none_or(|at| at.elapsed() >= DEPTH_EVERY) {
            let counting = api.read(|connection| Box::pin(depth::depth(connection)));
            match tokio::time::timeout(DEPTH_DEADLINE, counting).await {
                Ok(Ok(queues)) => api.metrics.show_depth(&queues),
                Ok(Err(error)) => tracing::warn!(%error, "the queues could not be counted"),
                Err(_) => tracing::warn!("counting the queues took more than 3 s"),
            }
            *counted = Some(Instant::now());
        }
    }
    next.run(request).await
}

/// Middleware of everything: counts and times requests by route, never by what a client can invent.
pub async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let seconds = begun.elapsed().as_secs_f64();
    api.metrics.requests.with_label_values(&[method, route, response.status().as_str()]).inc();
    api.metrics.seconds.with_label_values(&[method, route]).observe(seconds);
    response
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

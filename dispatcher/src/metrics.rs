//! What a dispatcher counts.

use std::time::Duration;

use posthaste_service::telemetry::metrics::{
    GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, LATENCY_SECONDS, Registry,
};

/// Boundaries of batch sizes.
const BATCH: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// The instruments of one dispatcher.
pub struct Metrics {
    /// Runs claimed.
    pub claimed: IntCounter,
    /// Runs per claim that took something.
    pub claim_batch: Histogram,
    /// Runs per finalize.
    pub finalize_batch: Histogram,
    /// Round trips to Postgres, by statement.
    pub statements: IntCounterVec,
    /// Seconds of a round trip, by statement.
    pub statement_seconds: HistogramVec,
    /// Ended runs, by outcome, class and status.
    pub outcomes: IntCounterVec,
    /// Runs that were to be parked, by what became of it.
    pub parks: IntCounterVec,
    /// Parked runs ended here because their deadline passed.
    pub timed_out: IntCounter,
    /// Suspended runs whose function was woken here.
    pub woken: IntCounter,
    /// Seconds from enqueue, or from its due time, to POST; first runs.
    pub pickup_seconds: Histogram,
    /// Seconds from POST to the end of the answer, by endpoint.
    pub dispatch_seconds: HistogramVec,
    /// Ends that had no effect, because another party ended the run.
    pub stale: IntCounterVec,
    /// Runs of silent dispatchers ended here.
    pub rescued: IntCounter,
    /// Runs moved from scheduled to ready.
    pub promoted: IntCounter,
    /// Live rows found below a floor; must stay 0.
    pub below_floor: IntCounter,
    /// Dispatches open, by endpoint.
    pub in_flight: GaugeVec,
    /// 0 closed, 1 half open, 2 open, by endpoint.
    pub breaker: GaugeVec,
    /// The adaptive limit, by endpoint.
    pub limit: GaugeVec,
}

impl Metrics {
    /// Registers the instruments.
    pub fn new(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter_vec(name, help, &[]).with_label_values::<&str>(&[]);
        let histogram = |name, help, boundaries: &[f64]| {
            registry.histogram_vec(name, help, &[], boundaries).with_label_values::<&str>(&[])
        };
        Self {
            claimed: counter("posthaste_claimed_total", "Runs claimed."),
            claim_batch: histogram("posthaste_claim_batch_size", "Runs per claim that took something.", BATCH),
            finalize_batch: histogram("posthaste_finalize_batch_size", "Runs per finalize.", BATCH),
            statements: registry.counter_vec(
                "posthaste_statements_total",
                "Round trips to Postgres.",
                &["statement", "result"],
            ),
            statement_seconds: registry.histogram_vec(
                "posthaste_statement_seconds",
                "Seconds of a round trip to Postgres.",
                &["statement"],
                LATENCY_SECONDS,
            ),
            outcomes: registry.counter_vec("posthaste_outcomes_total", "Ended runs.", &["outcome", "class", "status"]),
            parks: registry.counter_vec("posthaste_parks_total", "Runs that were to wait for a callback.", &["parked"]),
            timed_out: counter("posthaste_timed_out_total", "Parked runs whose deadline passed, ended here."),
            woken: counter("posthaste_woken_total", "Suspended runs whose function was woken by time or by jobs."),
            pickup_seconds: histogram(
                "posthaste_pickup_seconds",
                "Seconds from enqueue (or its due time) to POST, first runs.",
                LATENCY_SECONDS,
            ),
            dispatch_seconds: registry.histogram_vec(
                "posthaste_dispatch_seconds",
                "Seconds from POST to the end of the answer.",
                &["endpoint"],
                LATENCY_SECONDS,
            ),
            stale: registry.counter_vec(
                "posthaste_stale_ends_total",
                "Ends that had no effect: another party had ended the run.",
                &["settled"],
            ),
            rescued: counter("posthaste_rescued_total", "Runs of silent dispatchers ended here."),
            promoted: counter("posthaste_promoted_total", "Runs moved from scheduled to ready."),
            below_floor: counter("posthaste_below_floor_total", "Live rows found below a claim's floor; must stay 0."),
            in_flight: registry.gauge_vec("posthaste_in_flight", "Dispatches open.", &["endpoint"]),
            breaker: registry.gauge_vec("posthaste_breaker_state", "0 closed, 1 half open, 2 open.", &["endpoint"]),
            limit: registry.gauge_vec("posthaste_endpoint_limit", "The adaptive limit of dispatches.", &["endpoint"]),
        }
    }

    /// Counts one round trip.
    pub fn statement(&self, name: &str, took: Duration, succeeded: bool) {
        self.statements.with_label_values(&[name, if succeeded { "ok" } else { "error" }]).inc();
        self.statement_seconds.with_label_values(&[name]).observe(took.as_secs_f64());
    }
}

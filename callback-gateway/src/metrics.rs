//! The gateway's metrics. Never labelled by what a sender can invent.

use std::time::Duration;

use posthaste_protocol::token::InvalidToken;
use posthaste_service::telemetry::metrics::{
    Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, LATENCY_SECONDS, Registry,
};

/// Boundaries of batch sizes.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 500.0];

/// The instruments.
pub struct Metrics {
    answers: IntCounterVec,
    seconds: HistogramVec,
    token_faults: IntCounterVec,
    rate_limited: IntCounterVec,
    pub(crate) batch: Histogram,
    pub(crate) queued: Gauge,
    pub(crate) log_dropped: IntCounter,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Self {
        const UNLABELLED: &[&str] = &[];
        Self {
            answers: registry.counter_vec(
                "posthaste_gateway_answers_total",
                "Requests answered: by action (or hook, source, unmatched), by outcome or problem code, and by status.",
                &["action", "outcome", "status"],
            ),
            seconds: registry.histogram_vec(
                "posthaste_gateway_answer_seconds",
                "From the head of a request to its answer, commit included.",
                &["action"],
                LATENCY_SECONDS,
            ),
            token_faults: registry.counter_vec(
                "posthaste_gateway_token_faults_total",
                "Tokens that were not accepted, by what was wrong with them. None of them reached the database.",
                &["fault"],
            ),
            rate_limited: registry.counter_vec(
                "posthaste_gateway_rate_limited_total",
                "Requests over a limit: bad tokens of one peer, or callbacks of one job.",
                &["limit"],
            ),
            batch: registry
                .histogram_vec(
                    "posthaste_gateway_batch_callbacks",
                    "Callbacks that were committed together.",
                    &[],
                    BATCH,
                )
                .with_label_values(UNLABELLED),
            queued: registry
                .gauge_vec("posthaste_gateway_queued_callbacks", "Callbacks that wait for a lane.", &[])
                .with_label_values(UNLABELLED),
            log_dropped: registry
                .counter_vec(
                    "posthaste_gateway_deliveries_dropped_total",
                    "Deliveries that were not logged, because more came than the log takes.",
                    &[],
                )
                .with_label_values(UNLABELLED),
        }
    }

    pub(crate) fn answered(&self, action: &str, outcome: &str, status: &str, took: Duration) {
        self.answers.with_label_values(&[action, outcome, status]).inc();
        self.seconds.with_label_values(&[action]).observe(took.as_secs_f64());
    }

    pub(crate) fn bad_token(&self, invalid: InvalidToken) {
        self.token_faults.with_label_values(&[invalid.fault().as_str()]).inc();
    }

    pub(crate) fn limited(&self, limit: &'static str) {
        self.rate_limited.with_label_values(&[limit]).inc();
    }
}

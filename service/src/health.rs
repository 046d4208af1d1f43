//! Health: named checks that loops report, and the routes that show them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::Serialize;
use tokio::time::Instant;

use crate::telemetry::metrics::Registry;

/// The name of a check for a live database connection.
pub const POSTGRES_CONNECTED: &str = "postgres_connected";
/// The name of a check that the database's schema is one this binary works with.
pub const SCHEMA_COMPATIBLE: &str = "schema_compatible";
/// The name of a check that the claim loop goes round.
pub const CLAIM_LOOP_ALIVE: &str = "claim_loop_alive";
/// The name of a check that this dispatcher's heartbeat reaches the database.
pub const HEARTBEAT_ALIVE: &str = "heartbeat_alive";

/// The shared state of a process's checks. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<Checks>>,
}

#[derive(Debug, Default)]
struct Checks {
    shutting_down: bool,
    checks: BTreeMap<&'static str, Check>,
}

#[derive(Debug, Clone, Copy)]
enum Check {
    /// Holds as its loop last said.
    Flag(bool),
    /// Holds while its loop was heard within `max_age`, so that a loop that hangs is noticed.
    Beat { last: Option<Instant>, max_age: Duration },
}

impl Check {
    fn holds(self) -> bool {
        match self {
            Self::Flag(holds) => holds,
            Self::Beat { last, max_age } => last.is_some_and(|last| last.elapsed() <= max_age),
        }
    }
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Every check holds and the process is not shutting down.
    pub ready: bool,
    /// Whether a soft shutdown has begun.
    pub shutting_down: bool,
    /// Every required check and whether it holds now.
    pub checks: BTreeMap<&'static str, bool>,
}

impl Health {
    /// No checks: ready at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires a check that a loop sets; it does not hold until [`Health::set`] says so.
    pub fn require(&self, check: &'static str) {
        self.lock().checks.insert(check, Check::Flag(false));
    }

    /// Requires a check that holds while [`Health::beat`] was called within `max_age`.
    pub fn require_beat(&self, check: &'static str, max_age: Duration) {
        let beat = Check::Beat { last: None, max_age };
        self.lock().checks.insert(check, beat);
    }

    /// Reports a check; one that nobody required becomes required.
    pub fn set(&self, check: &'static str, holds: bool) {
        self.lock().checks.insert(check, Check::Flag(holds));
    }

    /// Reports that a loop is alive; without [`Health::require_beat`] it does nothing.
    pub fn beat(&self, check: &'static str) {
        if let Some(Check::Beat { last, .. }) = self.lock().checks.get_mut(check) {
            *last = Some(Instant::now());
        }
    }

    /// From now on never ready: load balancers stop sending.
    pub fn shutting_down(&self) {
        self.lock().shutting_down = true;
    }

    /// The state of every check now.
    pub fn readiness(&self) -> Readiness {
        let state = self.lock();
        let checks: BTreeMap<_, _> = state.checks.iter().map(|(name, check)| (*name, check.holds())).collect();
        Readiness {
            ready: !state.shutting_down && checks.values().all(|holds| *holds),
            shutting_down: state.shutting_down,
            checks,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Checks> {
        // The state is valid after every single assignment, whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /livez` (200 while the process lives), `/readyz` (200 or 503 with the checks), `/metrics` (Prometheus
/// text). None of them wants a key.
pub fn router(health: Health, registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let readiness = health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(readiness))
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    let format = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, format)], registry.render())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn get_path(health: &Health, path: &str) -> (StatusCode, String) {
        let registry = Registry::new();
        registry.counter_vec("posthaste_test_total", "A test.", &["kind"]).with_label_values(&["a"]).inc();
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(health.clone(), registry).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_only_when_every_check_holds_and_not_while_shutting_down() {
        let health = Health::new();
        health.require(POSTGRES_CONNECTED);
        health.require(SCHEMA_COMPATIBLE);
        health.set(POSTGRES_CONNECTED, true);

        let (status, body) = get_path(&health, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let expected =
            r#"{"ready":false,"shutting_down":false,"checks":{"postgres_connected":true,"schema_compatible":false}}"#;
        assert_eq!(body, expected);

        health.set(SCHEMA_COMPATIBLE, true);
        assert_eq!(get_path(&health, "/readyz").await.0, StatusCode::OK);

        health.shutting_down();
        assert_eq!(get_path(&health, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get_path(&health, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_falls_silent_stops_being_alive() {
        let health = Health::new();
        health.require_beat(CLAIM_LOOP_ALIVE, Duration::from_secs(10));
        assert!(!health.readiness().ready);
        health.beat(CLAIM_LOOP_ALIVE);
        assert!(health.readiness().ready);

        tokio::time::advance(Duration::from_secs(11)).await;

        assert!(!health.readiness().ready);
    }

    #[tokio::test]
    async fn metrics_are_shown_as_prometheus_text() {
        let (status, body) = get_path(&Health::new(), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("posthaste_test_total{kind=\"a\"} 1"), "{body}");
    }
}

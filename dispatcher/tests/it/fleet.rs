//! A dispatcher under test: in this process, against a real Postgres and a real HTTP server.

use std::time::Duration;

use posthaste_dispatcher::{Callbacks, GoogleHosts, Settings, egress::EgressPolicy, run};
use posthaste_engine::{
    EngineError,
    endpoint::{self, SealedSecret},
    session::Role,
};
use posthaste_protocol::{endpoint::EndpointSpec, seal::SealKeys, signature::Secret, signing::SigningSecrets};
use posthaste_service::{health::Health, shutdown::Shutdown, telemetry::metrics::Registry, tls};
use posthaste_tests::{FakeEndpoint, TestDb, WAIT_LIMIT, sql};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

/// The secret that every endpoint of the tests signs with.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn keys() -> SealKeys {
    SealKeys::parse(&format!("1:{}", "ab".repeat(32))).expect("a key ring")
}

/// A dispatcher that may send to loopback, and to nothing else that is private.
pub fn settings(url: String, concurrency: usize, callbacks: Option<Callbacks>) -> Settings {
    tls::install_crypto_provider();
    Settings {
        database_url: url.clone(),
        listen_url: url,
        concurrency,
        egress: EgressPolicy::from_entries(["127.0.0.0/8", "::1"]).expect("loopback"),
        proxy: None,
        google: GoogleHosts::default(),
        seal_keys: Some(keys()),
        callbacks,
    }
}

/// One running dispatcher.
pub struct Running {
    pub shutdown: Shutdown,
    pub health: Health,
    pub registry: Registry,
    task: JoinHandle<Result<(), EngineError>>,
}

impl Running {
    /// Starts a dispatcher with this many permits, whose functions cannot call back.
    pub fn start(db: &TestDb, concurrency: usize) -> Self {
        Self::start_with(db, concurrency, None)
    }

    /// Starts a dispatcher with this many permits.
    pub fn start_with(db: &TestDb, concurrency: usize, callbacks: Option<Callbacks>) -> Self {
        Self::start_as(settings(db.url_as("dispatcher"), concurrency, callbacks))
    }

    /// Starts a dispatcher that is set so.
    pub fn start_as(settings: Settings) -> Self {
        let (registry, health, shutdown) = (Registry::new(), Health::new(), Shutdown::new());
        let (metrics, checks, stop) = (registry.clone(), health.clone(), shutdown.clone());
        let task = tokio::spawn(async move { run(settings, &metrics, &checks, stop).await });
        Self { shutdown, health, registry, task }
    }

    /// Drains and stops it. Returns its metrics, which count everything only now.
    pub async fn stop(self) -> Registry {
        self.shutdown.begin();
        let ended = tokio::time::timeout(WAIT_LIMIT, self.task).await.expect("the dispatcher drains");
        ended.expect("no panic").expect("no error");
        self.registry
    }
}

/// The value of a metric without labels, or the sum over its labels.
pub fn metric(registry: &Registry, name: &str) -> f64 {
    let text = registry.render();
    let lines = text.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Registers an endpoint at `url` for `kinds`, with these fields besides.
pub async fn put_endpoint(connection: &mut PgConnection, name: &str, url: &str, kinds: &[&str], more: Value) {
    let mut spec = json!({"url": url, "kinds": kinds});
    let fields = spec.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    let spec = EndpointSpec::parse(&spec.to_string()).expect("a sound endpoint");
    let text = serde_json::to_string(&spec).expect("a spec is JSON");
    let secret = Secret::parse(SECRET).expect("a secret");
    let sealed = SigningSecrets::one(secret).seal(&keys(), name, [7; 24]).expect("sealing");
    endpoint::put(connection, name, &text, &spec.kinds, SealedSecret::Replace(&sealed)).await.expect("the endpoint");
}

/// A database, a function and an endpoint that takes the kind `k`.
pub async fn scene(more: Value) -> (TestDb, FakeEndpoint, PgConnection) {
    let db = TestDb::new().await;
    let function = FakeEndpoint::start().await;
    let mut connection = db.connect(Role::General).await;
    put_endpoint(&mut connection, "e", &function.url("/f"), &["k"], more).await;
    (db, function, connection)
}

/// Waits until a job is in this state; panics with the states it is in instead.
pub async fn until_state(connection: &mut PgConnection, job: i64, state: &str) {
    until(connection, &format!("select state = '{state}' from posthaste.jobs where id = {job}")).await;
}

/// Waits until a boolean query is true, asking again as soon as it has answered.
pub async fn until(connection: &mut PgConnection, query: &str) {
    until_within(WAIT_LIMIT, connection, query).await;
}

/// Waits until a boolean query is true, so long.
pub async fn until_within(limit: Duration, connection: &mut PgConnection, query: &str) {
    let asking = async {
        while sql::text(connection, &format!("select coalesce(({query}), false)::text")).await != "true" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(limit, asking).await.is_ok(), "never true: {query}");
}

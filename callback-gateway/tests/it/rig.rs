//! A gateway under test, a fake dispatcher beside it, and the tokens of its runs.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use posthaste_callback_gateway::{Gateway, Settings, serve_on};
use posthaste_engine::{
    claim::ClaimedRun,
    endpoint::{SealedSecret, put},
    promote::promote,
    session::Role,
};
use posthaste_protocol::{
    action::Actions,
    endpoint::EndpointSpec,
    gateway_url::GatewayUrl,
    id::JobId,
    key_ring::KeyRing,
    seal::SealKeys,
    token::{Claims, TokenKind, mint},
};
use posthaste_service::{clock, health::Health, shutdown::Shutdown, telemetry::metrics::Registry};
use posthaste_tests::{FakeDispatcher, TestDb, WAIT_LIMIT, sql};
use sqlx::PgConnection;
use tokio::net::TcpListener;

use crate::client::{Answer, exchange, post};

/// One gateway on a database. It ends with the test's runtime.
pub struct Rig {
    pub db: TestDb,
    pub connection: PgConnection,
    pub dispatcher: FakeDispatcher,
    pub gateway: Served,
}

/// A gateway that listens.
pub struct Served {
    pub address: SocketAddr,
    pub ring: Arc<ArcSwap<KeyRing>>,
    pub registry: Registry,
    pub health: Health,
}

impl Rig {
    pub async fn start() -> Self {
        let db = TestDb::new().await;
        let gateway = Served::start(&db.url_as("gateway")).await;
        Self::with(db, gateway).await
    }

    pub async fn with(db: TestDb, gateway: Served) -> Self {
        let mut connection = db.connect(Role::General).await;
        put_endpoint(&mut connection, "e", "k", "null").await;
        let dispatcher = FakeDispatcher::start(&db).await;
        Self { db, connection, dispatcher, gateway }
    }

    /// Enqueues one job, and claims it.
    pub async fn claim(&mut self) -> Arc<ClaimedRun> {
        sql::enqueue(&mut self.connection, "'k'").await;
        self.dispatcher.claim_one().await
    }

    /// Enqueues one job, claims it, and parks it.
    pub async fn park(&mut self) -> Arc<ClaimedRun> {
        let run = self.claim().await;
        self.dispatcher.park(&run).await;
        run
    }

    /// Fails this run, and claims the next one of its job.
    pub async fn retry(&mut self, run: &ClaimedRun) -> Arc<ClaimedRun> {
        assert_eq!(self.call(run, "fail", "{}").await.state(), "scheduled");
        self.claim_again().await
    }

    /// Claims the next run of the job that is scheduled.
    pub async fn claim_again(&mut self) -> Arc<ClaimedRun> {
        sql::run(&mut self.connection, "update posthaste.scheduled set run_at = now()").await;
        promote(&mut self.connection, 10, None).await.unwrap();
        self.dispatcher.claim_one().await
    }

    /// Calls back with the token of this run.
    pub async fn call(&self, run: &ClaimedRun, action: &str, body: &str) -> Answer {
        self.gateway.call(&self.gateway.token(run), action, body).await
    }

    /// The state of this run's job.
    pub async fn state(&mut self, run: &ClaimedRun) -> String {
        sql::state(&mut self.connection, run.job_id).await
    }
}

impl Served {
    /// A gateway on the database of this URL.
    pub async fn start(database_url: &str) -> Self {
        Self::listening(database_url, database_url).await
    }

    /// As [`start`](Self::start), which hears there that the configuration has changed.
    pub async fn listening(database_url: &str, listen_url: &str) -> Self {
        Self::with_ring(database_url, listen_url, Arc::new(ArcSwap::from_pointee(ring(1)))).await
    }

    /// As [`listening`](Self::listening), with this ring.
    pub async fn with_ring(database_url: &str, listen_url: &str, ring: Arc<ArcSwap<KeyRing>>) -> Self {
        let settings = Settings {
            database_url: database_url.into(),
            listen_url: listen_url.into(),
            ring: Arc::clone(&ring),
            seal_keys: Some(seal_keys()),
            url: GatewayUrl::parse("https://cb.test/base").unwrap(),
        };
        let (registry, health, shutdown) = (Registry::new(), Health::new(), Shutdown::new());
        let gateway = Gateway::start(&settings, &registry, &health, &shutdown).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_on(listener, gateway, shutdown));
        Self { address, ring, registry, health }
    }

    /// The token of a run, with every action.
    pub fn token(&self, run: &ClaimedRun) -> String {
        self.token_of(&claims(run))
    }

    pub fn token_of(&self, claims: &Claims) -> String {
        mint(&self.ring.load(), claims).expose().to_owned()
    }

    /// Calls back with this token in a header.
    pub async fn call(&self, token: &str, action: &str, body: &str) -> Answer {
        exchange(self.address, &bearing(token, action, &[], body.as_bytes())).await
    }

    /// Whether every check of `/readyz` holds.
    pub fn is_ready(&self) -> bool {
        self.health.readiness().ready
    }
}

/// A callback with its token in a header.
pub fn bearing(token: &str, action: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let authorization = format!("authorization: Bearer {token}");
    post(&format!("/v1/callbacks/{action}"), &[&[authorization.as_str()], headers].concat(), body)
}

/// What the token of a run says.
pub fn claims(run: &ClaimedRun) -> Claims {
    Claims {
        kind: TokenKind::Callback,
        actions: Actions::ALL,
        namespace: 1,
        job_id: JobId(run.job_id),
        run_lease: run.run_lease,
        wait: 0,
        lease_id: run.lease.lease_id,
        expires_at_unix: clock::unix_now() + 3600,
        nonce: run.lease.nonce.into_bytes(),
    }
}

/// Writes an endpoint of one kind.
pub async fn put_endpoint(connection: &mut PgConnection, name: &str, kind: &str, cel: &str) {
    let spec = format!(r#"{{"url": "https://a.example", "kinds": ["{kind}"], "cel": {cel}}}"#);
    let spec = EndpointSpec::parse(&spec).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    put(connection, name, &text, &spec.kinds, SealedSecret::KeepOr(b"sealed")).await.unwrap();
}

/// What seals the secrets of sources.
pub fn seal_keys() -> SealKeys {
    SealKeys::parse(&format!("1:{}", "a".repeat(64))).unwrap()
}

/// A ring with one key of this id.
pub fn ring(kid: u8) -> KeyRing {
    KeyRing::parse(&entry(kid)).unwrap()
}

/// A key of a ring as it is set.
pub fn entry(kid: u8) -> String {
    format!("{kid}:{}", format!("{kid:02x}").repeat(32))
}

/// Asks until it is so; panics when it never is.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < WAIT_LIMIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

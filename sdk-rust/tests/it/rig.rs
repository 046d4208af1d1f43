//! Posthaste under test: dispatcher, gateway and API in this process, on a database of their own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use posthaste::{JobId, State, client::Client};
use posthaste_api::{ApiSettings, ApiState};
use posthaste_callback_gateway::Gateway;
use posthaste_dispatcher::{Callbacks, GoogleHosts, egress::EgressPolicy};
use posthaste_engine::{
    endpoint::{self, SealedSecret},
    session::Role,
};
use posthaste_protocol::{
    endpoint::EndpointSpec, gateway_url::GatewayUrl, key_ring::KeyRing, seal::SealKeys, signature::Secret,
    signing::SigningSecrets,
};
use posthaste_service::{health::Health, shutdown::Shutdown, telemetry::metrics::Registry, tls};
use posthaste_tests::{TestDb, WAIT_LIMIT, sql};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::net::TcpListener;

use crate::handlers::SECRET;

/// All of it, until the test ends.
pub struct Rig {
    /// Dropped with everything else.
    _db: TestDb,
    pub connection: PgConnection,
    pub client: Client,
}

fn seal_keys() -> SealKeys {
    SealKeys::parse(&format!("1:{}", "ab".repeat(32))).unwrap()
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

impl Rig {
    pub async fn start() -> Self {
        tls::install_crypto_provider();
        let db = TestDb::new().await;
        let ring = Arc::new(ArcSwap::from_pointee(KeyRing::parse(&format!("1:{}", "07".repeat(32))).unwrap()));
        let (listener, gateway) = listen().await;
        let gateway = GatewayUrl::parse(&format!("http://{gateway}")).unwrap();
        let (health, shutdown) = (Health::new(), Shutdown::new());
        serve_gateway(&db, listener, gateway.clone(), Arc::clone(&ring));
        let settings = posthaste_dispatcher::Settings {
            database_url: db.url_as("dispatcher"),
            listen_url: db.url_as("dispatcher"),
            concurrency: 16,
            egress: EgressPolicy::from_entries(["127.0.0.0/8"]).unwrap(),
            proxy: None,
            google: GoogleHosts::default(),
            seal_keys: Some(seal_keys()),
            callbacks: Some(Callbacks { gateway, keys: ring }),
        };
        tokio::spawn(async move { posthaste_dispatcher::run(settings, &Registry::new(), &health, shutdown).await });
        let client = serve_api(&db).await;
        let connection = db.connect(Role::General).await;
        Self { _db: db, connection, client }
    }

    /// Writes an endpoint at `url` for `kinds`, with these fields besides.
    pub async fn endpoint(&mut self, name: &str, url: &str, kinds: &[&str], more: &Value) {
        let mut spec = json!({"url": url, "kinds": kinds, "sdk": true});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec = EndpointSpec::parse(&spec.to_string()).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        let sealed = SigningSecrets::one(Secret::parse(SECRET).unwrap()).seal(&seal_keys(), name, [7; 24]).unwrap();
        let secret = SealedSecret::Replace(&sealed);
        endpoint::put(&mut self.connection, name, &text, &spec.kinds, secret).await.unwrap();
    }

    /// Puts a new secret in front of an endpoint's, which goes on signing beside it.
    pub async fn rotate(&mut self, name: &str, new: &str) {
        let row = endpoint::endpoint(&mut self.connection, name).await.unwrap();
        let mut secrets = SigningSecrets::open(&seal_keys(), name, &row.secret).unwrap();
        secrets.rotate(Secret::parse(new).unwrap(), posthaste_service::clock::unix_now(), true);
        let sealed = secrets.seal(&seal_keys(), name, [8; 24]).unwrap();
        endpoint::rotate_secret(&mut self.connection, name, row.version, &sealed).await.unwrap();
    }

    /// Waits until a boolean query is true.
    pub async fn until(&mut self, query: &str) {
        let asking = async {
            while sql::text(&mut self.connection, &format!("select coalesce(({query}), false)::text")).await != "true" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(WAIT_LIMIT, asking).await.is_ok(), "never true: {query}");
    }

    pub async fn until_state(&mut self, id: JobId, state: State) {
        self.until(&format!("select state = '{state}' from posthaste.jobs where id = {id}")).await;
    }

    /// Waits until a job has so many ended runs; what the newest came to: outcome, class, status and code.
    pub async fn attempt(&mut self, id: JobId, number: usize) -> String {
        self.until(&format!("select count(*) = {number} from posthaste.attempt where job_id = {id}")).await;
        let parts = ["outcome::text", "class::text", "http_status::text", "error_code"];
        let parts: Vec<_> = parts.iter().map(|part| format!("coalesce({part}, '')")).collect();
        let newest = format!("from posthaste.attempt where job_id = {id} order by run_lease desc limit 1");
        sql::text(&mut self.connection, &format!("select {} {newest}", parts.join(" || ':' || "))).await
    }
}

fn serve_gateway(db: &TestDb, listener: TcpListener, url: GatewayUrl, ring: Arc<ArcSwap<KeyRing>>) {
    let settings = posthaste_callback_gateway::Settings {
        database_url: db.url_as("gateway").into(),
        listen_url: db.url_as("gateway").into(),
        ring,
        seal_keys: Some(seal_keys()),
        url,
    };
    let shutdown = Shutdown::new();
    let gateway = Gateway::start(&settings, &Registry::new(), &Health::new(), &shutdown).unwrap();
    tokio::spawn(posthaste_callback_gateway::serve_on(listener, gateway, shutdown));
}

async fn serve_api(db: &TestDb) -> Client {
    let (listener, address) = listen().await;
    let settings = ApiSettings {
        listen: address,
        database_url: db.url().into(),
        listen_url: db.url().into(),
        api_key: None,
        seal_keys: Some(seal_keys()),
        url_check: Arc::new(|_| Ok(())),
        pool_size: 4,
    };
    let state = ApiState::start(&settings, Registry::new(), Health::new(), Shutdown::new()).unwrap();
    tokio::spawn(posthaste_api::serve_on(listener, state, Shutdown::new()));
    Client::new(&format!("http://{address}")).unwrap()
}

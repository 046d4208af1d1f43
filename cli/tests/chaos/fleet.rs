//! The fleet: a durable Postgres and three dispatcher processes.

use std::process::{Child, Command, Stdio};

use posthaste_engine::{
    endpoint::{self, SealedSecret},
    migrate,
    session::{Role, Session},
};
use posthaste_protocol::{endpoint::EndpointSpec, seal::SealKeys, signature::Secret, signing::SigningSecrets};
use posthaste_service::postgres::{self, Cluster, ClusterOptions, StopMode};
use serde_json::json;

const KEYS: &str = "1:abababababababababababababababababababababababababababababababab";

/// A running fleet; everything it started ends with it.
pub struct Fleet {
    cluster: Option<Cluster>,
    dispatchers: Vec<Child>,
    next: usize,
    _folder: tempfile::TempDir,
    url: String,
}

impl Fleet {
    /// Starts Postgres with default durability, registers `function`, starts three dispatchers.
    pub async fn start(function: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("posthaste-chaos").tempdir_in("/tmp").unwrap();
        open_to_all(folder.path());
        let data = folder.path().join("data");
        let cluster = tokio::task::spawn_blocking(move || {
            let bin = match postgres::find_binaries(None).unwrap() {
                Some(bin) => bin,
                None => postgres::fetch(&postgres::cache_dir().unwrap()).unwrap(),
            };
            Cluster::start(ClusterOptions::new(bin, data)).unwrap()
        })
        .await
        .unwrap();
        let url = cluster.url("postgres");
        prepare(&url, function).await;
        let mut fleet = Self { cluster: Some(cluster), dispatchers: Vec::new(), next: 0, _folder: folder, url };
        for _ in 0..3 {
            let child = fleet.spawn();
            fleet.dispatchers.push(child);
        }
        fleet
    }

    /// Where Postgres is.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    fn spawn(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_posthaste"))
            .arg("dispatcher")
            .env("POSTHASTE_DATABASE_URL", &self.url)
            .env("POSTHASTE_SECRET_KEYS", KEYS)
            .env("POSTHASTE_EGRESS_ALLOW", "127.0.0.0/8")
            .env("POSTHASTE_API_LISTEN", "127.0.0.1:0")
            .env("POSTHASTE_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// SIGKILL for one, in turn, and a new one in its place.
    pub fn kill_one(&mut self) {
        self.next = (self.next + 1) % self.dispatchers.len();
        self.dispatchers[self.next].kill().unwrap();
        self.dispatchers[self.next].wait().unwrap();
        self.dispatchers[self.next] = self.spawn();
    }

    /// Crashes Postgres and starts it again on the same data.
    pub async fn postgres(&mut self, mode: StopMode) {
        let mut cluster = self.cluster.take().unwrap();
        let restarted = tokio::task::spawn_blocking(move || {
            cluster.restart(mode).unwrap();
            cluster
        });
        self.cluster = Some(restarted.await.unwrap());
    }

    /// Ends everything.
    pub async fn stop(mut self) {
        for child in &mut self.dispatchers {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.dispatchers.clear();
        let cluster = self.cluster.take();
        tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.dispatchers {
            let _ = child.kill();
        }
    }
}

/// The unprivileged user that runs Postgres must reach the folder.
fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn prepare(url: &str, function: &str) {
    let mut session = Session::new(url, Role::General).unwrap();
    let written = json!({"url": function, "kinds": ["chaos"], "concurrency": 256,
        "retry": {"policy": "constant", "base_ms": 500}});
    let spec = EndpointSpec::parse(&written.to_string()).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let sealed = SigningSecrets::one(secret).seal(&SealKeys::parse(KEYS).unwrap(), "chaos", [7; 24]).unwrap();
    session
        .call(async |connection| {
            migrate::migrate(connection).await?;
            let secret = SealedSecret::Replace(&sealed);
            endpoint::put(connection, "chaos", &text, &spec.kinds, secret).await.map(drop)
        })
        .await
        .unwrap();
}

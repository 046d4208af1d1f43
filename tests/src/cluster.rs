//! One private Postgres per test process, owned by a thread of its own that also makes and drops databases.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use posthaste_engine::migrate;
use posthaste_service::postgres::{Cluster, ClusterOptions, cache_dir, fetch, find_binaries};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::oneshot;

/// A superuser URL of a server to use instead of a private one: for `cargo nextest`, whose processes then share it.
const SHARED_SERVER: &str = "POSTHASTE_TEST_SERVER_URL";

/// What a test wants of the thread.
enum Request {
    Create(oneshot::Sender<(String, String)>),
    Drop(String, mpsc::Sender<()>),
}

static THREAD: OnceLock<mpsc::Sender<Request>> = OnceLock::new();

/// Makes a migrated database; returns its name and URL.
pub async fn create() -> (String, String) {
    let (answer, created) = oneshot::channel();
    send(Request::Create(answer));
    created.await.expect("the Postgres of the tests did not start; its words are above")
}

/// Drops a database. On a shared server it waits, as this process may end next; else the whole server ends with it.
pub fn drop_database(name: &str) {
    let (done, dropped) = mpsc::channel();
    send(Request::Drop(name.to_owned(), done));
    if shared_server().is_some() {
        let _unimportant = dropped.recv_timeout(Duration::from_secs(5));
    }
}

fn send(request: Request) {
    let thread = THREAD.get_or_init(|| {
        let (requests, inbox) = mpsc::channel();
        let started = thread::Builder::new().name("test-postgres".to_owned()).spawn(move || serve(&inbox));
        started.expect("a thread for the Postgres of the tests");
        requests
    });
    thread.send(request).expect("the Postgres of the tests ended; its words are above");
}

/// The thread's life: start a server, migrate a template, copy it for whoever asks.
fn serve(inbox: &mpsc::Receiver<Request>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = Server::start();
    let mut admin = runtime.block_on(connect(&server.url("postgres")));
    let template = runtime.block_on(template(&server, &mut admin));
    let prefix = format!("ph_test_{}", std::process::id());
    for (number, request) in inbox.iter().enumerate() {
        match request {
            Request::Create(answer) => {
                let name = format!("{prefix}_{number}");
                runtime.block_on(run(&mut admin, &format!("create database {name} template {template}")));
                let url = server.url(&name);
                let _gone = answer.send((name, url));
            }
            Request::Drop(name, done) => {
                runtime.block_on(run(&mut admin, &format!("drop database if exists {name} with (force)")));
                let _gone = done.send(());
            }
        }
    }
}

/// The migrated database that the others are copies of, made once a server.
async fn template(server: &Server, admin: &mut PgConnection) -> String {
    let name = format!("ph_template_{:016x}", fingerprint());
    run(admin, "select pg_advisory_lock(28776, 99)").await;
    let query = "select exists (select from pg_database where datname = $1 and datistemplate)";
    let exists: bool = sqlx::query_scalar(query).bind(&name).fetch_one(&mut *admin).await.expect(query);
    if !exists {
        run(admin, &format!("drop database if exists {name}")).await;
        run(admin, &format!("create database {name}")).await;
        let mut connection = connect(&server.url(&name)).await;
        migrate::migrate(&mut connection).await.expect("the migrations run on an empty database");
        connection.close().await.expect("closing the template");
        run(admin, &format!("alter database {name} is_template true")).await;
    }
    run(admin, "select pg_advisory_unlock(28776, 99)").await;
    name
}

/// Changes with the text of any migration.
fn fingerprint() -> u64 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = fs::read_dir(root.join("migrations")).expect("the migrations");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a migration").path()).collect();
    paths.sort();
    paths
        .extend(["finalize", "wake", "checkpoint", "keep"].map(|text| root.join(format!("engine/src/sql/{text}.sql"))));
    let mut hash = DefaultHasher::new();
    for path in paths {
        fs::read(&path).expect("a migration").hash(&mut hash);
    }
    hash.finish()
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("connecting to the Postgres of the tests")
}

async fn run(admin: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(admin).await {
        panic!("{sql}: {error}");
    }
}

/// Where the databases are.
enum Server {
    Private(Box<Cluster>),
    Shared(String),
}

impl Server {
    fn start() -> Self {
        if let Some(url) = shared_server() {
            return Self::Shared(url);
        }
        let bin = find_binaries(None).expect("looking for Postgres").unwrap_or_else(|| {
            fetch(&cache_dir().expect("a folder for a fetched Postgres")).expect("fetching Postgres")
        });
        let folder = folder();
        let mut options = ClusterOptions::new(bin, &folder);
        options.durable = false;
        // No autovacuum: it would analyse tables whose plans are tested, and hold templates that are being copied.
        let settings =
            [("autovacuum", "off"), ("max_connections", "300"), ("max_wal_size", "4GB"), ("deadlock_timeout", "200ms")];
        options.settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let cluster = Cluster::start(options).expect("starting Postgres");
        remove_at_exit(&folder, cluster.pid().expect("a running server"));
        Self::Private(Box::new(cluster))
    }

    /// The URL of one database.
    fn url(&self, name: &str) -> String {
        match self {
            Self::Private(cluster) => cluster.url(name),
            Self::Shared(url) => {
                let (server, options) = url.split_once('?').map_or((url.as_str(), ""), |(server, rest)| (server, rest));
                let start = server.find("://").map_or(0, |at| at + 3);
                let host = server[start..].split('/').next().unwrap_or_default();
                format!("{}{host}/{name}?{options}", &server[..start])
            }
        }
    }
}

/// A folder in memory where there is one.
fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let made = tempfile::Builder::new().prefix("posthaste-test-").tempdir_in(&parent);
    let folder = made.or_else(|_| tempfile::tempdir()).expect("a folder for Postgres").keep();
    fs::canonicalize(&folder).unwrap_or(folder)
}

/// Removes the folder once this process and the server are gone, however they end: statics are never dropped. The
/// shell reads its standard input, which ends when this process does; the server dies with us by itself.
fn remove_at_exit(folder: &Path, server: u32) {
    const SCRIPT: &str =
        "cat; n=0; while kill -0 $1 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; rm -rf -- \"$0\"";
    let shell = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .arg(folder)
        .arg(server.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("a shell that removes the folder of the tests");
    // The pipe must stay open for as long as we live.
    std::mem::forget(shell);
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests alone, not of the product")]
fn shared_server() -> Option<String> {
    std::env::var(SHARED_SERVER).ok().filter(|url| !url.is_empty())
}

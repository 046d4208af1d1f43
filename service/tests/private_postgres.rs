//! A private Postgres starts, restarts, and never outlives its process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use posthaste_service::postgres::{Cluster, ClusterOptions, PgBinaries, PostgresError, StopMode, find_binaries};
use sqlx::{Connection as _, PgConnection, Row as _};

fn binaries() -> PgBinaries {
    find_binaries(None).unwrap().expect("these tests need PostgreSQL >= 15: install it or set POSTHASTE_PG_BIN")
}

fn quick(data_dir: impl Into<PathBuf>) -> ClusterOptions {
    let mut options = ClusterOptions::new(binaries(), data_dir);
    options.durable = false;
    options
}

async fn ask(cluster: &Cluster, question: &'static str) -> String {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::query(question).fetch_one(&mut connection).await.unwrap().get::<String, _>(0)
}

#[tokio::test]
async fn a_cluster_starts_with_the_settings_asked_for_and_keeps_data_over_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = quick(folder.path());
    options.settings = vec![("max_connections".into(), "33".into())];
    let mut cluster = Cluster::start(options).unwrap();
    assert_eq!(ask(&cluster, "show fsync").await, "off");
    assert_eq!(ask(&cluster, "show max_connections").await, "33");
    assert_eq!(ask(&cluster, "show listen_addresses").await, "");
    assert_eq!(ask(&cluster, "select current_user::text").await, "postgres");
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::raw_sql("set synchronous_commit = on").execute(&mut connection).await.unwrap();
    sqlx::raw_sql("create table kept as select 'still here' as words").execute(&mut connection).await.unwrap();
    let (before, url) = (cluster.pid(), cluster.url("postgres"));

    cluster.restart(StopMode::Immediate).unwrap();

    assert_ne!(cluster.pid(), before);
    assert_eq!(cluster.url("postgres"), url);
    assert_eq!(ask(&cluster, "select words from kept").await, "still here");
}

#[tokio::test]
async fn a_durable_cluster_keeps_fsync_on() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(ClusterOptions::new(binaries(), folder.path())).unwrap();
    assert_eq!(ask(&cluster, "show fsync").await, "on");
    assert_eq!(ask(&cluster, "show full_page_writes").await, "on");
}

#[tokio::test]
async fn two_clusters_run_at_once_and_a_long_path_gets_a_short_socket() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = two.path().join("x".repeat(90));
    // The folder between must be open to the unprivileged user when the tests run as root.
    open(two.path());
    let first = Cluster::start(quick(one.path())).unwrap();
    let second = Cluster::start(quick(&long)).unwrap();

    assert_eq!(ask(&first, "select 'one'").await, "one");
    assert_eq!(ask(&second, "select 'two'").await, "two");
    assert!(first.socket_dir().starts_with(one.path().canonicalize().unwrap()));
    let short = second.socket_dir().to_owned();
    assert!(!short.starts_with(&long));
    drop(second);
    assert!(!short.exists(), "a socket folder made elsewhere is removed");
}

#[test]
fn a_folder_in_use_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let _cluster = Cluster::start(quick(folder.path())).unwrap();

    let error = Cluster::start(quick(folder.path())).unwrap_err();

    assert!(matches!(error, PostgresError::InUse(_)), "{error}");
}

#[test]
fn a_server_that_cannot_start_fails_fast_with_the_end_of_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = quick(folder.path());
    options.settings = vec![("no_such_setting".into(), "1".into())];

    let error = Cluster::start(options).unwrap_err();

    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn data_of_another_major_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pgdata")).unwrap();
    fs::write(folder.path().join("pgdata/PG_VERSION"), "9\n").unwrap();

    let error = Cluster::start(quick(folder.path())).unwrap_err();

    assert!(matches!(error, PostgresError::WrongMajor { .. }), "{error}");
}

#[test]
fn the_thread_that_started_a_cluster_may_end_without_stopping_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = quick(folder.path());
    let cluster = std::thread::spawn(move || Cluster::start(options).unwrap()).join().unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(ask(&cluster, "select 'alive'")), "alive");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stale_lock_file_of_a_killed_postmaster_is_outwaited() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(quick(folder.path())).unwrap();
    let pid = i32::try_from(cluster.pid().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();

    cluster.restart(StopMode::Fast).unwrap();

    assert_eq!(ask(&cluster, "select 'back'").await, "back");
}

/// Not a test of its own: the process that the next test kills. It says its postmaster's pid and waits.
#[test]
fn child_process_that_holds_a_cluster() {
    let Some(folder) = holder_folder() else {
        return;
    };
    let cluster = Cluster::start(quick(folder)).unwrap();
    println!("\npostmaster {}", cluster.pid().unwrap());
    // Stdin never answers: the parent kills us.
    let _ = std::io::stdin().read(&mut [0]);
}

#[expect(clippy::disallowed_methods, reason = "how the parent test tells this process which role it plays")]
fn holder_folder() -> Option<PathBuf> {
    std::env::var_os("POSTHASTE_TEST_HOLD_CLUSTER").map(PathBuf::from)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn kill_nine_of_the_process_leaves_no_postgres_behind_and_its_data_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process_that_holds_a_cluster", "--nocapture"])
        .env("POSTHASTE_TEST_HOLD_CLUSTER", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let postmaster = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("postmaster ").map(str::to_owned))
        .expect("the holder starts a cluster");
    assert!(runs(&postmaster));

    holder.kill().unwrap();
    holder.wait().unwrap();

    // A start on the same folder succeeds only once the orphan has let go of it.
    let cluster = Cluster::start(quick(folder.path())).unwrap();
    assert_eq!(ask(&cluster, "select 'again'").await, "again");
    assert!(!runs(&postmaster));
}

/// A zombie that nobody reaps (as under a plain container's pid 1) has an empty command line and does not run.
#[cfg(target_os = "linux")]
fn runs(pid: &str) -> bool {
    let command_line = fs::read(Path::new("/proc").join(pid).join("cmdline"));
    command_line.is_ok_and(|line| !line.is_empty())
}

fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}

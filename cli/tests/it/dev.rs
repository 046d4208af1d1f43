//! `posthaste dev`: from nothing to results, and nothing left behind.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::{
    support::{Dev, gone, interrupt, posthaste, stderr, stdout},
    terminal::Terminal,
};

#[test]
fn once_and_fresh_ends_well_with_the_results_of_every_sample() {
    let folder = tempfile::tempdir().unwrap();
    let output = posthaste()
        .args(["dev", "--once", "--fresh", "--json", "--api-listen", "127.0.0.1:18730", "--data-dir"])
        .arg(folder.path().join("dev"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let jobs: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(jobs.len(), 12);
    let of = |kind: &str| jobs.iter().find(|job| job["kind"] == kind).unwrap();
    assert_eq!(of("sample.hello")["result"]["greeting"], "Hello, Ada!");
    assert_eq!((&of("sample.flaky")["attempt"], &of("sample.flaky")["run_lease"]), (&2.into(), &2.into()));
    assert_eq!((&of("sample.busy")["attempt"], &of("sample.busy")["run_lease"]), (&1.into(), &2.into()));
    assert_eq!(of("sample.flaky")["attempts"][1]["http_status"], 500);
    assert_eq!(of("sample.fail")["state"], "dead");
    assert_eq!(of("sample.giveup")["error"]["code"], "no_such_customer");
    assert_eq!(of("sample.cancel")["state"], "cancelled");
    assert_eq!(of("sample.empty")["result"], Value::Null);
}

#[cfg(target_os = "linux")]
#[test]
fn kill_nine_leaves_no_postgres() {
    let mut dev = Dev::start();
    let postmaster = dev.postmaster().unwrap();

    dev.process.kill().unwrap();
    dev.process.wait().unwrap();

    assert!(gone(&postmaster, Duration::from_secs(20)), "Postgres {postmaster} still runs");
    // What runs no more is not taken for a running one.
    assert_eq!(dev.run(&["job", "list"]).status.code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn it_may_open_as_many_files_as_the_host_allows_and_takes_no_huge_pages() {
    // What a shell grants.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum.map(|most| most.min(1024)), ..files }).unwrap();
    let dev = Dev::start();
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", dev.process.id())).unwrap();

    let limits = of("limits");
    let files: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(files[3], files[4], "soft and hard: {limits}");
    assert!(of("status").contains("THP_enabled:\t0"), "{}", of("status"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_it_well_and_leaves_nothing() {
    let mut dev = Dev::start();
    let postmaster = dev.postmaster().unwrap();

    interrupt(&dev.process);

    assert!(dev.process.wait().unwrap().success());
    assert!(gone(&postmaster, Duration::ZERO));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn data_of_another_version_is_named_with_what_helps() {
    let mut dev = Dev::start();
    let note = dev.note();
    let mut connection = PgConnection::connect(note["database_url"].as_str().unwrap()).await.unwrap();
    let change = "update posthaste.schema_migration set checksum = checksum + 1 where version = 3";
    sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    // It may see the change before it hears this, and fail.
    interrupt(&dev.process);
    dev.process.wait().unwrap();

    let output = dev.run(&["dev", "--once"]);

    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("is of another version of Posthaste: `posthaste dev --fresh --data-dir "), "{said}");
    assert!(said.contains("migration 3 was changed"), "{said}");
}

#[test]
fn the_live_view_warns_of_the_samples_and_its_log_has_no_colours() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("dev");
    let terminal = Terminal::open();
    let mut command = posthaste();
    command.args(["dev", "--log", "info", "--api-listen", "127.0.0.1:18750", "--data-dir"]).arg(&home);
    let mut dev = terminal.start(command.env_remove("NO_COLOR"));

    terminal.until_shown("some fail on purpose; --no-samples starts without them");
    interrupt(&dev.0);

    assert!(dev.0.wait().unwrap().success());
    let log = std::fs::read_to_string(home.join("posthaste.log")).unwrap();
    // Text for people, whatever the file: it has the level after the time.
    assert!(log.contains(" INFO ") && log.contains("shutting down"), "{log}");
    assert!(!log.contains('\x1b'), "{log:?}");
}

#[test]
fn without_a_terminal_the_samples_are_warned_of_once_and_not_where_there_are_none() {
    let dev = Dev::start_with(&[]);
    let said = dev.until_said(" enqueue sample.hello");
    assert_eq!(said.matches("some fail on purpose").count(), 1, "{said}");
    drop(dev);
    let said = Dev::start_with(&["--no-samples"]).until_said(" enqueue sample.hello");
    assert!(!said.contains("on purpose"), "{said}");
}

//! Help, usage errors, exit codes: without any database.

use crate::support::{posthaste, run, stderr, stdout};

#[test]
fn help_lists_every_command() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = stdout(&output);
    for command in ["dev", "migrate", "dispatcher", "serve", "enqueue", "job", "endpoint", "doctor"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {help}");
    }
    let jobs = stdout(&run(&["job", "--help"]));
    for command in ["get", "list", "wait", "cancel", "retry", "explain", "tail"] {
        assert!(jobs.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {jobs}");
    }
    let endpoints = stdout(&run(&["endpoint", "--help"]));
    for command in ["list", "get", "put", "delete", "pause", "resume", "rotate-secret"] {
        assert!(endpoints.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {endpoints}");
    }
}

#[test]
fn what_makes_no_sense_exits_with_two_and_says_so_on_stderr_alone() {
    for arguments in [
        &["frobnicate"][..],
        &["enqueue"],
        &["enqueue", "a", "--priority", "high"],
        &["enqueue", "a", "--delay-ms", "1", "--run-at", "2027-01-01T00:00:00Z"],
        &["job", "get", "seven"],
        &["job", "list", "--state", "asleep"],
        &["job", "list", "--limit", "0"],
        &["dev", "--json"],
        &["dev", "--fresh", "--database-url", "postgres://localhost/precious"],
        &["serve", "--database-url", "mysql://localhost/x", "--concurrency", "0"],
        &["serve"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_wrong_setting_is_named_at_once_and_no_secret_is_shown() {
    let output = posthaste()
        .args(["serve", "--api-listen", "nowhere"])
        .env("POSTHASTE_DATABASE_URL", "mysql://app:hunter2@db/x")
        .env("POSTHASTE_API_KEY", "hunter2")
        .output()
        .unwrap();
    let said = stderr(&output);
    for name in ["POSTHASTE_DATABASE_URL", "POSTHASTE_API_LISTEN", "POSTHASTE_API_KEY"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn without_any_database_a_command_says_how_to_name_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = posthaste().args(["job", "list"]).env("POSTHASTE_DATA_DIR", folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("POSTHASTE_DATABASE_URL") && said.contains("posthaste dev"), "{said}");
}

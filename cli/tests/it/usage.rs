//! Help, usage errors, exit codes: without any database.

use crate::support::{posthaste, run, stderr, stdout};

#[test]
fn help_lists_every_command() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = stdout(&output);
    for command in ["dev", "migrate", "dispatcher", "serve", "enqueue", "job", "explain", "endpoint", "keys", "doctor"]
    {
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
    let keys = stdout(&run(&["keys", "--help"]));
    for command in ["mint", "list", "revoke"] {
        assert!(keys.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {keys}");
    }
}

#[test]
fn what_makes_no_sense_exits_with_two_and_says_so_on_stderr_alone() {
    for arguments in [
        &["frobnicate"][..],
        &["enqueue"],
        &["enqueue", "a", "--priority", "high"],
        &["enqueue", "a", "--delay-ms", "1", "--run-at", "2027-01-01T00:00:00Z"],
        &["enqueue", "a", "--run-at", "tomorrow"],
        &["enqueue", "a", "--args", "[1,"],
        &["enqueue", "a", "--metadata", "[]"],
        &["endpoint", "put", "a", "--spec", "{"],
        &["endpoint", "put", "a", "--spec", r#"{"url": "https://example.com/", "colour": 1}"#],
        &["endpoint", "put", "a/b", "--spec", r#"{"url": "https://example.com/"}"#],
        &["keys", "mint", "a"],
        &["keys", "mint", "a", "--scope", "root"],
        &["keys", "mint", "", "--scope", "read"],
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
fn a_time_that_is_none_is_answered_with_the_forms_there_are() {
    for flag in ["--run-at", "--expires-at"] {
        let said = stderr(&run(&["enqueue", "a", flag, "tomorrow"]));
        assert!(said.contains("2026-11-21T08:00:00Z") && said.contains("+01:00"), "{said}");
    }
}

#[test]
fn a_url_that_would_never_be_dialled_is_refused_before_anything_is_asked_with_the_setting_that_lets_it_through() {
    let put = ["endpoint", "put", "a", "--database-url", "postgres://127.0.0.1:1/x", "--spec"];
    for url in ["http://10.0.0.1/", "https://10.0.0.1/", "https://localhost/", "http://example.com/"] {
        let spec = format!(r#"{{"url": "{url}"}}"#);
        let output = run(&[&put[..], &[&spec]].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("[forbidden_url]") && said.contains("POSTHASTE_EGRESS_ALLOW"), "{said}");
    }
    let wrong = run(&[&put[..], &[r#"{"url": "https://example.com/"}"#, "--egress-allow", "10.0.0.0/99"]].concat());
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("POSTHASTE_EGRESS_ALLOW has"), "{}", stderr(&wrong));
}

#[test]
fn the_name_of_a_file_in_place_of_json_is_answered_with_how_to_read_it() {
    for arguments in [
        &["enqueue", "a", "--args", "args.json"][..],
        &["enqueue", "a", "--metadata", "args.json"],
        &["endpoint", "put", "a", "--spec", "args.json"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("to read a file write @args.json"), "{}", stderr(&output));
    }
    let missing = run(&["enqueue", "a", "--args", "@nowhere/args.json"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("reading nowhere/args.json"), "{}", stderr(&missing));
}

#[test]
fn a_missing_database_is_reported_with_every_other_wrong_setting() {
    for service in ["serve", "dispatcher"] {
        let url = "https://cb.example.com";
        let output = run(&[service, "--api-listen", "nowhere", "--concurrency", "0", "--gateway-url", url]);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        let wrong = ["POSTHASTE_API_LISTEN", "POSTHASTE_CONCURRENCY", "POSTHASTE_TOKEN_KEYS is not set"];
        for name in ["POSTHASTE_DATABASE_URL is not set"].into_iter().chain(wrong) {
            assert!(said.contains(name), "{name}: {said}");
        }
    }
}

#[test]
fn what_is_no_job_id_and_what_is_no_token_is_answered_with_what_they_are() {
    let output = run(&["deliveries", "list", "--job", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("a job id is a positive decimal number"), "{}", stderr(&output));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    for (text, code, says) in [("\n", 2, "no token came on stdin: "), ("hunter2", 1, "it is not `ph1.` and 126 ")] {
        std::fs::write(&file, text).unwrap();
        let mut inspect = posthaste();
        inspect.args(["token", "inspect"]).env("POSTHASTE_TOKEN_KEYS", format!("1:{}", "ab".repeat(32)));
        let output = inspect.stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_whole_key_given_by_mistake_is_not_repeated() {
    let output = run(&["keys", "revoke", "ph_01234567_secret"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).contains("secret"), "{}", stderr(&output));
}

/// `[default: …]` of a flag in a help text.
fn default<'a>(help: &'a str, flag: &str) -> &'a str {
    let flag = help.split(&format!("--{flag} ")).nth(1).unwrap();
    flag.split("[default: ").nth(1).unwrap().split(']').next().unwrap()
}

#[test]
fn the_help_of_services_says_the_defaults_of_the_reference_and_promises_no_console() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/configuration.md");
    let reference = std::fs::read_to_string(path).unwrap();
    let of = |command: &str| stdout(&run(&[command, "--help"]));
    let (dev, serve) = (of("dev"), of("serve"));
    let row = |flag: &str| reference.lines().find(|line| line.contains(&format!("`--{flag}`"))).unwrap();
    for flag in ["shutdown-grace-ms", "log"] {
        let (dev, serve, row) = (default(&dev, flag), default(&serve, flag), row(flag));
        assert_ne!(dev, serve);
        assert!(row.replace('`', "").contains(&format!("| {serve} (dev: {dev}) |")), "{row}");
    }
    assert!(!format!("{dev}{serve}{}", of("dispatcher")).contains("console"));
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

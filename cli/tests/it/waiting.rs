//! Waiting for a job: what is said meanwhile, and what is left behind.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use crate::support::{Dev, interrupt, stderr, stdout};

/// `job wait` of this job, and what it says about the job, line by line.
fn waiting(dev: &Dev, id: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = dev.command(&["job", "wait", id]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    (child, lines.filter(|line| line.starts_with("job ")))
}

/// Enqueues a job and returns its id.
fn enqueue(dev: &Dev, kind: &str) -> String {
    dev.json(&["enqueue", kind, "--json"])["id"].as_str().unwrap().to_owned()
}

#[test]
fn who_waits_is_told_why_the_job_is_not_running_and_leaves_no_broken_connection() {
    let mut dev = Dev::start();
    let id = enqueue(&dev, "nobody.takes");

    let waits = [waiting(&dev, &id), waiting(&dev, &id)];

    for (mut child, mut said) in waits {
        assert_eq!(
            said.next().unwrap(),
            format!("job {id} is not running: no endpoint takes kind nobody.takes; add it to the kinds of one")
        );
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
    let late = dev.run(&["enqueue", "nobody.takes", "--wait", "--wait-timeout-ms", "2200"]);
    assert_eq!(late.status.code(), Some(1));
    assert_eq!(stderr(&late).matches("is not running: no endpoint takes").count(), 1, "{}", stderr(&late));
    let given_up = "is still available: no endpoint takes kind nobody.takes";
    let said = stderr(&late);
    assert!(said.contains("error: after 2200 ms job ") && said.contains(given_up), "{said}");
    assert!(dev.run(&["enqueue", "sample.hello", "--wait"]).status.success());
    interrupt(&dev.process);
    dev.process.wait().unwrap();
    assert!(!dev.postgres_log().contains("connection to client lost"), "{}", dev.postgres_log());
}

#[test]
fn who_waits_is_told_of_each_run_that_failed_and_of_what_no_dispatcher_can_use() {
    let dev = Dev::start();
    // Nobody listens on port 1.
    let refused = r#"{"url": "http://127.0.0.1:1/", "kinds": ["refused"]}"#;
    assert!(dev.run(&["endpoint", "put", "refusing", "--spec", refused]).status.success());
    let id = enqueue(&dev, "refused");

    let (mut child, mut said) = waiting(&dev, &id);
    // It looks once a second: on a busy machine the first run is over by then, and so may be the second.
    let mut told = 0;
    for _ in 0..2 {
        let line = said.next().unwrap();
        let run = line.strip_prefix(&format!("job {id} is not running: run ")).unwrap();
        let (run, why) = run.split_once(' ').unwrap();
        assert!(why.starts_with("was not sent (refused: "), "{line}");
        assert!(run.parse::<u32>().unwrap() > std::mem::replace(&mut told, run.parse().unwrap()), "{line}");
        assert!(line.contains(" and used no attempt; it is tried again at 2") && line.ends_with('Z'), "{line}");
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let unset =
        r#"{"url": "http://127.0.0.1:1/", "kinds": ["unset"], "headers": {"x-api-key": {"env": "NOWHERE_SET"}}}"#;
    assert!(dev.run(&["endpoint", "put", "keyless", "--spec", unset]).status.success());
    let (mut child, mut said) = waiting(&dev, &enqueue(&dev, "unset"));
    let line = said.next().unwrap();
    assert!(line.contains("no dispatcher can use endpoint keyless: ") && line.contains("NOWHERE_SET"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    let doctor = stdout(&dev.run(&["doctor"]));
    let found = doctor.lines().find(|line| line.contains("1 of 1 dispatcher cannot use it: ")).unwrap();
    assert!(found.starts_with("fail  endpoint keyless") && found.contains("NOWHERE_SET"), "{doctor}");
}

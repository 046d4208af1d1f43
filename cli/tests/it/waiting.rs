//! Waiting for a job: what is said meanwhile, and what is left behind.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use crate::support::{Dev, interrupt, stderr};

/// `job wait` of this job, and the first thing that it says about the job.
fn waiting(dev: &Dev, id: &str) -> (Child, String) {
    let mut child = dev.command(&["job", "wait", id]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.find(|line| line.starts_with("job ")).unwrap();
    (child, said)
}

#[test]
fn who_waits_is_told_why_the_job_is_not_running_and_leaves_no_broken_connection() {
    let mut dev = Dev::start();
    let id = dev.json(&["enqueue", "nobody.takes", "--json"])["id"].as_str().unwrap().to_owned();

    let waits = [waiting(&dev, &id), waiting(&dev, &id)];

    for (mut child, said) in waits {
        assert_eq!(
            said,
            format!("job {id} is not running: no endpoint takes kind nobody.takes; add it to the kinds of one")
        );
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
    let late = dev.run(&["enqueue", "nobody.takes", "--wait", "--wait-timeout-ms", "2200"]);
    assert_eq!(late.status.code(), Some(1));
    assert_eq!(stderr(&late).matches("is not running: no endpoint takes").count(), 1, "{}", stderr(&late));
    assert!(dev.run(&["enqueue", "sample.hello", "--wait"]).status.success());
    interrupt(&dev.process);
    dev.process.wait().unwrap();
    assert!(!dev.postgres_log().contains("connection to client lost"), "{}", dev.postgres_log());
}

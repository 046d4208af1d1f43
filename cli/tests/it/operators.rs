//! What producers and operators do, on the database of a running `posthaste dev`.

use serde_json::{Value, json};

use crate::support::{Dev, stderr, stdout};

/// One `dev` for all of it: each start of a Postgres costs about a second.
#[test]
fn operators_work_on_a_running_dev() {
    let dev = Dev::start();
    a_job_goes_round(&dev);
    a_scheduled_job_is_explained_cancelled_and_retried(&dev);
    faults_are_named_field_by_field(&dev);
    an_endpoint_is_written_paused_rotated_and_deleted(&dev);
    the_doctor_is_content(&dev);
    a_service_that_finds_its_port_taken_names_the_setting(&dev);
}

fn a_job_goes_round(dev: &Dev) {
    let job =
        dev.json(&["enqueue", "sample.hello", "--args", r#"{"name": "a test"}"#, "--tag", "t", "--wait", "--json"]);
    assert_eq!((&job["state"], &job["kind"]), (&json!("completed"), &json!("sample.hello")));
    assert_eq!(job["result"]["greeting"], "Hello, a test!");
    assert_eq!(job["result"]["signed"], true);
    let id = job["id"].as_str().unwrap();

    let output = dev.run(&["job", "get", id, "--json"]);
    let text = stdout(&output);
    // The shape and the order of the contract, and the bytes that were written.
    assert!(text.starts_with(&format!(r#"{{"id":"{id}","kind":"sample.hello","queue":"default","endpoint":null,"#)));
    assert!(text.contains(r#""args":{"name": "a test"}"#), "{text}");
    assert!(stderr(&output).contains("using the database of `posthaste dev`"));
    let again: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(again["attempts"][0]["http_status"], 200);

    let listed = dev.json(&["job", "list", "--tag", "t", "--state", "completed", "--json"]);
    assert_eq!(listed["jobs"][0]["id"], id);
    let dead = dev.run(&["enqueue", "sample.fail", "--wait"]);
    assert_eq!(dead.status.code(), Some(1));
    assert!(stderr(&dead).contains("is dead: http_400"), "{}", stderr(&dead));
}

fn a_scheduled_job_is_explained_cancelled_and_retried(dev: &Dev) {
    let enqueued = dev.json(&["enqueue", "nobody.takes", "--delay-ms", "600000", "--json"]);
    assert_eq!(enqueued["state"], "scheduled");
    let id = enqueued["id"].as_str().unwrap();
    assert_eq!(dev.json(&["job", "explain", id, "--json"])["reason"], "scheduled");
    assert_eq!(dev.json(&["explain", id, "--json"])["reason"], "scheduled");
    let late = dev.run(&["job", "wait", id, "--timeout-ms", "50"]);
    assert_eq!(late.status.code(), Some(1));
    let why = format!("after 50 ms job {id} is still scheduled: the job is scheduled to run at ");
    assert!(stderr(&late).contains(&why), "{}", stderr(&late));

    assert_eq!(
        dev.json(&["job", "cancel", id, "--reason", "not needed", "--json"]),
        json!({"id": id, "state": "cancelled"})
    );
    assert_eq!(dev.json(&["job", "get", id, "--json"])["error"]["message"], "not needed");

    assert_eq!(dev.json(&["job", "retry", id, "--json"])["state"], "available");
    assert_eq!(dev.json(&["job", "explain", id, "--json"])["reason"], "no_endpoint_for_kind");
    dev.json(&["job", "cancel", id, "--json"]);
    let missing = dev.run(&["job", "get", "987654321"]);
    assert_eq!(missing.status.code(), Some(1));
}

fn faults_are_named_field_by_field(dev: &Dev) {
    let output = dev.run(&["enqueue", "bad kind", "--priority", "9", "--args", "[1]"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = stderr(&output);
    assert!(said.contains("  kind: may hold only") && said.contains("  priority: must be from 1"), "{said}");
    let broken = dev.run(&["enqueue", "a", "--args", "[1,"]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(stderr(&broken).contains("  args: is not JSON"), "{}", stderr(&broken));
    let callback = r#"{"cel":{"filter":"payload.ok &&"}}"#;
    let broken = dev.run(&["enqueue", "a", "--callback", callback]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(stderr(&broken).contains("  callback.cel.filter: line 1, column 14: "), "{}", stderr(&broken));
}

fn an_endpoint_is_written_paused_rotated_and_deleted(dev: &Dev) {
    let spec = r#"{"url": "https://example.com/f", "kinds": ["pdf"]}"#;
    let made = dev.json(&["endpoint", "put", "pdf", "--spec", spec, "--json"]);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    assert_eq!(dev.json(&["endpoint", "put", "pdf", "--spec", spec, "--json"])["secret"], Value::Null);
    let rotated = dev.json(&["endpoint", "rotate-secret", "pdf", "--json"]);
    assert_ne!(rotated["secret"], secret);
    assert_eq!(dev.json(&["endpoint", "pause", "pdf", "--reason", "r", "--json"])["paused_reason"], "r");
    assert_eq!(dev.json(&["endpoint", "resume", "pdf", "--json"])["paused_at"], Value::Null);
    let wrong = dev.run(&["endpoint", "put", "pdf", "--spec", r#"{"url": "ftp://x", "colour": 1}"#]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("  url: ") && stderr(&wrong).contains("  colour: "), "{}", stderr(&wrong));
    // What the dispatcher of `dev` would dial may be written: loopback, and nothing private besides.
    let near = r#"{"url": "http://127.0.0.1:9000/"}"#;
    assert!(dev.run(&["endpoint", "put", "pdf", "--spec", near]).status.success());
    let private = ["endpoint", "put", "pdf", "--spec", r#"{"url": "https://10.0.0.1/"}"#];
    assert_eq!(dev.run(&private).status.code(), Some(2));
    let (status, answer) = dev.http("PUT /v1/endpoints/pdf", "", private[4]);
    assert!(status == 422 && answer.contains("forbidden_url"), "{answer}");
    assert!(answer.contains("list its host in POSTHASTE_EGRESS_ALLOW"), "{answer}");
    assert!(dev.run(&[&private[..], &["--egress-allow", "10.0.0.0/8"]].concat()).status.success());
    assert!(dev.run(&["endpoint", "delete", "pdf"]).status.success());
    assert_eq!(dev.run(&["endpoint", "get", "pdf"]).status.code(), Some(1));
}

fn the_doctor_is_content(dev: &Dev) {
    let report = dev.json(&["doctor", "--json"]);
    assert_eq!(report["ok"], true, "{report}");
    let named = |name: &str| report["checks"].as_array().unwrap().iter().any(|check| check["check"] == name);
    for check in
        ["fsync", "synchronous_commit", "full_page_writes", "notify", "pooler", "clock", "jobs nowhere", "partitions"]
    {
        assert!(named(check), "{check}: {report}");
    }
    assert!(named("endpoint sample") && named("vacuum horizon") && named("dispatchers"), "{report}");
    let callbacks = |report: &Value| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == "callbacks").map(|check| check["verdict"].clone())
    };
    assert_eq!(callbacks(&report), Some(json!("ok")), "{report}");
    let note = dev.note();
    let url = note["database_url"].as_str().unwrap();
    // Its endpoints cannot be opened without their keys, so the doctor is not content.
    let elsewhere = stdout(&dev.run(&["doctor", "--json", "--database-url", url]));
    let elsewhere: Value = serde_json::from_str(&elsewhere).unwrap();
    assert_eq!(callbacks(&elsewhere), Some(json!("warn")), "{elsewhere}");
}

fn a_service_that_finds_its_port_taken_names_the_setting(dev: &Dev) {
    let note = dev.note();
    let (database, api) = (note["database_url"].as_str().unwrap(), note["api_url"].as_str().unwrap());
    let address = api.strip_prefix("http://").unwrap();
    let output = dev.run(&["serve", "--database-url", database, "--api-listen", address]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains(&format!("cannot listen on {address}")) && said.contains("POSTHASTE_API_LISTEN"), "{said}");
    assert!(said.contains("POSTHASTE_GATEWAY_URL and POSTHASTE_TOKEN_KEYS are not set"), "{said}");
}

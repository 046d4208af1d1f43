//! `posthaste cel eval`.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::{Value, json};

use crate::support::{posthaste, run, stderr, stdout};

#[test]
fn expressions_are_tried_on_a_payload() {
    let payload = r#"{"type":"invoice.paid","data":{"amount":250}}"#;
    let verdict = |flags: &[&str]| {
        let output = run(&[&["cel", "eval", "--payload", payload], flags].concat());
        (output.status.code(), stdout(&output).trim_end().to_owned())
    };
    let paid = "payload.type == 'invoice.paid'";
    assert_eq!(
        verdict(&["--on-complete", paid, "--transform", "payload.data.amount + 1"]),
        (Some(0), "complete 251".to_owned())
    );
    assert_eq!(verdict(&["--filter", "headers['x-a'] == 'b'", "--header", "X-A: c"]), (Some(0), "ignore".to_owned()));
    assert_eq!(verdict(&["--on-fail", paid]), (Some(0), "fail on_fail is true [callback_failed]".to_owned()));
    let (code, said) = verdict(&["--filter", "payload.none"]);
    assert_eq!(
        (code, said.as_str()),
        (Some(1), "quarantine filter: there is no field `none`: ask has(…) first [cel_failed]")
    );
    assert_eq!(verdict(&["--filter", "payload.none", "--fail-open"]).0, Some(0));
    assert_eq!(
        verdict(&["[job.id, job.kind]", "--job", r#"{"id":"7","kind":"k"}"#]),
        (Some(0), r#"["7","k"]"#.to_owned())
    );
}

#[test]
fn what_does_not_compile_is_refused_with_its_place() {
    let output = run(&["cel", "eval", "--filter", "payload.", "--on-fail", "body.x", "--payload", "1"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for fault in ["cel.filter: line 1, column 9: ", "cel.on_fail: line 1, column 1: there is no `body`"] {
        assert!(said.contains(fault), "{said}");
    }
    assert_eq!(run(&["cel", "eval", "payload", "--filter", "true", "--payload", "1"]).status.code(), Some(2));
}

#[test]
fn expressions_come_from_files_and_payloads_from_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("paid.cel");
    fs::write(&file, "payload.paid // since last week\n").unwrap();
    let mut child = posthaste()
        .args(["cel", "eval", "--json", "--payload", "-", "--on-complete", &format!("@{}", file.display())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(br#"{"paid": true}"#).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer, json!({"verdict": "complete", "result": {"paid": true}}));
}

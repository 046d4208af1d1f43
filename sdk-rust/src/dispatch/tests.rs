use std::collections::BTreeMap;

use http::Request;
use serde_json::json;

use super::*;
use crate::vectors::cases;

#[derive(Deserialize)]
struct Expected {
    body: String,
    headers: BTreeMap<String, String>,
}

fn read_back(expected: &Expected, format: Format) -> (Run, Box<RawValue>) {
    let mut request = Request::post("/");
    for (name, value) in &expected.headers {
        request = request.header(name, value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    read(head, expected.body.as_bytes(), format).unwrap()
}

#[test]
fn dispatch() {
    for case in cases::<Value>(include_str!("../../../tests/vectors/dispatch.json")) {
        let (name, given) = (&case.name, &case.given);
        let expected: Expected = serde_json::from_value(case.expect.unwrap()).unwrap();
        let format = match given["format"].as_str().unwrap() {
            "envelope" | "lambda" => Format::Envelope,
            "raw" => Format::Raw,
            "cloudevents" => Format::CloudEvents,
            other => panic!("{name}: {other}"),
        };
        let (run, args) = read_back(&expected, format);
        let job = &given["job"];
        let told = json!({"id": run.id(), "kind": run.kind(), "queue": run.queue(), "attempt": run.attempt(),
            "max_attempts": run.max_attempts(), "run_lease": run.run_lease(), "idempotency_key": run.idempotency_key()});
        for (field, value) in told.as_object().unwrap() {
            assert_eq!(value, &job[field], "{name}: {field}");
        }
        assert_eq!(args.get(), job["args"], "{name}");
        let timeout = run.deadline().duration_since(run.received());
        assert_eq!(json!(timeout.as_millis()), job["timeout_ms"], "{name}");
        let callback = &given["context"]["callback"];
        assert_eq!(run.callback().is_some(), !callback.is_null(), "{name}");
        if let Some(grant) = run.callback() {
            assert_eq!(grant.token(), expected.headers["posthaste-callback-token"], "{name}");
            assert_eq!(grant.url(), expected.headers["posthaste-callback-url"], "{name}");
        }
        if given["format"] == "envelope" {
            check_context(name, &run, &given["context"], job);
        }
    }
}

/// What only an envelope tells.
fn check_context(name: &str, run: &Run, context: &Value, job: &Value) {
    let text = |value: &Value| serde_json::from_str::<Value>(value.as_str().unwrap_or("null")).unwrap();
    assert_eq!((json!(run.tags()), json!(run.metadata())), (job["tags"].clone(), text(&job["metadata"])), "{name}");
    assert_eq!(run.last_progress().cloned().unwrap_or_default(), text(&context["progress"]), "{name}");
    let steps = if context["steps"].is_null() { json!({}) } else { text(&context["steps"]) };
    assert_eq!(json!(run.steps()), steps, "{name}");
    assert_eq!(run.resume().is_some(), !context["resume"].is_null(), "{name}");
    if let Some(resume) = run.resume() {
        let woken = &context["resume"];
        assert_eq!((json!(resume.name), json!(resume.timed_out)), (woken["name"].clone(), woken["timed_out"].clone()));
        assert_eq!(resume.payload, text(&woken["payload"]), "{name}");
    }
    if let Some(grant) = run.callback() {
        assert_eq!(grant.hook_url().is_some(), !context["callback"]["hook_token"].is_null(), "{name}");
        assert_eq!(json!(grant.deadline_in().unwrap().as_millis()), context["callback"]["deadline_in_ms"], "{name}");
    }
}

#[test]
fn no_token_is_printed() {
    let expected = Expected {
        body: "{}".to_owned(),
        headers: [
            ("posthaste-protocol", "1"),
            ("posthaste-job-id", "1"),
            ("posthaste-kind", "k"),
            ("posthaste-queue", "q"),
            ("posthaste-attempt", "1"),
            ("posthaste-max-attempts", "25"),
            ("posthaste-run-lease", "1"),
            ("posthaste-callback-url", "https://cb.example.com/v1/callbacks"),
            ("posthaste-callback-token", "ph1.secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    };
    let (run, _) = read_back(&expected, Format::Raw);
    let printed = format!("{run:?} {:?}", run.headers());
    assert!(!printed.contains("ph1.secret") && printed.contains("[REDACTED]"), "{printed}");
}

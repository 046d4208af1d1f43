use proptest::prelude::*;

use super::*;
use crate::id::JobId;

fn one(wait: &str) -> Wait {
    let suspension = Suspension::parse(&format!(r#"{{"wait": {wait}}}"#)).unwrap();
    assert_eq!((suspension.waits.len(), suspension.need), (1, 1));
    suspension.waits.into_iter().next().unwrap()
}

/// Every fault as `field code`.
fn faults(json: &str) -> Vec<String> {
    let errors = Suspension::parse(json).unwrap_err();
    errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect()
}

fn wait_faults(wait: &str) -> Vec<String> {
    faults(&format!(r#"{{"wait": {wait}}}"#))
}

#[test]
fn a_wait_for_a_callback_may_have_expressions_and_a_signature() {
    let wait = one(
        r#"{"name": "payment", "for": "callback", "timeout_ms": 3600000, "cel": {"filter": "payload.type == 'paid'"},
            "signature": {"scheme": "stripe", "secrets": [{"env": "STRIPE_SECRET"}]}}"#,
    );
    assert_eq!(
        serde_json::to_string(&wait).unwrap(),
        r#"{"name":"payment","for":"callback","cel":{"filter":"payload.type == 'paid'"},"signature":{"scheme":"stripe","tolerance_s":300,"secrets":[{"env":"STRIPE_SECRET"}]},"timeout_ms":3600000}"#
    );
    let bare = one(r#"{"name": "payment", "for": "callback"}"#);
    assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"name":"payment","for":"callback"}"#);
}

#[test]
fn a_timer_ends_at_a_time_or_after_one() {
    let at = one(r#"{"name": "t", "for": "timer", "until": "2026-11-22T09:00:00+01:00"}"#);
    assert!(matches!(at.event, WaitFor::Timer { until: Some(at) } if at.to_rfc3339() == "2026-11-22T08:00:00+00:00"));
    let after = one(r#"{"name": "t", "for": "timer", "timeout_ms": 5000}"#);
    assert!(matches!(after.event, WaitFor::Timer { until: None }));
    assert_eq!(after.timeout_ms, Some(5000));
    assert_eq!(wait_faults(r#"{"name": "t", "for": "timer"}"#), ["wait.until required"]);
    let both = r#"{"name": "t", "for": "timer", "until": "2026-11-22T08:00:00Z", "timeout_ms": 1}"#;
    assert_eq!(wait_faults(both), ["wait.until required"]);
}

#[test]
fn a_timer_is_written_as_it_is_read() {
    let of = |until: &str| format!(r#"{{"name": "t", "for": "timer", "until": "{until}"}}"#);
    for until in ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+00:00", "2016-12-31T23:59:60Z"] {
        let written = serde_json::to_string(&one(&of(until))).unwrap();
        assert_eq!(serde_json::to_string(&one(&written)).unwrap(), written);
    }
    // In UTC these are of the years 10000, 0 and -1.
    for until in ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01", "0000-01-01T00:00:00+00:01"] {
        assert_eq!(wait_faults(&of(until)), ["wait.until wrong_format"], "{until}");
    }
}

#[test]
fn a_wait_for_jobs_needs_all_of_them_unless_it_says_fewer() {
    let all = one(r#"{"name": "j", "for": "jobs", "jobs": ["42", "43"], "timeout_ms": 1}"#);
    assert!(matches!(all.event, WaitFor::Jobs { jobs, need: 2 } if jobs == [JobId(42), JobId(43)]));
    let any = one(r#"{"name": "j", "for": "jobs", "jobs": ["42", "43"], "need": 1}"#);
    assert!(matches!(any.event, WaitFor::Jobs { need: 1, .. }));
    let of = |rest: &str| wait_faults(&format!(r#"{{"name": "j", "for": "jobs"{rest}}}"#));
    assert_eq!(of(""), ["wait.jobs required"]);
    assert_eq!(of(r#", "jobs": [ ]"#), ["wait.jobs required"]);
    assert_eq!(of(r#", "jobs": ["1"], "need": 2"#), ["wait.need out_of_range"]);
    assert_eq!(
        of(r#", "jobs": ["1", "01", 1, "1", null], "need": 0"#),
        [
            "wait.jobs[1] wrong_format",
            "wait.jobs[2] wrong_type",
            "wait.jobs[3] duplicate",
            "wait.jobs[4] wrong_type",
            "wait.need out_of_range"
        ]
    );
    let many: Vec<_> = (1..=1001).map(|id| format!(r#""{id}""#)).collect();
    assert_eq!(of(&format!(r#", "jobs": [{}]"#, many.join(","))), ["wait.jobs too_many"]);
}

#[test]
fn some_of_several_waits_may_wake_a_function() {
    let wait = |name: &str| format!(r#"{{"name": "{name}", "for": "callback"}}"#);
    let waits = format!("[{}, {}, {}]", wait("a"), wait("b"), wait("c"));
    let two = Suspension::parse(&format!(r#"{{"need": 2, "waits": {waits}}}"#)).unwrap();
    let names: Vec<_> = two.waits.iter().map(|wait| wait.name.as_str()).collect();
    assert_eq!((names.as_slice(), two.need), (["a", "b", "c"].as_slice(), 2));
    assert_eq!(Suspension::parse(&format!(r#"{{"waits": {waits}}}"#)).unwrap().need, 3);
    assert_eq!(faults(&format!(r#"{{"waits": {waits}, "need": 4}}"#)), ["need out_of_range"]);
    assert_eq!(faults(r#"{"waits": [], "need": 1}"#), ["waits required"]);
    assert_eq!(faults(&format!(r#"{{"waits": [{0}, {0}]}}"#, wait("a"))), ["waits[1].name duplicate"]);
    let many: Vec<_> = (0..33).map(|n| wait(&n.to_string())).collect();
    assert_eq!(faults(&format!(r#"{{"waits": [{}]}}"#, many.join(","))), ["waits too_many"]);
}

#[test]
fn there_is_one_wait_or_a_list_of_them() {
    assert_eq!(faults("{}"), ["wait required"]);
    assert_eq!(faults(r#"{"wait": null, "waits": null}"#), ["wait required"]);
    assert_eq!(faults("[]"), [" wrong_type"]);
    assert_eq!(faults("x"), [" malformed_json"]);
    let wait = r#"{"name": "a", "for": "callback"}"#;
    assert_eq!(faults(&format!(r#"{{"wait": {wait}, "waits": [{wait}]}}"#)), ["waits conflict"]);
    assert_eq!(faults(&format!(r#"{{"wait": {wait}, "need": 1}}"#)), ["need conflict"]);
    assert_eq!(faults(r#"{"wait": 5, "x": 1}"#), ["wait wrong_type", "x unknown_field"]);
    assert_eq!(faults(r#"{"waits": [null]}"#), ["waits[0] wrong_type"]);
}

#[test]
fn who_writes_an_unknown_field_is_told_the_known_ones() {
    let errors = Suspension::parse(r#"{"wait": {"name": "a", "for": "timer", "after_ms": 5}}"#).unwrap_err();
    let known =
        "wait.after_ms: is not a known field: there are name, for, timeout_ms, until, jobs, need, cel, signature";
    assert_eq!(errors[0].to_string(), known);
}

#[test]
fn a_wait_has_a_name_and_what_it_waits_for() {
    assert_eq!(wait_faults("{}"), ["wait.name required", "wait.for required"]);
    assert_eq!(wait_faults(r#"{"name": "a b", "for": "signal"}"#), ["wait.name invalid_name", "wait.for unknown_word"]);
    assert_eq!(wait_faults(r#"{"name": "a", "for": "callback", "timeout_ms": 0}"#), ["wait.timeout_ms out_of_range"]);
    assert_eq!(
        wait_faults(r#"{"name": "a", "for": "timer", "timeout_ms": 2592000001}"#),
        ["wait.timeout_ms out_of_range"]
    );
}

#[test]
fn what_belongs_to_another_wait_is_named() {
    let callback = r#"{"name": "a", "for": "callback", "until": "2026-11-22T08:00:00Z", "jobs": ["1"], "need": 1}"#;
    assert_eq!(wait_faults(callback), ["wait.jobs conflict", "wait.need conflict", "wait.until conflict"]);
    let timer = r#"{"name": "a", "for": "timer", "timeout_ms": 1, "cel": {}, "signature": {"scheme": "github"}}"#;
    assert_eq!(wait_faults(timer), ["wait.cel conflict", "wait.signature conflict"]);
}

#[test]
fn expressions_are_bounded_and_secrets_are_references() {
    let long = "x".repeat(2049);
    let cel = format!(r#"{{"filter": "{long}", "on_fail": " ", "default_action": "retry", "x": 1}}"#);
    assert_eq!(
        wait_faults(&format!(r#"{{"name": "a", "for": "callback", "cel": {cel}}}"#)),
        [
            "wait.cel.filter too_long",
            "wait.cel.on_fail required",
            "wait.cel.default_action unknown_word",
            "wait.cel.x unknown_field"
        ]
    );
    let signature = r#"{"scheme": "github", "secrets": ["0123456789abcdef"]}"#;
    assert_eq!(
        wait_faults(&format!(r#"{{"name": "a", "for": "callback", "signature": {signature}}}"#)),
        ["wait.signature.secrets[0] literal_secret"]
    );
    let signature = r#"{"scheme": "hmac", "header": "Authorization", "secrets": [{"env": "A"}]}"#;
    assert_eq!(
        wait_faults(&format!(r#"{{"name": "a", "for": "callback", "signature": {signature}}}"#)),
        ["wait.signature.header invalid_header"],
        "it is not there any more when the wait is known"
    );
}

#[test]
fn steps_are_kept_as_they_were_given() {
    let wait = r#"{"name": "a", "for": "callback"}"#;
    let with = |rest: &str| Suspension::parse(&format!(r#"{{"wait": {wait}{rest}}}"#));
    let kept = with(r#", "steps": {"b" : 1.0, "a":[ ]}, "seq": 4"#).unwrap();
    assert_eq!((kept.steps.unwrap().get(), kept.seq), (r#"{"b" : 1.0, "a":[ ]}"#, Some(4)));
    assert!(with("").unwrap().steps.is_none());
    let errors = with(r#", "steps": {"a": 1, "a": 2}, "seq": -1"#).unwrap_err();
    let errors: Vec<_> = errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect();
    assert_eq!(errors, ["steps.a duplicate_field", "seq out_of_range"]);
}

proptest! {
    #[test]
    fn no_body_panics(body in r#"(\{"waits?": ?)?[{}\[\]",:a-z0-9\\ ]{0,60}"#) {
        let _unimportant = Suspension::parse(&body);
    }

    #[test]
    fn what_is_written_back_is_read_again(timeout_ms in prop::option::of(1_u64..=2_592_000_000), need in 1_usize..=2) {
        let jobs = WaitFor::Jobs { jobs: vec![JobId(1), JobId(2)], need };
        let callback = WaitFor::Callback { cel: Some(crate::cel::CelSpec::default()), signature: None };
        for event in [jobs, callback] {
            let written = serde_json::to_string(&Wait { name: "a".to_owned(), event, timeout_ms }).unwrap();
            prop_assert_eq!(serde_json::to_string(&one(&written)).unwrap(), written);
        }
    }
}

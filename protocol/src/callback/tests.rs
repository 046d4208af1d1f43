use proptest::prelude::*;

use super::*;

fn parse(action: Action, body: &str) -> Callback {
    CallbackRequest::parse(action, body).unwrap().callback
}

fn digest(action: Action, body: &str) -> Digest {
    CallbackRequest::parse(action, body).unwrap().digest
}

/// Every fault as `field code`.
fn faults(action: Action, body: &str) -> Vec<String> {
    let errors = CallbackRequest::parse(action, body).unwrap_err();
    errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect()
}

#[test]
fn a_result_is_kept_byte_for_byte() {
    let Callback::Complete { result } = parse(Action::Complete, r#"{"result": {"b" : 1.50, "a":2}}"#) else {
        panic!("a complete")
    };
    assert_eq!(result.unwrap().get(), r#"{"b" : 1.50, "a":2}"#);
}

#[test]
fn an_empty_body_says_what_an_empty_object_says() {
    for body in ["", " \n", "{}", r#"{"result": null}"#] {
        assert!(matches!(parse(Action::Complete, body), Callback::Complete { result: None }), "{body:?}");
        assert_eq!(digest(Action::Complete, body), digest(Action::Complete, "{}"), "{body:?}");
    }
    assert!(matches!(parse(Action::Resume, ""), Callback::Resume { payload: None }));
    assert!(matches!(parse(Action::Cancel, ""), Callback::Cancel { reason: None }));
    assert!(matches!(parse(Action::Heartbeat, ""), Callback::Heartbeat { extend_ms: None }));
}

#[test]
fn a_failure_is_retryable_unless_it_says_no() {
    let Callback::Fail { error, retryable, retry_after_ms } = parse(Action::Fail, r#"{"error": "out of paper"}"#)
    else {
        panic!("a fail")
    };
    assert_eq!((error.as_deref(), retryable, retry_after_ms), (Some("out of paper"), true, None));
    let said = parse(Action::Fail, r#"{"retryable": false, "retry_after_ms": 0}"#);
    assert!(matches!(said, Callback::Fail { error: None, retryable: false, retry_after_ms: Some(0) }));
}

#[test]
fn waits_are_milliseconds_of_at_most_thirty_days() {
    assert!(matches!(
        parse(Action::Retry, r#"{"after_ms": 2592000000}"#),
        Callback::Retry { after_ms: Some(2_592_000_000) }
    ));
    assert!(matches!(parse(Action::Snooze, r#"{"after_ms": 0}"#), Callback::Snooze { after_ms: Some(0) }));
    assert!(matches!(parse(Action::Heartbeat, r#"{"extend_ms": 1}"#), Callback::Heartbeat { extend_ms: Some(1) }));
    assert_eq!(faults(Action::Retry, r#"{"after_ms": 2592000001}"#), ["after_ms out_of_range"]);
    assert_eq!(faults(Action::Snooze, r#"{"after_ms": -1}"#), ["after_ms out_of_range"]);
    assert_eq!(faults(Action::Snooze, r#"{"after_ms": 1.5}"#), ["after_ms wrong_type"]);
    assert_eq!(faults(Action::Heartbeat, r#"{"extend_ms": 0}"#), ["extend_ms out_of_range"]);
}

#[test]
fn a_progress_may_be_partial() {
    let Callback::Progress(progress) = parse(Action::Progress, r#"{"percent": 12.5, "metadata": {"page": 3}}"#) else {
        panic!("a progress")
    };
    assert_eq!((progress.percent, progress.message), (Some(12.5), None));
    assert_eq!(progress.metadata.unwrap().get(), r#"{"page": 3}"#);
    assert_eq!(
        faults(Action::Progress, r#"{"percent": 100.1, "message": 1, "metadata": []}"#),
        ["percent out_of_range", "message wrong_type", "metadata wrong_type"]
    );
    assert_eq!(faults(Action::Progress, r#"{"percent": 1e999}"#), ["percent wrong_type"]);
}

#[test]
fn texts_and_objects_of_a_progress_are_bounded() {
    let message = |bytes: usize| format!(r#"{{"message": "{}"}}"#, "x".repeat(bytes));
    parse(Action::Progress, &message(MAX_MESSAGE_BYTES));
    assert_eq!(faults(Action::Progress, &message(MAX_MESSAGE_BYTES + 1)), ["message too_long"]);
    let metadata = |bytes: usize| format!(r#"{{"metadata": {{"x":"{}"}}}}"#, "x".repeat(bytes - 8));
    parse(Action::Progress, &metadata(MAX_PROGRESS_METADATA_BYTES));
    assert_eq!(faults(Action::Progress, &metadata(MAX_PROGRESS_METADATA_BYTES + 1)), ["metadata too_large"]);
}

#[test]
fn a_checkpoint_needs_its_number_and_its_steps() {
    let said = parse(Action::Checkpoint, r#"{"seq": 3, "steps": {"fetch": {"rows" : 9}}}"#);
    assert!(matches!(&said, Callback::Checkpoint { seq: 3, steps } if steps.get() == r#"{"fetch": {"rows" : 9}}"#));
    assert_eq!(faults(Action::Checkpoint, ""), ["seq required", "steps required"]);
    assert_eq!(faults(Action::Checkpoint, r#"{"seq": null, "steps": {}}"#), ["seq required"]);
    assert_eq!(
        faults(Action::Checkpoint, r#"{"seq": 2147483648, "steps": []}"#),
        ["seq out_of_range", "steps wrong_type"]
    );
    assert_eq!(faults(Action::Checkpoint, "[]"), [" wrong_type"]);
}

#[test]
fn steps_have_names_of_their_own_and_are_bounded() {
    let steps = |steps: &str| faults(Action::Checkpoint, &format!(r#"{{"seq": 1, "steps": {steps}}}"#));
    assert_eq!(steps(r#"{"a": 1, "a": 2}"#), ["steps.a duplicate_field"]);
    assert_eq!(steps(r#"{"": 1}"#), ["steps. invalid_name"]);
    let long = "n".repeat(201);
    assert_eq!(steps(&format!(r#"{{"{long}": 1}}"#)), [format!("steps.{} invalid_name", "n".repeat(100))]);
    let many: Vec<_> = (0..=1000).map(|n| format!(r#""{n}":0"#)).collect();
    assert_eq!(steps(&format!("{{{}}}", many.join(","))), ["steps too_many"]);
    parse(Action::Checkpoint, &format!(r#"{{"seq": 1, "steps": {{{}}}}}"#, many[1..].join(",")));
}

#[test]
fn a_value_beyond_a_mebibyte_is_too_large() {
    let body = |bytes: usize| format!(r#"{{"result": "{}"}}"#, "x".repeat(bytes - 2));
    parse(Action::Complete, &body(MAX_VALUE_BYTES));
    assert_eq!(faults(Action::Complete, &body(MAX_VALUE_BYTES + 1)), ["result too_large"]);
}

#[test]
fn fields_of_another_action_are_unknown() {
    for action in Action::ALL {
        let known = shape(*action).known;
        for name in ["result", "error", "after_ms", "reason", "extend_ms", "percent", "seq", "payload", "x"] {
            let body = format!(r#"{{"{name}": null}}"#);
            let unknown = CallbackRequest::parse(*action, &body)
                .is_err_and(|errors| errors.iter().any(|error| error.code == "unknown_field"));
            assert_eq!(unknown, !known.contains(&name), "{action} {name}");
        }
    }
}

#[test]
fn what_cannot_be_stored_is_refused() {
    assert_eq!(faults(Action::Complete, r#"{"result": "\u0000"}"#), ["result nul_character"]);
    assert_eq!(faults(Action::Fail, r#"{"error": "\ud800"}"#), ["error lone_surrogate"]);
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    assert_eq!(faults(Action::Resume, &format!(r#"{{"payload": {deep}}}"#)), ["payload too_deep"]);
    assert_eq!(faults(Action::Complete, "{"), [" malformed_json"]);
    assert_eq!(faults(Action::Complete, "null"), [" wrong_type"]);
}

#[test]
fn a_digest_knows_the_same_body_in_another_spelling() {
    let one = digest(Action::Complete, r#"{"result":{"a":1,"b":"é"}}"#);
    assert_eq!(one, digest(Action::Complete, " {\"result\" : { \"b\":\"\\u00e9\", \"a\" : 1 } } "));
    let fail = digest(Action::Fail, r#"{"error":"x","retryable":false}"#);
    assert_eq!(fail, digest(Action::Fail, r#"{"retryable":false,"retry_after_ms":null,"error":"x"}"#));
}

#[test]
fn a_digest_tells_actions_and_bodies_apart() {
    let digests = [
        digest(Action::Complete, ""),
        digest(Action::Complete, r#"{"result":1}"#),
        digest(Action::Complete, r#"{"result":1.0}"#),
        digest(Action::Complete, r#"{"result":"1"}"#),
        digest(Action::Complete, r#"{"result":[1,2]}"#),
        digest(Action::Complete, r#"{"result":[2,1]}"#),
        digest(Action::Fail, ""),
        digest(Action::Retry, r#"{"after_ms":1}"#),
        digest(Action::Snooze, r#"{"after_ms":1}"#),
        of_hook(b"{}"),
        of_hook(b""),
    ];
    let different: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(different.len(), digests.len());
}

proptest! {
    #[test]
    fn no_body_panics(body in r#"[{}\[\]",:a-z0-9\\ ]{0,60}"#) {
        for action in Action::ALL {
            let _unimportant = CallbackRequest::parse(*action, &body);
        }
    }
}

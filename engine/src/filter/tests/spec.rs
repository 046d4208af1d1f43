use super::*;

fn faults(json: &str) -> Vec<(String, String)> {
    let faults = FilterSpec::parse(json).expect_err(json);
    faults.into_iter().map(|fault| (fault.field, fault.code)).collect()
}

#[test]
fn an_empty_filter_has_every_default() {
    let spec = FilterSpec::parse("{}").unwrap();
    assert_eq!(
        serde_json::to_string(&spec).unwrap(),
        r#"{"filter":null,"on_fail":null,"on_complete":null,"transform":null,"default_action":"complete","fail_open":false}"#
    );
    assert_eq!(spec, FilterSpec::default());
}

#[test]
fn what_is_written_is_read_back() {
    let spec = FilterSpec::parse(
        r#"{"filter":"payload.a","on_fail":"payload.b","on_complete":"payload.c","transform":"payload.d",
            "default_action":"fail","fail_open":true}"#,
    )
    .unwrap();
    assert_eq!(spec.on_complete.as_deref(), Some("payload.c"));
    assert_eq!((spec.default_action, spec.fail_open), (DefaultAction::Fail, true));
    assert_eq!(FilterSpec::parse(&serde_json::to_string(&spec).unwrap()), Ok(spec));
}

#[test]
fn where_something_is_waited_for_anything_else_is_ignored_by_default() {
    let action = |json: &str| FilterSpec::parse(json).unwrap().default_action;
    assert_eq!(action(r#"{"on_complete": "payload.done"}"#), DefaultAction::Ignore);
    assert_eq!(action(r#"{"on_complete": "payload.done", "default_action": "fail"}"#), DefaultAction::Fail);
    assert_eq!(action(r#"{"on_fail": "payload.failed"}"#), DefaultAction::Complete);
    assert_eq!(action(r#"{"on_complete": null, "default_action": null}"#), DefaultAction::Complete);
}

#[test]
fn every_fault_is_named() {
    assert_eq!(
        faults(r#"{"filter": 1, "on_fail": {}, "default_action": "retry", "fail_open": "yes", "x": 1, "filter": "a"}"#),
        [
            ("filter".to_owned(), "wrong_type".to_owned()),
            ("on_fail".to_owned(), "wrong_type".to_owned()),
            ("default_action".to_owned(), "unknown_word".to_owned()),
            ("fail_open".to_owned(), "wrong_type".to_owned()),
            ("x".to_owned(), "unknown_field".to_owned()),
            ("filter".to_owned(), "duplicate_field".to_owned()),
        ]
    );
    assert_eq!(faults(r#"{"default_action": 1}"#), [("default_action".to_owned(), "wrong_type".to_owned())]);
    assert_eq!(faults(r#"{"filter": "a\u0000"}"#), [("filter".to_owned(), "nul_character".to_owned())]);
    for not_an_object in ["[]", "null", "\"x\""] {
        assert_eq!(faults(not_an_object), [(String::new(), "wrong_type".to_owned())]);
    }
    for not_json in ["", "{", "{}x", r#"{"filter": "\ud800"}"#, &"[".repeat(100_000)] {
        assert_eq!(faults(not_json), [(String::new(), "malformed_json".to_owned())]);
    }
    assert_eq!(faults(&format!("{{{}}}", vec![r#""x":1"#; 1000].join(","))).len(), 100, "faults are bounded");
}

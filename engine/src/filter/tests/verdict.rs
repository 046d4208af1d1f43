use super::*;
use crate::lifecycle::RunError;

/// A filter over `{"filter": …, "on_fail": …, …}` whose expressions each read the payload's field of that name.
fn spec(fields: &[&str], default_action: DefaultAction) -> CelSpec {
    let of = |name: &str| fields.contains(&name).then(|| format!("payload.{name}"));
    CelSpec {
        filter: of("filter"),
        on_fail: of("on_fail"),
        on_complete: of("on_complete"),
        transform: of("transform"),
        default: Some(default_action),
        fail_open: false,
    }
}

const ALL: [&str; 3] = ["filter", "on_fail", "on_complete"];

type Judged = Result<Verdict, EvalError>;

fn complete(result: &str) -> Verdict {
    Verdict::Complete { result: Some(result.to_owned()) }
}

const AS_IT_IS: Judged = Ok(Verdict::Complete { result: None });

fn fail(message: &str) -> Verdict {
    Verdict::Fail { error: RunError::new("callback_failed", message) }
}

fn quarantine(code: &'static str, expression: &'static str, message: &str) -> Judged {
    Err(EvalError { code, expression, message: message.to_owned() })
}

#[test]
fn the_first_expression_that_decides_is_the_verdict() {
    let spec = spec(&ALL, DefaultAction::Ignore);
    for (filter, on_fail, on_complete, verdict) in [
        (false, true, true, Ok(Verdict::Ignore)),
        (true, true, true, Ok(fail("on_fail is true"))),
        (true, false, true, AS_IT_IS),
        (true, false, false, Ok(Verdict::Ignore)),
    ] {
        let payload = json!({"filter": filter, "on_fail": on_fail, "on_complete": on_complete});
        assert_eq!(verdict_of(&spec, &payload), verdict, "{payload}");
    }
}

#[test]
fn what_follows_a_decision_is_not_evaluated() {
    let spec = spec(&["filter", "on_fail", "on_complete", "transform"], DefaultAction::Ignore);
    assert_eq!(verdict_of(&spec, &json!({"filter": false})), Ok(Verdict::Ignore));
    assert_eq!(verdict_of(&spec, &json!({"filter": true, "on_fail": true})), Ok(fail("on_fail is true")));
    let left = json!({"filter": true, "on_fail": false, "on_complete": false});
    assert_eq!(verdict_of(&spec, &left), Ok(Verdict::Ignore));
}

#[test]
fn the_default_action_decides_what_no_expression_did() {
    let payload = json!({"filter": true, "on_fail": false, "on_complete": false, "transform": [1]});
    for fields in [&ALL[..], &[]] {
        assert_eq!(verdict_of(&spec(fields, DefaultAction::Ignore), &payload), Ok(Verdict::Ignore));
        assert_eq!(
            verdict_of(&spec(fields, DefaultAction::Fail), &payload),
            Ok(fail("default_action is fail, and no expression decided otherwise"))
        );
        assert_eq!(verdict_of(&spec(fields, DefaultAction::Complete), &payload), AS_IT_IS);
    }
}

#[test]
fn whatever_completes_is_transformed() {
    let payload = json!({"on_complete": true, "transform": {"b": 1.0, "a": null}});
    let by_expression = spec(&["on_complete", "transform"], DefaultAction::Ignore);
    assert_eq!(verdict_of(&by_expression, &payload), Ok(complete(r#"{"a":null,"b":1.0}"#)));
    let by_default = spec(&["transform"], DefaultAction::Complete);
    assert_eq!(verdict_of(&by_default, &payload), Ok(complete(r#"{"a":null,"b":1.0}"#)));
    let to_null = json!({"transform": null});
    assert_eq!(verdict_of(&by_default, &to_null), Ok(complete("null")));
}

#[test]
fn an_expression_that_fails_quarantines_and_names_itself() {
    let missing =
        |name: &'static str| quarantine("cel_failed", name, &format!("there is no field `{name}`: ask has(…) first"));
    let spec = spec(&["filter", "on_fail", "on_complete", "transform"], DefaultAction::Complete);
    let mut payload = json!({});
    for (name, value) in [("filter", true), ("on_fail", false), ("on_complete", false)] {
        assert_eq!(verdict_of(&spec, &payload), missing(name));
        payload[name] = json!(value);
    }
    assert_eq!(verdict_of(&spec, &payload), missing("transform"));
}

#[test]
fn a_condition_that_is_neither_true_nor_false_is_no_match() {
    let spec = spec(&["on_complete"], DefaultAction::Complete);
    for (value, kind) in
        [(json!(1), "an int"), (json!("true"), "a string"), (json!(null), "null"), (json!([]), "a list")]
    {
        let message = format!("must be true or false, not {kind}");
        assert_eq!(
            verdict_of(&spec, &json!({"on_complete": value})),
            quarantine("cel_failed", "on_complete", &message)
        );
    }
}

#[test]
fn a_filter_that_fails_open_takes_what_fails_for_not_there() {
    let open = |fields: &[&str], default_action| CelSpec { fail_open: true, ..spec(fields, default_action) };
    let nothing = json!({});
    assert_eq!(
        verdict_of(&open(&["filter"], DefaultAction::Fail), &nothing),
        verdict_of(&spec(&[], DefaultAction::Fail), &nothing)
    );
    assert_eq!(verdict_of(&open(&["on_fail", "on_complete"], DefaultAction::Ignore), &nothing), Ok(Verdict::Ignore));
    assert_eq!(verdict_of(&open(&["filter", "transform"], DefaultAction::Complete), &nothing), AS_IT_IS);
    assert_eq!(verdict_of(&open(&["filter"], DefaultAction::Complete), &json!({"filter": false})), Ok(Verdict::Ignore));
}

#[test]
fn a_bound_quarantines_even_what_fails_open() {
    let spec = CelSpec {
        filter: Some("payload.all(a, payload.all(b, payload.all(c, true)))".to_owned()),
        fail_open: true,
        ..CelSpec::default()
    };
    let verdict = verdict_of(&spec, &json!(vec![0; 1000]));
    assert_eq!(verdict, quarantine("cel_limit", "filter", "took more than 100000 steps"));
}

#[test]
fn all_expressions_of_a_filter_share_one_budget() {
    let most = "payload.all(a, payload.all(b, true))".to_owned();
    let spec = CelSpec { filter: Some(most.clone()), on_complete: Some(most), ..CelSpec::default() };
    let payload = json!(vec![0; 260]);
    let alone = CelSpec { on_complete: None, ..spec.clone() };
    assert_eq!(verdict_of(&alone, &payload), AS_IT_IS);
    assert_eq!(verdict_of(&spec, &payload), quarantine("cel_limit", "on_complete", "took more than 100000 steps"));
}

#[test]
fn the_same_input_always_gives_the_same_verdict() {
    let spec = transforming("payload.map(k, {k: payload[k], 'n': size(payload)})");
    let members: serde_json::Map<_, _> = (0..50).map(|n| (format!("k{n}"), json!(n))).collect();
    let payload = Json::Object(members);
    let first = verdict_of(&spec, &payload);
    assert!(matches!(&first, Ok(Verdict::Complete { .. })));
    for _ in 0..20 {
        assert_eq!(verdict_of(&spec, &payload), first);
    }
}

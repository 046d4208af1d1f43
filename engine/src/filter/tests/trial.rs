use posthaste_protocol::cel::trial::Trial;

use super::*;

fn tried(json: &str) -> Result<Json, Vec<(String, String)>> {
    let trial = Trial::parse(json).unwrap();
    let answer = try_out(&trial)
        .map_err(|faults| faults.into_iter().map(|fault| (fault.field, fault.code)).collect::<Vec<_>>())?;
    Ok(serde_json::to_value(answer).unwrap())
}

#[test]
fn a_trial_answers_the_verdict_or_the_value() {
    for (trial, answer) in [
        (r#"{"cel":{},"payload":{"a" : 1.50}}"#, json!({"verdict": "complete", "result": {"a": 1.5}})),
        (r#"{"cel":{"transform":"payload.a"},"payload":{"a":null}}"#, json!({"verdict": "complete", "result": null})),
        (r#"{"cel":{"filter":"payload"},"payload":false}"#, json!({"verdict": "ignore"})),
        (
            r#"{"cel":{"on_fail":"headers['x-a'] == 'b'"},"payload":1,"headers":{"X-A":"b"}}"#,
            json!({"verdict": "fail", "error": {"code": "callback_failed", "message": "on_fail is true"}}),
        ),
        (
            r#"{"cel":{"filter":"payload.a"},"payload":{}}"#,
            json!({"verdict": "quarantine", "error":
                {"code": "cel_failed", "expression": "filter", "message": "there is no field `a`: ask has(…) first"}}),
        ),
        (
            r#"{"expression":"[job.id, job.kind, attempt.number, job.metadata.m]","payload":null,
                "job":{"id":"7","metadata":{"m":2}},"attempt":{"number":3}}"#,
            json!({"value": ["7", "example", 3, 2]}),
        ),
        (
            r#"{"expression":"1 / 0","payload":null}"#,
            json!({"error": {"code": "cel_failed", "expression": "expression", "message": "division by zero"}}),
        ),
    ] {
        assert_eq!(tried(trial), Ok(answer), "{trial}");
    }
}

#[test]
fn what_does_not_compile_is_a_fault_of_its_field() {
    let is = |field: &str, code: &str| (field.to_owned(), code.to_owned());
    assert_eq!(
        tried(r#"{"cel":{"filter":"payload.","transform":"nope"},"payload":1}"#),
        Err(vec![is("cel.filter", "invalid_expression"), is("cel.transform", "invalid_expression")])
    );
    assert_eq!(tried(r#"{"expression":"nope","payload":1}"#), Err(vec![is("expression", "invalid_expression")]));
    let many = format!(r#"{{"expression":"1","payload":[0{}]}}"#, ",0".repeat(MAX_PAYLOAD_VALUES));
    assert_eq!(tried(&many), Err(vec![is("payload", "too_many")]));
}

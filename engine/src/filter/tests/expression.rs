use super::*;

/// Evaluates a correlation over what came, while nobody knows for which job.
fn correlated(text: &str, payload: &Json) -> Result<String, EvalError> {
    let expression = Expression::correlation(text).unwrap();
    expression.evaluate(&Input { payload, headers: &BTreeMap::new(), run: None })
}

#[test]
fn a_correlation_gives_the_id_as_it_was_sent() {
    let payload = json!({"metadata": {"job": "42"}, "ref": "order/43", "n": 44});
    assert_eq!(correlated("payload.metadata.job", &payload).as_deref(), Ok("\"42\""));
    assert_eq!(correlated("payload.n", &payload).as_deref(), Ok("44"));
    let error = correlated("payload.order", &payload).unwrap_err();
    assert_eq!((error.code, error.expression), ("cel_failed", "expression"));
    assert_eq!(error.to_string(), "expression: there is no field `order`: ask has(…) first");
}

#[test]
fn a_correlation_cannot_ask_for_the_job_that_it_is_to_find() {
    for name in ["job", "attempt"] {
        let fault = Expression::correlation(&format!("payload.a == {name}")).unwrap_err();
        let message = format!("line 1, column 14: there is no `{name}` here: there are payload and headers");
        assert_eq!((fault.field.as_str(), fault.code.as_str(), fault.message), ("", "invalid_expression", message));
    }
    assert!(Expression::correlation("payload.job.map(job, job)[0]").is_ok(), "a field, and a variable of its own");
}

#[test]
fn an_expression_over_a_job_fails_where_nobody_knows_it() {
    let expression = Expression::compile("job.id + payload").unwrap();
    let value = expression.evaluate(&Input { payload: &json!("x"), headers: &BTreeMap::new(), run: None });
    assert_eq!(value.unwrap_err().message, "nobody knows yet for which job this is");
}

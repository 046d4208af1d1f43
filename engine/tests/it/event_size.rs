//! Args that Lambda would not queue are refused at the door.

use posthaste_engine::session::Role;
use posthaste_tests::{TestDb, sql};

/// Args of so many characters, each of which takes two in an event.
fn quotes(count: usize) -> String {
    format!("('[' || repeat('\"\",', {}) || '0]')::json", count / 3)
}

#[tokio::test]
async fn args_that_no_event_of_lambda_could_hold_are_refused_where_lambda_would_queue_them() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let url = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/f/invocations";
    for (name, kinds, invocation_type) in [("queued", "{a,*}", "event"), ("asked", "{b}", "request_response")] {
        let spec = format!(r#"{{"url":"{url}","format":"lambda","invocation_type":"{invocation_type}"}}"#);
        let put = format!("select from posthaste.put_endpoint_v1('{name}', '{spec}', '{kinds}', '\\x00', '\\x00')");
        sql::run(&mut connection, &put).await;
    }
    let (large, fits) = (quotes(700_000), quotes(600_000));
    let enqueue = |arguments: &str| format!("select posthaste.enqueue({arguments})");
    for refused in [format!("'a', {large}"), format!("'other', {large}"), format!("'b', {large}, endpoint => 'queued'")]
    {
        let error = sqlx::raw_sql(sqlx::AssertSqlSafe(enqueue(&refused))).execute(&mut connection).await.unwrap_err();
        let said = error.as_database_error().unwrap().message().to_owned();
        assert!(said.contains("an event of Lambda") && said.contains("1048576"), "{said}");
    }
    for taken in [format!("'b', {large}"), format!("'a', {large}, endpoint => 'asked'"), format!("'a', {fits}")] {
        sql::run(&mut connection, &enqueue(&taken)).await;
    }
    let many = format!(
        "select (error -> 0 ->> 'code') from posthaste.enqueue_many(jsonb_build_array(jsonb_build_object('kind', 'a', 'args', {large})))"
    );
    assert_eq!(sql::text(&mut connection, &many).await, "too_large");
}

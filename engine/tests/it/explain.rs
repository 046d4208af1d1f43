//! Explain: what it says of a job that has run already, and what dispatchers report of endpoints.

use posthaste_engine::{
    explain::{Reason, endpoint_reports, explain},
    lifecycle::{Outcome, RunError},
    session::Role,
};
use posthaste_protocol::id::JobId;
use posthaste_tests::{
    FakeDispatcher, TestDb, failed,
    sql::{enqueue, run},
};
use sqlx::PgConnection;

/// The reason and the sentence.
async fn explained(connection: &mut PgConnection, id: i64) -> (Reason, String) {
    let explanation = explain(connection, JobId(id)).await.unwrap();
    (explanation.reason, explanation.detail)
}

/// Makes what waits for a time wait no longer.
async fn due(connection: &mut PgConnection) {
    run(connection, "update posthaste.scheduled set run_at = '2020-01-01 00:00:00.123456Z'").await;
}

#[tokio::test]
async fn a_job_that_waits_for_a_retry_says_how_its_last_run_ended_and_when_the_next_is() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let id = enqueue(&mut connection, "'k', run_at => '2100-01-01 00:00:00.5Z'").await;
    let planned = "the job is scheduled to run at 2100-01-01T00:00:00Z";
    assert_eq!(explained(&mut connection, id).await, (Reason::Scheduled, planned.to_owned()));
    run(&mut connection, &format!("select posthaste.retry_v1({id})")).await;

    let first = dispatcher.claim_one().await;
    let error = RunError::new("refused", "connection refused");
    dispatcher.finish(&first, Outcome::NotSent { error }).await;
    due(&mut connection).await;
    let unsent = "run 1 failed (refused: connection refused) and used no attempt";
    let not_sent = explained(&mut connection, id).await;
    assert_eq!(not_sent, (Reason::Scheduled, format!("{unsent}; it is tried again at 2020-01-01T00:00:00Z")));

    run(&mut connection, &format!("select posthaste.retry_v1({id})")).await;
    let (reason, detail) = explained(&mut connection, id).await;
    assert_eq!(reason, Reason::NoEndpointForKind);
    assert!(detail.ends_with(&format!("; before, {unsent}")), "{detail}");

    let second = dispatcher.claim_one().await;
    dispatcher.finish(&second, failed("http_500")).await;
    let (_, detail) = explained(&mut connection, id).await;
    assert!(detail.starts_with("attempt 1 failed (http_500: as the test wants it); it is tried again at "), "{detail}");
}

#[tokio::test]
async fn a_job_that_an_operator_runs_again_is_not_explained_by_the_end_before() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    let id = enqueue(&mut connection, "'k', max_attempts => 1").await;
    let only = dispatcher.claim_one().await;
    dispatcher.finish(&only, failed("http_500")).await;
    let (reason, detail) = explained(&mut connection, id).await;
    assert_eq!(reason, Reason::Ended);
    assert!(detail.ends_with(": it is dead (http_500: as the test wants it)"), "{detail}");

    run(&mut connection, &format!("select posthaste.retry_v1({id})")).await;

    let (reason, detail) = explained(&mut connection, id).await;
    assert_eq!((reason, detail.contains("http_500")), (Reason::NoEndpointForKind, false), "{detail}");
}

#[tokio::test]
async fn a_misconfigured_endpoint_is_told_to_whoever_asks_of_a_job_or_of_the_endpoint() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    FakeDispatcher::start(&db).await;
    FakeDispatcher::start(&db).await;
    run(
        &mut connection,
        "insert into posthaste.endpoint (name, spec, secret) values ('printer', '{}', ''), ('fine', '{}', '')",
    )
    .await;
    let id = enqueue(&mut connection, "'k', endpoint => 'printer', delay_ms => 100000").await;
    run(
        &mut connection,
        r#"update posthaste.dispatcher set state = '{"endpoints": {"printer": {"misconfigured": true}, "fine": {}, "odd": 7}}'
           where dispatcher_id = (select max(dispatcher_id) from posthaste.dispatcher)"#,
    )
    .await;

    let (_, detail) = explained(&mut connection, id).await;
    assert!(detail.contains("; endpoint printer is misconfigured: five jobs"), "{detail}");
    let reports = endpoint_reports(&mut connection).await.unwrap();
    assert!(reports["printer"][0].misconfigured && !reports["fine"][0].misconfigured, "{reports:?}");
    assert_eq!(reports.len(), 2, "what cannot be read is left out: {reports:?}");
    run(&mut connection, "update posthaste.dispatcher set beat_at = now() - interval '1 minute'").await;
    assert!(endpoint_reports(&mut connection).await.unwrap().is_empty());
}

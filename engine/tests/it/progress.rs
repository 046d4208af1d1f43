//! Progress: merged, kept over retries, shown, and sent with the next attempt.

use posthaste_engine::{
    claim::ClaimedRun,
    held::RunRef,
    lifecycle::Outcome,
    progress::{Reported, report},
    session::Role,
};
use posthaste_protocol::{
    action::Action,
    callback::{Callback, CallbackRequest, Progress},
};
use posthaste_tests::{
    FakeDispatcher, TestDb,
    sql::{cancel, count, enqueue, text},
};
use sqlx::PgConnection;

const SHOWN: &str = "select concat_ws(' ', progress ->> 'percent', progress ->> 'message', progress ->> 'metadata',
    progress ->> 'at' like '____-__-__T__:__:__.______Z') from posthaste.jobs";

async fn setup() -> (TestDb, PgConnection, FakeDispatcher, ClaimedRun) {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::Settle).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    enqueue(&mut connection, "'k'").await;
    let claimed = (*dispatcher.claim_one().await).clone();
    (db, connection, dispatcher, claimed)
}

fn progress(body: &str) -> Progress {
    let request = CallbackRequest::parse(Action::Progress, body).unwrap();
    let Callback::Progress(progress) = request.callback else { panic!("{body}") };
    progress
}

async fn tell(connection: &mut PgConnection, claimed: &ClaimedRun, body: &str) -> Reported {
    let run = RunRef { lease: claimed.lease, job_id: claimed.job_id, run_lease: claimed.run_lease };
    report(connection, &[(run, progress(body))]).await.unwrap().remove(0)
}

#[tokio::test]
async fn reports_are_merged_and_what_is_left_out_stays() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    let running = Reported::Kept { waits: false, cancel_requested: false };
    let first = r#"{"percent": 10.5, "message": "begun", "metadata": {"a": 1, "b": {"c": 1}}}"#;
    assert_eq!(tell(&mut connection, &claimed, first).await, running);
    dispatcher.park(&claimed).await;
    cancel(&mut connection, claimed.job_id, false).await;
    let waiting = Reported::Kept { waits: true, cancel_requested: true };
    let second = r#"{"percent": 20, "metadata": {"b": {"d": 2}}}"#;
    assert_eq!(tell(&mut connection, &claimed, second).await, waiting);
    assert_eq!(text(&mut connection, SHOWN).await, r#"20 begun {"a": 1, "b": {"d": 2}} t"#);
}

#[tokio::test]
async fn the_next_attempt_is_told_what_the_last_one_reported() {
    let (_db, mut connection, mut dispatcher, claimed) = setup().await;
    assert_eq!(claimed.progress, None);
    tell(&mut connection, &claimed, r#"{"percent": 50}"#).await;
    dispatcher.finish(&claimed, Outcome::Released).await;
    let again = dispatcher.claim_one().await;
    let progress: serde_json::Value = serde_json::from_str(again.progress.as_deref().unwrap()).unwrap();
    assert_eq!((progress["percent"].as_f64(), &progress["metadata"]), (Some(50.0), &serde_json::json!({})));
    assert_eq!(tell(&mut connection, &claimed, r#"{"percent": 60}"#).await, Reported::Over, "an older run");
}

#[tokio::test]
async fn metadata_that_grows_past_its_bound_is_refused_and_the_rest_stays() {
    let (_db, mut connection, _dispatcher, claimed) = setup().await;
    let long = "x".repeat(60_000);
    for (name, kept) in [("a", true), ("b", true), ("c", false)] {
        let told = tell(&mut connection, &claimed, &format!(r#"{{"metadata": {{"{name}": "{long}"}}}}"#)).await;
        assert_eq!(told != Reported::TooLarge, kept, "{name}");
    }
    assert_eq!(count(&mut connection, "progress").await, 1);
}

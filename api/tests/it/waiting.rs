//! Long-polls: the finalize and the waiter find each other.

use posthaste_engine::session::Role;
use posthaste_tests::{TestDb, WAIT_LIMIT, sql};
use tokio::time::timeout;

use crate::client::Client;

#[tokio::test]
async fn a_waiter_is_told_of_the_end_by_notification() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let mut connection = db.connect(Role::General).await;
    let id = sql::enqueue(&mut connection, "'k'").await;
    let waiting = {
        let api = api.clone();
        tokio::spawn(async move { api.get(&format!("/v1/jobs/{id}?wait_ms=30000")).await })
    };
    // The lock is granted: ends are told from here on.
    let held = "select count(*) from pg_locks where locktype = 'advisory' and objid = 2 and granted
                and database = (select oid from pg_database where datname = current_database())";
    timeout(WAIT_LIMIT, async { while sql::number(&mut connection, held).await == 0 {} }).await.unwrap();
    let mut listener = sqlx::postgres::PgListener::connect(db.url()).await.unwrap();
    listener.listen("posthaste_done").await.unwrap();

    sql::cancel(&mut connection, id, false).await;

    let told = timeout(WAIT_LIMIT, listener.recv()).await.unwrap().unwrap();
    assert_eq!(told.payload(), id.to_string());
    let answer = timeout(WAIT_LIMIT, waiting).await.unwrap().unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body["state"]), (200, &"cancelled".into()));
}

#[tokio::test]
async fn an_ended_job_is_answered_at_once_and_a_live_one_when_the_time_is_over() {
    let db = TestDb::new().await;
    let api = Client::start(&db);
    let mut connection = db.connect(Role::General).await;
    let (one, two) = (sql::enqueue(&mut connection, "'k'").await, sql::enqueue(&mut connection, "'k'").await);
    sql::cancel(&mut connection, one, false).await;
    let ended = timeout(WAIT_LIMIT, api.get(&format!("/v1/jobs/{one}?wait_ms=60000"))).await.unwrap();
    assert_eq!(ended.body["state"], "cancelled");
    let live = timeout(WAIT_LIMIT, api.get(&format!("/v1/jobs/{two}?wait_ms=20"))).await.unwrap();
    assert_eq!(live.body["state"], "available");
}

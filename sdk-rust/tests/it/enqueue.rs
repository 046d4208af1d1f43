//! Enqueue on both drivers: every option, and every refusal.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use posthaste::{
    Cel, Job, NewJob,
    enqueue::{EnqueueError, enqueue_many},
};
use posthaste_engine::session::Role;
use posthaste_tests::{TestDb, sql};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

#[derive(Job, Serialize, Deserialize)]
#[job(kind = "send_email", queue = "mail", priority = 1, max_attempts = 5, timeout_ms = 10_000, endpoint = "mailer")]
struct Email {
    to: String,
    cents: f64,
}

async fn client(db: &TestDb) -> Client {
    let (client, io) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(io);
    client
}

/// A job with every option that there is.
fn full() -> NewJob {
    let at: DateTime<Utc> = "2027-01-01T08:00:00.123456Z".parse().unwrap();
    Email { to: "a@b".to_owned(), cents: 1.5 }
        .job()
        .run_at(at)
        .expires_at(at + Duration::from_mins(1))
        .tag("welcome")
        .tag("a \"quoted\", {odd} one")
        .metadata(json!({"by": "test"}).as_object().unwrap().clone())
        .header("x-tenant", "7")
        .callback_cel(Cel { filter: Some("payload.ok".to_owned()), ..Cel::default() })
        .callback_timeout(Duration::from_mins(2))
        .traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
}

/// What was stored of a job, as far as it can be read.
async fn stored(db: &TestDb, id: posthaste::JobId) -> Value {
    let query = format!(
        "select ((to_jsonb(j) || jsonb_build_object('args', j.args::text, 'callback', r.callback, 'trace', r.trace))
                - '{{created_at,id}}'::text[])::text
         from posthaste.jobs j join posthaste.job r on r.job_id = j.id where j.id = {id}"
    );
    serde_json::from_str(&sql::text(&mut db.connect(Role::General).await, &query).await).unwrap()
}

#[tokio::test]
async fn every_option_is_stored_the_same_by_both_drivers_and_one_by_one_or_many() {
    let db = TestDb::new().await;
    let (mut sqlx, client) = (db.connect(Role::General).await, client(&db).await);
    let by_sqlx = full().enqueue(&mut sqlx).await.unwrap();
    let by_client = full().enqueue(&client).await.unwrap();
    let first = stored(&db, by_sqlx).await;
    assert_eq!(first, stored(&db, by_client).await);
    let expected = json!({"kind": "send_email", "queue": "mail", "endpoint": "mailer", "priority": 1, "max_attempts": 5,
        "timeout_ms": 10_000, "state": "scheduled", "args": r#"{"to":"a@b","cents":1.5}"#, "metadata": {"by": "test"},
        "headers": {"x-tenant": "7"}, "tags": ["welcome", "a \"quoted\", {odd} one"],
        "callback": {"cel": {"filter": "payload.ok"}, "timeout_ms": 120_000},
        "trace": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&first[field], value, "{field}");
    }
    let many = enqueue_many(&mut sqlx, [full()]).await.unwrap().remove(0).unwrap();
    let mut many = stored(&db, many).await;
    let args: Value = serde_json::from_str(many["args"].as_str().unwrap()).unwrap();
    assert_eq!(args, json!({"to": "a@b", "cents": 1.5}));
    many["args"] = first["args"].clone();
    assert_eq!(many, first);
}

#[tokio::test]
async fn a_delay_counts_from_now_and_args_are_kept_byte_for_byte() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let args = serde_json::value::RawValue::from_string(r#"{"b" : 1.50, "a":null}"#.to_owned()).unwrap();
    let id = NewJob::new("k", &args).delay(Duration::from_hours(1)).enqueue(&mut connection).await.unwrap();
    let query = format!(
        "select args::text from posthaste.jobs where id = {id} and run_at between now() + '59 min' and now() + '61 min'"
    );
    assert_eq!(sql::text(&mut connection, &query).await, r#"{"b" : 1.50, "a":null}"#);
}

fn faults(error: EnqueueError) -> Vec<(String, String)> {
    let EnqueueError::Refused(refused) = error else { panic!("{error}") };
    refused.faults.into_iter().map(|fault| (fault.field, fault.code)).collect()
}

#[tokio::test]
async fn a_refusal_names_every_field_that_is_wrong() {
    let db = TestDb::new().await;
    let (mut sqlx, client) = (db.connect(Role::General).await, client(&db).await);
    let wrong = NewJob::new("no spaces", &1).priority(9).timeout(Duration::from_hours(1000));
    let expected: Vec<_> = ["kind", "priority", "timeout_ms"].map(str::to_owned).into();
    for told in [faults(wrong.enqueue(&mut sqlx).await.unwrap_err()), faults(wrong.enqueue(&client).await.unwrap_err())]
    {
        assert_eq!(told.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>(), expected, "{told:?}");
    }
    let text = wrong.enqueue(&mut sqlx).await.unwrap_err().to_string();
    let expected = "kind may hold only letters, digits and . _ : / -, the first a letter or digit; \
                    priority must be from 1 (first) to 4; timeout_ms must be from 1 to 3600000 (one hour)";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn of_many_the_sound_ones_are_written_and_the_others_named() {
    let db = TestDb::new().await;
    let client = client(&db).await;
    let jobs = [NewJob::new("k", &1), NewJob::new("no spaces", &2), NewJob::new("k", &3)];
    let told = enqueue_many(&client, jobs).await.unwrap();
    assert_eq!(told.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(told[1].as_ref().unwrap_err().faults[0].field, "kind");
    assert_eq!(sql::count(&mut db.connect(Role::General).await, "job").await, 2);
    let too_many = (0..10_001).map(|n| NewJob::new("k", &n));
    assert_eq!(
        faults(enqueue_many(&client, too_many).await.unwrap_err()),
        [("jobs".to_owned(), "too_many".to_owned())]
    );
}

#[tokio::test]
async fn a_producer_needs_no_right_but_to_enqueue() {
    let db = TestDb::new().await;
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&db.url_as("producer")).await.unwrap();
    NewJob::new("k", &json!({})).enqueue(&mut connection).await.unwrap();
    enqueue_many(&mut connection, [NewJob::new("k", &json!({}))]).await.unwrap().remove(0).unwrap();
}

#[tokio::test]
async fn args_that_are_no_json_and_errors_of_the_database_are_told_apart() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let odd: HashMap<Vec<u8>, u8> = [(vec![1], 1)].into();
    let error = NewJob::new("k", &odd).enqueue(&mut connection).await.unwrap_err();
    assert!(matches!(&error, EnqueueError::Args { kind, .. } if kind == "k"), "{error}");
    sql::run(&mut connection, "drop schema posthaste cascade").await;
    let error = NewJob::new("k", &1).enqueue(&mut connection).await.unwrap_err();
    assert!(matches!(error, EnqueueError::Sqlx(_)), "{error}");
}

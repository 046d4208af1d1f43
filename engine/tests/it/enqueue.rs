//! The producer contract in SQL: defaults, times, transactions, batches.

use posthaste_engine::{
    enqueue::{Enqueued, enqueue_batch},
    session::Role,
};
use posthaste_tests::{
    FakeDispatcher, TestDb,
    sql::{assert_each_job_is_in_one_place, backend, count, counts, enqueue, number, run, start_blocked, state, text},
};
use sqlx::{Connection, Executor, SqlSafeStr};

/// Everything that reading shows of a job, but for times and its id.
const SHOWN: &str = "select json_build_object('kind', kind, 'queue', queue, 'endpoint', endpoint, 'state', state,
    'priority', priority, 'attempt', attempt, 'max_attempts', max_attempts, 'run_lease', run_lease, 'args', args,
    'result', result, 'error_code', error_code, 'tags', tags, 'metadata', metadata, 'headers', headers,
    'timeout_ms', timeout_ms, 'finished_at', finished_at)::jsonb::text from posthaste.jobs";

#[tokio::test]
async fn a_job_of_a_kind_alone_has_every_default() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    enqueue(&mut connection, "'email'").await;
    let shown: serde_json::Value = serde_json::from_str(&text(&mut connection, SHOWN).await).unwrap();
    let expected = serde_json::json!({
        "kind": "email", "queue": "default", "endpoint": null, "state": "available", "priority": 2, "attempt": 0,
        "max_attempts": 25, "run_lease": 0, "args": {}, "result": null, "error_code": null, "tags": [], "metadata": {},
        "headers": {}, "timeout_ms": null, "finished_at": null,
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn every_field_that_is_given_is_kept() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    enqueue(
        &mut connection,
        r#"kind => 'k', args => '{"b": 1,  "a": 2.50}', queue => 'q', endpoint => 'e', priority => 4, max_attempts => 3,
           timeout_ms => 5000, tags => '{x,y}', metadata => '{"m": []}', headers => '{"x-a": "1"}',
           traceparent => '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'"#,
    )
    .await;
    let shown: serde_json::Value = serde_json::from_str(&text(&mut connection, SHOWN).await).unwrap();
    assert_eq!(shown["queue"], "q");
    assert_eq!((&shown["endpoint"], &shown["priority"], &shown["timeout_ms"]), (&"e".into(), &4.into(), &5000.into()));
    assert_eq!(shown["tags"], serde_json::json!(["x", "y"]));
    assert_eq!(shown["headers"], serde_json::json!({"x-a": "1"}));
    let args = text(&mut connection, "select args::text from posthaste.job").await;
    assert_eq!(args, r#"{"b": 1,  "a": 2.50}"#, "args pass unparsed");

    let claimed = FakeDispatcher::start(&db).await.claim_one().await;
    assert_eq!(claimed.args, args);
    assert_eq!(claimed.trace.as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    assert_eq!((claimed.tags.join(","), claimed.timeout_ms, claimed.max_attempts), ("x,y".to_owned(), Some(5000), 3));
}

#[tokio::test]
async fn what_a_job_says_of_its_callbacks_is_kept_whoever_writes_it() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let kept = "select coalesce(callback::text, 'none') from posthaste.job order by job_id desc limit 1";
    let callback = r#"{"cel": {"filter": "payload.ok"}}"#;

    enqueue(&mut connection, &format!("'k', callback => '{callback}'")).await;
    assert_eq!(text(&mut connection, kept).await, callback);
    let job = format!(r#"[{{"kind": "k", "callback": {callback}}}]"#);
    enqueue_batch(&mut connection, &job).await.unwrap();
    assert_eq!(text(&mut connection, kept).await, callback);
    let many = format!("select count(id) from posthaste.enqueue_many('{job}')");
    assert_eq!(number(&mut connection, &many).await, 1);
    assert_eq!(text(&mut connection, kept).await, callback);

    let whole = r#"{"cel": {"filter": "1 < 2", "on_fail": "false", "on_complete": "true", "transform": "payload",
        "default_action": "ignore", "fail_open": true}, "timeout_ms": 2592000000}"#;
    let nulls = r#"{"timeout_ms": null, "cel": {"filter": null, "default_action": null, "fail_open": null}}"#;
    for callback in [whole, nulls, r#"{"cel": null, "timeout_ms": 1}"#, "{}"] {
        enqueue(&mut connection, &format!("'k', callback => '{callback}'")).await;
        assert_eq!(text(&mut connection, kept).await, callback);
    }

    enqueue_batch(&mut connection, r#"[{"kind": "k", "callback": null}]"#).await.unwrap();
    assert_eq!(text(&mut connection, kept).await, "none");
    enqueue(&mut connection, "'k'").await;
    assert_eq!(text(&mut connection, kept).await, "none");
}

#[tokio::test]
async fn a_job_of_a_transaction_that_rolls_back_never_was() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    enqueue(&mut connection, "'first', expires_at => now() + interval '1 h'").await;
    let before = counts(&mut connection).await;

    let mut tx = connection.begin().await.unwrap();
    let id = enqueue(&mut tx, "'k', delay_ms => 1000").await;
    assert_eq!(state(&mut tx, id).await, "scheduled", "its own transaction sees it");
    tx.rollback().await.unwrap();

    assert_eq!(counts(&mut connection).await, before);
}

#[tokio::test]
async fn a_job_is_claimed_only_once_its_transaction_has_committed() {
    let db = TestDb::new().await;
    let mut producer = db.connect(Role::General).await;
    let mut dispatcher = FakeDispatcher::start(&db).await;
    enqueue(&mut producer, "'k'").await;
    dispatcher.claim_one().await;

    run(&mut producer, "begin").await;
    let id = enqueue(&mut producer, "'k'").await;
    assert!(dispatcher.claim_any(10).await.is_empty());
    run(&mut producer, "commit").await;

    assert_eq!(dispatcher.claim_one().await.job_id, id);
}

#[tokio::test]
async fn a_time_to_come_schedules_and_a_time_gone_by_does_not() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    for (arguments, expected) in [
        ("'k', run_at => now() + interval '1 s'", "scheduled"),
        ("'k', run_at => now() - interval '1 s'", "available"),
        ("'k', run_at => null", "available"),
        ("'k', delay_ms => 1", "scheduled"),
        ("'k', delay_ms => 0", "available"),
        ("'k', delay_ms => 315360000000", "scheduled"),
    ] {
        let id = enqueue(&mut connection, arguments).await;
        assert_eq!(state(&mut connection, id).await, expected, "{arguments}");
    }
    let far = "select count(*) from posthaste.jobs where run_at - now() > interval '3649 days'";
    assert_eq!(number(&mut connection, far).await, 1);
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn untyped_literals_resolve_as_any_driver_sends_them() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    // What a driver without types of its own sends: every parameter of unknown type.
    let query =
        "select posthaste.enqueue(kind => $1, args => $2, queue => $3, priority => $4, run_at => $5, tags => $6)";
    (&mut connection).prepare(query.into_sql_str()).await.unwrap();
    enqueue(&mut connection, r"'k', '[]', 'q', null, '1', '2025-11-21T08:00:00Z', null, '3', '4'").await;
    let row = "select concat_ws(' ', priority, max_attempts, timeout_ms, state) from posthaste.jobs";
    assert_eq!(text(&mut connection, row).await, "1 3 4 available");
}

#[tokio::test]
async fn valid_extremes_are_taken() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let deep = format!("'k', args => '{}{}'", "[".repeat(64), "]".repeat(64));
    let brackets = format!(r#"'k', args => '["{}\"[[[{{{{", {{"a": "]"}}]'"#, "[".repeat(200));
    let big = format!("'k', args => '\"{}\"'", "x".repeat(1_048_574));
    let long = format!("'{0}', queue => '{0}', endpoint => '{0}'", "Az09._:-".repeat(25));
    let tags = format!("'k', tags => array_fill('{}'::text, '{{20}}')", "é".repeat(200));
    for arguments in [
        &deep,
        &brackets,
        &big,
        &long,
        &tags,
        "'k', args => 'null'",
        "'k', args => '\"\\\\u0000\"'",
        "'k', priority => 1, max_attempts => 1, timeout_ms => 1",
        "'k', priority => 4, max_attempts => 1000, timeout_ms => 3600000",
        "'k', run_at => '2000-01-01Z'",
        "'k', run_at => '2199-12-31Z', expires_at => '2200-01-01Z'",
        "'k', expires_at => now() + interval '1 microsecond'",
        "'k', tags => '{}', metadata => '{}', headers => '{}'",
        "'k', headers => '{\"x-a\": \"tab\\there ~!\"}'",
    ] {
        let id = enqueue(&mut connection, arguments).await;
        assert!(id > 0, "{arguments}");
    }
    assert_each_job_is_in_one_place(&mut connection).await;
}

#[tokio::test]
async fn a_batch_answers_in_order_and_writes_the_sound_jobs_together() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let jobs = r#"[{"kind":"a"},{"kind":""},{"kind":"b","delay_ms":60000,"args":[1, 2]},{"kind":"c","priority":9}]"#;

    let answers = enqueue_batch(&mut connection, jobs).await.unwrap();

    let said: Vec<String> = answers
        .iter()
        .map(|answer| match answer {
            Enqueued::Job { state, .. } => state.clone(),
            Enqueued::Faults(faults) => format!("{}:{}", faults[0].field, faults[0].code),
        })
        .collect();
    assert_eq!(said, ["available", "kind:required", "scheduled", "priority:out_of_range"]);
    assert_eq!(count(&mut connection, "job").await, 2);
    assert_eq!(text(&mut connection, "select args::text from posthaste.job where args::text <> '{}'").await, "[1, 2]");
}

#[tokio::test]
async fn null_args_of_a_batch_stay_null() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    enqueue_batch(
        &mut connection,
        r#"[{"kind":"a","args":null,"args_is_null":true},{"kind":"b"},{"kind":"c","args":"null"}]"#,
    )
    .await
    .unwrap();
    number(
        &mut connection,
        r#"select count(*) from posthaste.enqueue_many('[{"kind": "d", "args": null}, {"kind": "e"}]')"#,
    )
    .await;
    let args = "select string_agg(args::text, ' ' order by id) from posthaste.jobs";
    assert_eq!(text(&mut connection, args).await, r#"null {} "null" null {}"#);
}

#[tokio::test]
async fn ten_thousand_jobs_are_one_batch_and_one_more_is_refused() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let jobs = |n: i64| format!("(select jsonb_agg(jsonb_build_object('kind', 'k')) from generate_series(1, {n}))");
    let done = format!("select count(id) from posthaste.enqueue_many({})", jobs(10_000));
    assert_eq!(number(&mut connection, &done).await, 10_000);
    assert_eq!(count(&mut connection, "ready").await, 10_000);

    let query = format!("select count(*) from posthaste.enqueue_many({})", jobs(10_001));
    let error = sqlx::raw_sql(sqlx::AssertSqlSafe(query)).execute(&mut connection).await.unwrap_err();
    assert!(error.to_string().contains("at most 10000"), "{error}");
    assert_eq!(count(&mut connection, "job").await, 10_000);
}

#[tokio::test]
async fn routes_share_a_lane_and_two_producers_of_a_new_route_make_one() {
    let db = TestDb::new().await;
    let mut first = db.connect(Role::General).await;
    let mut second = db.patient(Role::General).await;
    let mut observer = db.connect(Role::General).await;
    run(&mut first, "begin").await;
    enqueue(&mut first, "'k'").await;
    let pid = backend(&mut second).await;

    let waiting = start_blocked(&mut observer, pid, async move { enqueue(&mut second, "'k'").await }).await;
    run(&mut first, "commit").await;
    waiting.await.unwrap();

    enqueue(&mut first, "'k', endpoint => 'e'").await;
    assert_eq!(count(&mut first, "lane").await, 2);
    assert_each_job_is_in_one_place(&mut first).await;
}

#[tokio::test]
async fn ranges_are_made_before_ids_run_out() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    run(&mut connection, "select setval('posthaste.seq', 2990000)").await;
    number(&mut connection, "select count(posthaste.enqueue('k')) from generate_series(1, 8192)").await;
    let ahead = number(&mut connection, "select max(upper_id) from posthaste.job_range").await;
    assert!(ahead >= 5_000_000, "{ahead}");
    run(&mut connection, "select setval('posthaste.seq', 2999999)").await;
    enqueue(&mut connection, "'k'").await;
    assert_eq!(count(&mut connection, "job_3000000").await, 1);
}

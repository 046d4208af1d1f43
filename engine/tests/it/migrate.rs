//! Migrations own their schema and their version table, and refuse what they do not know.

use posthaste_engine::{
    EngineError,
    migrate::{SCHEMA_VERSION, check, migrate},
    session::Role,
};
use posthaste_tests::{
    TestDb,
    sql::{backend, enqueue, number, run, start_blocked, state},
};
use sqlx::PgConnection;

/// A database without our schema.
async fn empty() -> (TestDb, PgConnection) {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    run(&mut connection, "set client_min_messages = warning; drop schema posthaste cascade").await;
    (db, connection)
}

fn all_versions() -> Vec<i64> {
    (1..=SCHEMA_VERSION).collect()
}

#[tokio::test]
async fn migrating_twice_in_a_row_applies_everything_once_and_keeps_the_jobs() {
    let (_db, mut connection) = empty().await;

    let first = migrate(&mut connection).await.unwrap();
    let id = enqueue(&mut connection, "'k'").await;
    let second = migrate(&mut connection).await.unwrap();

    assert_eq!((first, second), (all_versions(), vec![]));
    assert_eq!(state(&mut connection, id).await, "available");
    check(&mut connection).await.unwrap();
}

#[tokio::test]
async fn of_two_migrations_at_once_the_second_waits_and_finds_nothing_to_do() {
    let (db, mut observer) = empty().await;
    let mut holder = db.connect(Role::General).await;
    run(&mut holder, "begin; select pg_advisory_xact_lock(28776, 0)").await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut connection = db.patient(Role::General).await;
        let pid = backend(&mut connection).await;
        let work = async move { migrate(&mut connection).await.unwrap() };
        waiting.push(start_blocked(&mut observer, pid, work).await);
    }
    run(&mut holder, "commit").await;

    let mut applied = Vec::new();
    for task in waiting {
        applied.push(task.await.unwrap());
    }
    applied.sort_unstable();
    assert_eq!(applied, [vec![], all_versions()]);
    assert_eq!(number(&mut observer, "select count(*) from posthaste.schema_migration").await, SCHEMA_VERSION);
}

#[tokio::test]
async fn migrations_of_many_processes_at_once_all_succeed() {
    let (db, _connection) = empty().await;
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let mut connection = db.connect(Role::General).await;
        tasks.push(tokio::spawn(async move { migrate(&mut connection).await.unwrap().len() }));
    }
    let mut applied = Vec::new();
    for task in tasks {
        applied.push(task.await.unwrap());
    }
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, 0, 0, 0, all_versions().len()]);
}

#[tokio::test]
async fn a_schema_of_a_newer_posthaste_is_refused_with_what_to_do() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    run(&mut connection, "insert into posthaste.schema_migration values (999, 'future', 1)").await;

    for refused in [migrate(&mut connection).await.map(drop), check(&mut connection).await] {
        let error = refused.unwrap_err();
        assert!(matches!(error, EngineError::SchemaTooNew { found: 999, known: SCHEMA_VERSION }), "{error:?}");
        let says = format!("the database has schema 999, this binary knows {SCHEMA_VERSION}: upgrade this binary");
        assert_eq!(error.to_string(), says);
    }
}

#[tokio::test]
async fn a_migration_that_was_edited_after_it_was_applied_is_refused() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    run(&mut connection, "update posthaste.schema_migration set checksum = checksum + 1 where version = 2").await;

    for refused in [migrate(&mut connection).await.map(drop), check(&mut connection).await] {
        let error = refused.unwrap_err();
        assert!(matches!(error, EngineError::MigrationChanged(2)), "{error:?}");
    }
}

#[tokio::test]
async fn a_database_that_was_never_migrated_is_told_to_be() {
    let (_db, mut connection) = empty().await;
    let error = check(&mut connection).await.unwrap_err();
    assert!(matches!(error, EngineError::SchemaTooOld { found: 0, known: SCHEMA_VERSION }), "{error:?}");
    assert!(error.to_string().ends_with("run `posthaste migrate`"), "{error}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let (_db, mut connection) = empty().await;
    // The last table that the first migration makes cannot be made.
    run(&mut connection, "create schema posthaste; create table posthaste.job_range ()").await;

    assert!(migrate(&mut connection).await.is_err());

    let left =
        "select count(*) from pg_class where relnamespace = 'posthaste'::regnamespace and relkind in ('r', 'p', 'S')";
    assert_eq!(number(&mut connection, left).await, 1);
    run(&mut connection, "drop table posthaste.job_range").await;
    assert_eq!(migrate(&mut connection).await.unwrap(), all_versions());
}

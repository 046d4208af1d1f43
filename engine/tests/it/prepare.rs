//! Every statement file prepares on a migrated database.

use std::{fs, path::Path};

use posthaste_engine::session::Role;
use posthaste_tests::TestDb;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

#[tokio::test]
async fn every_statement_file_prepares_on_a_migrated_database() {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql");
    let mut prepared = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("{{") {
            continue; // not whole: a migration puts it together, and the tests of its function run it
        }
        let statement = AssertSqlSafe(text).into_sql_str();
        if let Err(error) = (&mut connection).prepare(statement).await {
            panic!("{}: {error}", path.display());
        }
        prepared += 1;
    }
    assert!(prepared >= 5, "only {prepared} files were found");
}

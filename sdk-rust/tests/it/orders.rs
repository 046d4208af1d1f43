//! The examples in which an order and its receipt are there together, or not at all.

use posthaste_engine::session::Role;
use posthaste_tests::{TestDb, sql};
use sqlx::PgConnection;
use tokio_postgres::NoTls;

#[path = "../../examples/orders_sqlx.rs"]
#[expect(dead_code, reason = "its main runs as an example")]
mod orders_sqlx;
#[path = "../../examples/orders_tokio_postgres.rs"]
#[expect(dead_code, reason = "its main runs as an example")]
mod orders_tokio_postgres;

async fn shop() -> (TestDb, PgConnection) {
    let db = TestDb::new().await;
    let mut connection = db.connect(Role::General).await;
    sql::run(&mut connection, "create table orders (id bigserial primary key, email text, cents bigint)").await;
    (db, connection)
}

/// Orders, and receipts for one of them.
async fn kept(connection: &mut PgConnection, order: i64) -> (i64, i64) {
    let orders = sql::number(connection, "select count(*) from orders").await;
    let receipts = format!(
        "select count(*) from posthaste.jobs where kind = 'send_receipt' and queue = 'mail' and max_attempts = 5
         and args ->> 'to' = 'ada@example.com' and args ->> 'order' = '{order}'"
    );
    (orders, sql::number(connection, &receipts).await)
}

#[tokio::test]
async fn with_sqlx_an_order_and_its_receipt_commit_or_roll_back_together() {
    let (db, mut connection) = shop().await;
    let mut caller = db.connect(Role::General).await;
    let order = orders_sqlx::place_order(&mut caller, "ada@example.com", 1250).await.unwrap();
    assert_eq!(kept(&mut connection, order).await, (1, 1));
    orders_sqlx::place_order(&mut caller, "ada@example.com", 0).await.unwrap_err();
    assert_eq!(kept(&mut connection, order).await, (1, 1));
    assert_eq!(sql::count(&mut connection, "job").await, 1);
}

#[tokio::test]
async fn with_tokio_postgres_an_order_and_its_receipt_commit_or_roll_back_together() {
    let (db, mut connection) = shop().await;
    let (mut caller, io) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(io);
    let order = orders_tokio_postgres::place_order(&mut caller, "ada@example.com", 1250).await.unwrap();
    assert_eq!(kept(&mut connection, order).await, (1, 1));
    orders_tokio_postgres::place_order(&mut caller, "ada@example.com", 0).await.unwrap_err();
    assert_eq!(kept(&mut connection, order).await, (1, 1));
    assert_eq!(sql::count(&mut connection, "job").await, 1);
}

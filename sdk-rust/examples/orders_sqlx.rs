//! An order and its receipt, with sqlx: both are there, or neither. `cargo run --example orders_sqlx -- postgres://…`

use posthaste::Job;
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, PgConnection};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "mail", max_attempts = 5)]
struct SendReceipt {
    order: i64,
    to: String,
}

/// The order's id. Whatever fails, the transaction is dropped, and with it the order and the job.
pub async fn place_order(connection: &mut PgConnection, to: &str, cents: i64) -> Result<i64> {
    let mut transaction = connection.begin().await?;
    let insert = "insert into orders (email, cents) values ($1, $2) returning id";
    let order = sqlx::query_scalar(insert).bind(to).bind(cents).fetch_one(&mut *transaction).await?;
    SendReceipt { order, to: to.to_owned() }.enqueue(&mut *transaction).await?;
    if cents <= 0 {
        return Err("an order costs something".into());
    }
    transaction.commit().await?;
    Ok(order)
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or("give the URL of a database")?;
    let mut connection = PgConnection::connect(&url).await?;
    let table = "create table if not exists orders (id bigserial primary key, email text, cents bigint)";
    sqlx::raw_sql(table).execute(&mut connection).await?;
    place_order(&mut connection, "ada@example.com", 1250).await?;
    Ok(())
}

//! An order and its receipt, with tokio-postgres: both are there, or neither.
//! `cargo run --example orders_tokio_postgres -- postgres://…`

use posthaste::Job;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, NoTls};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Job, Serialize, Deserialize)]
#[job(queue = "mail", max_attempts = 5)]
struct SendReceipt {
    order: i64,
    to: String,
}

/// The order's id. Whatever fails, the transaction is dropped, and with it the order and the job.
pub async fn place_order(client: &mut Client, to: &str, cents: i64) -> Result<i64> {
    let transaction = client.transaction().await?;
    let insert = "insert into orders (email, cents) values ($1, $2) returning id";
    let order = transaction.query_one(insert, &[&to, &cents]).await?.get(0);
    SendReceipt { order, to: to.to_owned() }.enqueue(&transaction).await?;
    if cents <= 0 {
        return Err("an order costs something".into());
    }
    transaction.commit().await?;
    Ok(order)
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or("give the URL of a database")?;
    let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    let table = "create table if not exists orders (id bigserial primary key, email text, cents bigint)";
    client.batch_execute(table).await?;
    place_order(&mut client, "ada@example.com", 1250).await?;
    Ok(())
}

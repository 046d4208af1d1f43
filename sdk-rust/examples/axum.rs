//! A function behind axum: `POSTHASTE_SIGNING_SECRET=whsec_… cargo run --example axum`.

use posthaste::{App, Job, Result, Run};
use serde::{Deserialize, Serialize};

#[derive(Job, Serialize, Deserialize)]
struct Greet {
    name: String,
}

async fn greet(args: Greet, run: Run) -> Result<String> {
    Ok(format!("Hello {}, attempt {}", args.name, run.attempt()))
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
    Ok(axum::serve(listener, App::from_env()?.on(greet).into_router()).await?)
}

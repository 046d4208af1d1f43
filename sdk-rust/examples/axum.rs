//! A function as a server: `POSTHASTE_SIGNING_SECRET=whsec_… cargo run --example axum`.

use posthaste::{App, Job, Result, Run};

#[derive(Job, serde::Serialize, serde::Deserialize)]
struct Greet {
    name: String,
}

async fn greet(args: Greet, run: Run) -> Result<String> {
    Ok(format!("Hello {}, attempt {}", args.name, run.attempt()))
}

#[tokio::main]
async fn main() -> Result<()> {
    Ok(App::from_env()?.on(greet).serve("127.0.0.1:9000").await?)
}

//! The same function on AWS Lambda.

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
    posthaste::lambda::run(App::from_env()?.on(greet)).await
}

//! A function for Posthaste in Rust: a plain axum handler. (A snippet for the README; dependencies: axum, serde,
//! serde_json, tokio.)

use axum::{Json, Router, http::StatusCode, response::IntoResponse, routing::post};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Envelope {
    job: Job,
    args: Value,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    kind: String,
    attempt: u32,
}

async fn handle(Json(Envelope { job, args }): Json<Envelope>) -> impl IntoResponse {
    match (job.kind.as_str(), args["pages"].as_u64()) {
        ("generate_pdf", Some(pages)) => {
            (StatusCode::OK, Json(json!({"url": format!("https://files.example.com/{}.pdf", job.id), "pages": pages})))
        }
        // Given up at once: trying again would not help.
        ("generate_pdf", None) => (StatusCode::BAD_REQUEST, Json(json!({"error": "pages must be a number"}))),
        (kind, _) => {
            let error = format!("unknown kind {kind} (attempt {})", job.attempt);
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": error})))
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9002").await?;
    axum::serve(listener, Router::new().route("/", post(handle))).await
}

//! Dependencies:
//!
//!     axum = "0.8"
//!     serde_json = "1"
//!     tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }

use axum::{Json, Router, http::StatusCode, routing::post};
use serde_json::{Value, json};

async fn function(Json(job): Json<Value>) -> (StatusCode, Json<Value>) {
    match job["args"]["name"].as_str() {
        Some(name) => (StatusCode::OK, Json(json!({"hello": name, "attempt": job["job"]["attempt"]}))),
        // 400: Posthaste gives up, since trying again would not help
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "args.name must be a string"}))),
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
    axum::serve(listener, Router::new().route("/", post(function))).await
}

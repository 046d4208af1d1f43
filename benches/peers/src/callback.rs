//! Awa's callback receiver: its documented shape for a receiver of one's own, a handler that calls `complete_external`.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use sqlx::PgPool;
use tokio::net::TcpListener;

/// Serves callbacks on a free port of this machine; returns the base URL.
pub async fn serve(pool: PgPool) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/api/callbacks/{id}/complete", post(complete)).with_state(pool);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(base)
}

async fn complete(
    State(pool): State<PgPool>,
    Path(id): Path<uuid::Uuid>,
    Json(payload): Json<serde_json::Value>,
) -> StatusCode {
    match awa::admin::complete_external(&pool, id, Some(payload), None).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

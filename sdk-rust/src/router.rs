//! An app behind axum.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    response::Response,
};
use http::Request;

use crate::{answer, app::App};

/// The most bytes of a dispatch: args, metadata, steps, and what 32 waits were told, each at its largest.
const MAX_BODY_BYTES: usize = 40 * 1024 * 1024;

impl App {
    /// The app at every path of a router, to be served or to be nested in another.
    ///
    /// ```no_run
    /// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    /// let app = posthaste::App::from_env()?; // .on(…)
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
    /// axum::serve(listener, app.into_router()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_router(self) -> Router {
        let app = Arc::new(self);
        Router::new().fallback(move |request: Request<Body>| respond(Arc::clone(&app), request))
    }
}

async fn respond(app: Arc<App>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let answer = match to_bytes(body, MAX_BODY_BYTES).await {
        Ok(body) => app.handle(Request::from_parts(head, body)).await,
        Err(error) => answer::refused(400, "malformed_dispatch", &format!("the body did not arrive: {error}")),
    };
    answer.map(Body::from)
}

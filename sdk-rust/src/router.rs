//! An app behind axum.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, rejection::BytesRejection},
    response::Response,
};
use bytes::Bytes;
use http::{Request, StatusCode, request::Parts};

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
        Router::new()
            .fallback(move |head: Parts, body: Result<Bytes, BytesRejection>| respond(Arc::clone(&app), head, body))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
    }
}

async fn respond(app: Arc<App>, head: Parts, body: Result<Bytes, BytesRejection>) -> Response {
    let answer = match body {
        Ok(body) => app.handle(Request::from_parts(head, body)).await,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            answer::refused(413, "payload_too_large", &format!("a body has at most {MAX_BODY_BYTES} bytes"))
        }
        // Most likely nobody is there to read this. Who is there tries again.
        Err(error) => answer::refused(408, "body_cut", &format!("the body did not arrive: {error}")),
    };
    answer.map(Body::from)
}

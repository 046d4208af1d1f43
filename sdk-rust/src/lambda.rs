//! An app on AWS Lambda: behind a function URL, API Gateway or a load balancer, and for `Invoke` with the event of a
//! function URL, which is what Posthaste sends there.
//!
//! ```no_run
//! # async fn serve() -> posthaste::Result<()> {
//! let app = posthaste::App::from_env()?; // .on(…)
//! posthaste::lambda::run(app).await
//! # }
//! ```

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::Response;
use lambda_http::{Body, Request, RequestExt as _, service_fn};

use crate::{
    app::App,
    clock,
    error::{Error, Result},
    run::StoppedAt,
};

/// Takes events from Lambda until it stops the function.
pub async fn run(app: App) -> Result<()> {
    let app = Arc::new(app);
    let service = service_fn(move |event: Request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, lambda_http::Error>(respond(&app, event).await) }
    });
    lambda_http::run(service).await.map_err(Error::new)
}

/// Bodies come as a text or, of what Lambda takes for binary, as base64, which is undone by now: the bytes are those
/// that were signed.
async fn respond(app: &App, event: Request) -> Response<Body> {
    let remaining = event.lambda_context_ref().map(|context| clock::remaining(context.deadline()));
    let mut request = event.map(|body| match body {
        Body::Text(text) => Bytes::from(text),
        Body::Binary(bytes) => Bytes::from(bytes),
        _ => Bytes::new(),
    });
    if let Some(remaining) = remaining {
        request.extensions_mut().insert(StoppedAt(Instant::now() + remaining));
    }
    let answer = app.handle(request).await;
    // Everything that an app answers is JSON, and so a text.
    answer.map(|body| match String::from_utf8(body.into()) {
        Ok(text) if text.is_empty() => Body::Empty,
        Ok(text) => Body::Text(text),
        Err(error) => Body::Binary(error.into_bytes()),
    })
}

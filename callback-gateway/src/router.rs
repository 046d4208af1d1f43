//! The way of a request: each stage costs less than the next, and whoever fails one is refused there.

use std::{convert::Infallible, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use http::Method;
use posthaste_protocol::problem::Code;
use posthaste_service::http_server::Handler;
use tokio::time::Instant;

use crate::{
    answer::{response, seal},
    callbacks,
    gateway::Gateway,
    hooks::{self, Heard},
    refusal::Refusal,
    route::Route,
};

/// Everything that the gateway answers. Expects `ConnectInfo<SocketAddr>` in each request, as
/// [`posthaste_service::http_server`] puts it there.
pub fn router(gateway: Arc<Gateway>) -> impl Handler<Future: Send> {
    tower::service_fn(move |request: http::Request<_>| {
        let handled = AssertUnwindSafe(handle(Arc::clone(&gateway), request.map(Body::new))).catch_unwind();
        async {
            // The panic hook has logged why. Whoever sent it must try again.
            let answer = handled.await.unwrap_or_else(|_panic| Refusal::overloaded().into_response());
            Ok::<_, Infallible>(answer)
        }
    })
}

async fn handle(gateway: Arc<Gateway>, request: Request) -> Response {
    let began = Instant::now();
    let path = request.uri().path().to_owned();
    let route = Route::of(&path, &gateway.base);
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let answered = match route {
        // No other method has an effect anywhere: links are followed by many who do not mean it.
        _ if request.method() != Method::POST => {
            Err(Refusal::new(Code::MethodNotAllowed, "everything here takes POST and nothing else"))
        }
        Some(Route::Callback { token, action }) => {
            callbacks::call(&gateway, peer, token, action, request).await.map(Heard::Answer)
        }
        Some(Route::Hook { token }) => hooks::hook(&gateway, peer, token, request).await,
        Some(Route::Source { name }) => hooks::source(&gateway, peer, name, request).await,
        None => Err(Refusal::new(Code::NotFound, Route::missing(&path, &gateway.base))),
    };
    let (outcome, response) = match answered {
        Ok(Heard::Answer(answer)) => (answer.outcome.as_str(), response(&answer)),
        Ok(Heard::Challenge(challenge)) => ("challenge", seal(challenge.into_response())),
        Err(refusal) => (refusal.code().as_str(), refusal.into_response()),
    };
    let action = route.map_or("unmatched", Route::name);
    gateway.metrics.answered(action, outcome, response.status().as_str(), began.elapsed());
    response
}

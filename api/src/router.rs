//! The router: every route, and what stands before all of them.

use std::any::Any;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{Method, StatusCode, Uri};
use posthaste_protocol::problem::Code;
use posthaste_service::health;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    answer::json_text,
    auth::authenticate,
    error::ApiError,
    metrics::{observe, refresh_depth},
    openapi, route,
    state::Api,
    trace,
};

/// The whole API: `/v1`, `/openapi.json`, `/livez`, `/readyz`, `/metrics`. Expects `ConnectInfo<SocketAddr>` in each
/// request, as [`posthaste_service::http_server`] puts it there; without it no peer counts as loopback.
pub fn router(state: Api) -> Router {
    let (documented, _) = documented().split_for_parts();
    documented
        .route("/openapi.json", get(async || json_text(StatusCode::OK, openapi::text())))
        .with_state(state.clone())
        .merge(health::router(state.health.clone(), state.registry.clone()))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(state.clone(), refresh_depth))
        .layer(from_fn_with_state(state.clone(), authenticate))
        .layer(CatchPanicLayer::custom(|panic| panicked(&panic)))
        .layer(from_fn(trace::span))
        .layer(from_fn_with_state(state, observe))
}

/// The routes of `/v1` with their documentation.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(route::new_job::enqueue_job, route::jobs::list_jobs))
        .routes(routes!(route::batch::enqueue_batch))
        .routes(routes!(route::jobs::get_job))
        .routes(routes!(route::job_action::cancel_job))
        .routes(routes!(route::job_action::retry_job))
        .routes(routes!(route::explain::explain_job))
        .routes(routes!(route::endpoints::list_endpoints))
        .routes(routes!(
            route::endpoints::get_endpoint,
            route::endpoints::put_endpoint,
            route::endpoints::delete_endpoint
        ))
        .routes(routes!(route::sources::list_sources))
        .routes(routes!(route::sources::get_source, route::sources::put_source, route::sources::delete_source))
        .routes(routes!(route::deliveries::list_deliveries))
        .routes(routes!(route::deliveries::replay_delivery))
        .routes(routes!(route::endpoint_action::pause_endpoint))
        .routes(routes!(route::endpoint_action::resume_endpoint))
        .routes(routes!(route::endpoint_action::rotate_endpoint_secret))
        .routes(routes!(route::cel::eval_cel))
}

async fn not_found(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(200).collect();
    ApiError::new(Code::NotFound, format!("there is no route {path}"))
}

async fn method_not_allowed(method: Method) -> ApiError {
    let method: String = method.as_str().chars().take(20).collect();
    ApiError::new(Code::MethodNotAllowed, format!("this route does not know {method}"))
}

/// The answer of a handler that panicked; the panic hook has logged why.
fn panicked(_panic: &(dyn Any + Send)) -> Response {
    ApiError::internal().into_response()
}

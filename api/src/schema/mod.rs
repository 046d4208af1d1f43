//! The shapes of requests and answers, for the OpenAPI document only: the rooms that read and write them are the
//! protocol's. The tests hold the answers of the running API against these.

mod cel;
mod endpoint;
mod job;

pub use cel::{CelAnswer, CelTrial};
pub use endpoint::{Endpoint, EndpointList, EndpointSpec, PauseOptions, RotateOptions};
pub use job::{BatchAnswer, CancelAsked, CancelOptions, Explanation, Job, JobPage, JobRef, NewJob, Problem, State};

use utoipa::{OpenApi, openapi};

/// Schemas that no route names directly.
#[derive(OpenApi)]
#[openapi(components(schemas(Problem)))]
struct Components;

/// The document that holds only those.
pub fn components() -> openapi::OpenApi {
    Components::openapi()
}

//! The shapes of requests and answers, for the OpenAPI document only: the rooms that read and write them are the
//! protocol's. The tests hold the answers of the running API against these.

mod cel;
mod delivery;
mod endpoint;
mod job;
mod source;

pub use cel::{CelAnswer, CelTrial};
pub use delivery::{DeliveryPage, ReplayAsked};
pub use endpoint::{Endpoint, EndpointList, EndpointSpec, PauseOptions, RotateOptions};
pub use job::{BatchAnswer, CancelAsked, CancelOptions, Explanation, Job, JobPage, JobRef, NewJob, Problem, State};
pub use source::{Source, SourceList, SourceSpec};

use utoipa::{OpenApi, openapi};

/// Schemas that no route names directly.
#[derive(OpenApi)]
#[openapi(components(schemas(Problem)))]
struct Components;

/// The document that holds only those.
pub fn components() -> openapi::OpenApi {
    Components::openapi()
}

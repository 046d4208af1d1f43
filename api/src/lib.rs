//! REST for producers and operators.
//!
//! A request passes `router` (trace, metrics, panics, keys), then its handler in `route`, which reads the body,
//! runs one engine verb in a task of its own and writes the answer. Single enqueues go through `group_commit`;
//! long-polls through `wait`. Every error is `error::ApiError`.

mod all_faults;
mod answer;
mod auth;
mod body;
mod commit;
mod error;
mod group_commit;
mod job_text;
mod metrics;
pub mod openapi;
mod options;
mod path;
mod query;
mod route;
mod router;
mod schema;
mod secret;
mod serve;
mod settings;
mod state;
mod trace;
mod wait;

pub use router::router;
pub use serve::{serve, serve_on};
pub use settings::{ApiSettings, UrlCheck};
pub use state::{Api, ApiState, StartError};

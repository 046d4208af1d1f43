#![doc = include_str!("../README.md")]

mod answer;
mod app;
mod cel;
mod clock;
mod dispatch;
mod error;
mod handler;
mod job;
mod milliseconds;
mod new_job;
mod outcome;
mod problem;
mod run;
mod secrets;

pub use answer::PROTOCOL;
pub use app::App;
pub use cel::Cel;
pub use dispatch::Format;
pub use error::{Error, Result};
pub use job::Job;
pub use new_job::NewJob;
pub use outcome::{
    Accepted, Cancel, Completed, Fail, IntoOutcome, Outcome, Retire, Retry, Snooze, Suspend, Throttle, Wait, WaitFor,
};
/// `#[derive(Job)]`: see [`Job`](trait@Job).
pub use posthaste_derive::Job;
pub use posthaste_protocol::{
    id::JobId,
    job::State,
    problem::FieldError,
    signature::{SecretError, VerifyError},
};
pub use run::{CallbackGrant, Resume, Run};
pub use secrets::{InvalidSignature, Secrets, SecretsError};

#[cfg(feature = "client")]
pub mod callback;
#[cfg(feature = "client")]
pub mod client;
#[cfg(any(feature = "sqlx", feature = "tokio-postgres"))]
pub mod enqueue;
#[cfg(any(feature = "client", feature = "sqlx", feature = "tokio-postgres"))]
mod faults;
#[cfg(feature = "client")]
mod http_client;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "axum")]
mod router;
#[cfg(feature = "axum")]
mod serve;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod vectors;

/// The Rust of the documents, to be compiled.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../docs/how-to/functions-rust.md")]
    mod functions {}
    #[doc = include_str!("../../docs/how-to/enqueue-rust.md")]
    mod enqueue {}
}

//! Handlers in tests: in this process, without a server and without a clock.
//!
//! ```
//! use std::time::Duration;
//! use posthaste::{App, Job, Outcome, Result, Run, Snooze, testing::{Dispatch, run}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Job, Serialize, Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! async fn greet(args: Greet, _: Run) -> Result<String> {
//!     if args.name.is_empty() {
//!         Err(Snooze::after(Duration::from_secs(5)))?;
//!     }
//!     Ok(format!("Hello {}", args.name))
//! }
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let app = App::unsigned().on(greet);
//! let ran = run(&app, &Dispatch::of(&Greet { name: "Ada".into() })).await;
//! assert_eq!(ran.outcome, Ok(Outcome::completed(&"Hello Ada").unwrap()));
//! let ran = run(&app, &Dispatch::of(&Greet { name: String::new() })).await;
//! assert_eq!(ran.outcome, Ok(Snooze::after(Duration::from_secs(5)).into()));
//! # });
//! ```

mod dispatch;
mod queue;
mod recorder;

use bytes::Bytes;
use http::Response;
use serde::Deserialize;

pub use self::{
    dispatch::Dispatch,
    queue::{JobView, Queue},
    recorder::{Recorder, Report},
};
use crate::{answer, app::App, outcome::Outcome};

/// A run that is over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ran {
    /// What the handler said; or what was answered in its place, where it panicked, failed, or was not asked.
    pub outcome: Result<Outcome, Answered>,
    /// What it reported meanwhile, in order.
    pub reports: Vec<Report>,
    /// The answer as it goes to the dispatcher.
    pub answer: Response<Bytes>,
}

/// An answer that is no word of a handler.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// `unhandled_exception`, `panic`, `invalid_args`, `unknown_kind`, `invalid_signature` or `malformed_dispatch`.
    pub code: String,
    /// The text.
    pub detail: String,
}

/// Runs a dispatch through an app, as a dispatcher would: in the format of the app, signed with the app's own secrets, verified, handled, answered.
pub async fn run(app: &App, dispatch: &Dispatch) -> Ran {
    let recorder = Recorder::new(dispatch.cancel_requested);
    let mut request = dispatch.request(app.secrets(), app.endpoint_format());
    request.extensions_mut().insert(recorder.clone());
    let answer = app.handle(request).await;
    let outcome = answer::read::outcome(&answer).ok_or_else(|| {
        let unreadable = |_| Answered { status: answer.status().as_u16(), code: String::new(), detail: String::new() };
        serde_json::from_slice(answer.body()).unwrap_or_else(unreadable)
    });
    Ran { outcome, reports: recorder.reports(), answer }
}

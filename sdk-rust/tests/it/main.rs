//! The SDK against the real things: Postgres, dispatcher, gateway, API, Lambda's own runtime.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic; the lint's exception covers test functions only")]

#[path = "../function/handlers.rs"]
mod handlers;

mod callbacks;
mod client;
mod dependencies;
mod dispatches;
mod documents;
mod enqueue;
mod faults;
mod formats;
mod lambda;
mod orders;
mod outcomes;
mod process;
mod queue;
mod rig;
mod signatures;

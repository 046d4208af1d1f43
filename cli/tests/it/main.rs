//! The binary as people and scripts use it: typed, read, killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callbacks;
mod cel;
mod dev;
mod documents;
mod functions;
mod keys;
mod operators;
mod python;
mod support;
mod terminal;
mod usage;
mod waiting;

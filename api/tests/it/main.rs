//! The API against a real Postgres: one binary, a database of its own for each test.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic; the lint's exception covers test functions only")]

mod cel;
mod client;
mod endpoints;
mod jobs;
mod keys;
mod sources;
mod waiting;

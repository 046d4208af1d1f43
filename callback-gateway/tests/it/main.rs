//! The gateway against a real Postgres and over real HTTP: one binary, a database of its own for each test.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic; the lint's exception covers test functions only")]

mod callbacks;
mod client;
mod hooks;
mod judged;
mod kept;
mod life;
mod news;
mod outage;
mod races;
mod refusals;
mod rig;
mod rotation;
mod signed;
mod sources;

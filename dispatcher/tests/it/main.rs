//! The dispatcher against a real Postgres and a real HTTP server.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic; the lint's exception covers test functions only")]

mod answers;
mod aws;
mod callbacks;
mod deadlines;
mod endpoints;
mod fleet;
mod google;
mod isolation;
mod lambda;
mod left_out;
mod oauth2;
mod process;
mod proxy;
mod running;
mod secure;
mod suspended;
mod tls;
mod unknown;
mod verifier;
mod waiting;

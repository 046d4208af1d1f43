//! The dispatcher against a real Postgres and a real HTTP server.

mod answers;
mod aws;
mod callbacks;
mod deadlines;
mod endpoints;
mod fleet;
mod google;
mod isolation;
mod lambda;
mod oauth2;
mod process;
mod running;
mod suspended;
mod unknown;
mod verifier;
mod waiting;

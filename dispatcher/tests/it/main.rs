//! The dispatcher against a real Postgres and a real HTTP server.

mod answers;
mod callbacks;
mod deadlines;
mod endpoints;
mod fleet;
mod isolation;
mod running;
mod suspended;
mod unknown;
mod waiting;

//! The dispatcher against a real Postgres and a real HTTP server.

mod answers;
mod endpoints;
mod fleet;
mod isolation;
mod running;

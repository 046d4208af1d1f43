//! The laboratory: processes, their CPU, the private Postgres, and what is read from them.

pub mod cpu;
pub mod database;
pub mod dispatcher;
pub mod gateway;
pub mod http;
pub mod job;
pub mod machine;
pub mod party;
pub mod rig;
pub mod stats;

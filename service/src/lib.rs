//! How a process runs: configuration, telemetry, health, shutdown, private Postgres.
//!
//! - [`config`]: settings, one file per group; the only reader of the environment.
//! - [`telemetry`]: logs, spans over OTLP, Prometheus metrics.
//! - [`health`]: `/livez`, `/readyz`, `/metrics`.
//! - [`shutdown`]: soft, then hard.
//! - [`http_server`]: an axum router on a listener, with every bound set.
//! - [`key_watch`]: a key ring that follows its file while the process runs.
//! - [`tls`]: the one crypto provider.
//! - [`postgres`]: a private Postgres for `posthaste dev` and the tests.
//! - [`entropy`], [`clock`]: the one source of randomness, the one wall clock.

pub mod clock;
pub mod config;
mod connections;
pub mod entropy;
pub mod health;
pub mod http_server;
pub mod key_watch;
pub mod peer;
pub mod postgres;
pub mod shutdown;
pub mod telemetry;
pub mod tls;

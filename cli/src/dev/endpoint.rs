//! The endpoint `sample`: written anew at each start, because the sample function's port is.

use std::net::SocketAddr;

use posthaste_engine::EngineError;
use posthaste_protocol::{endpoint::EndpointSpec, seal::SealKeys};
use serde_json::json;
use sqlx::PgConnection;

use super::sample;
use crate::endpoint::write;

/// Points the endpoint at this address.
pub async fn write(connection: &mut PgConnection, function: SocketAddr, keys: &SealKeys) -> anyhow::Result<()> {
    let spec = json!({
        "url": format!("http://{function}/"),
        "kinds": sample::kinds(),
        "concurrency": 16,
        "timeout_ms": 10_000,
        "retry": {"policy": "constant", "base_ms": 500, "jitter": 0.0},
    });
    let spec = EndpointSpec::parse(&spec.to_string()).map_err(EngineError::Faults)?;
    write::write(connection, "sample", &spec, Some(keys)).await?;
    Ok(())
}

//! What dispatchers report of endpoints in their heartbeats.

use std::collections::HashMap;

use serde::Deserialize;
use sqlx::{PgConnection, Row};

use crate::EngineError;

/// What one dispatcher says of one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EndpointReport {
    /// `closed`, `open` or `half_open`.
    pub breaker: String,
    /// Requests that are open.
    pub in_flight: u64,
    /// Requests that may be open at once.
    pub limit: Option<u64>,
    /// Five jobs got answers such as 401 or 404 since the last success.
    pub misconfigured: bool,
    /// Why the dispatcher cannot use the endpoint.
    pub unusable: Option<String>,
}

/// What the dispatchers that were heard within 15 s say of each endpoint, by its name.
pub async fn endpoint_reports(
    connection: &mut PgConnection,
) -> Result<HashMap<String, Vec<EndpointReport>>, EngineError> {
    let rows = sqlx::query(include_str!("../sql/endpoint_reports.sql")).fetch_all(connection).await?;
    let mut reports: HashMap<String, Vec<EndpointReport>> = HashMap::new();
    for row in rows {
        // A dispatcher of another version may say more or less: what cannot be read is left out.
        if let Ok(report) = serde_json::from_str(row.try_get("report")?) {
            reports.entry(row.try_get("endpoint")?).or_default().push(report);
        }
    }
    Ok(reports)
}

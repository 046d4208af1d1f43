//! `posthaste job explain ID`: why it is not running.

use posthaste_engine::explain;
use serde_json::Value;

use super::One;
use crate::{output, time};

/// Explains.
pub async fn run(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    let explanation = explain::explain(&mut connection, one.id).await?;
    if one.json {
        return output::json(&explanation);
    }
    output::data(output::clean(&explanation.detail));
    if let Value::Object(fields) = serde_json::to_value(&explanation)? {
        for (name, value) in fields.iter().filter(|(name, value)| *name != "detail" && !value.is_null()) {
            let text = match name.as_str() {
                "run_at" => time::show(explanation.run_at),
                _ => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            };
            output::data(format_args!("  {name:<17} {}", output::clean(&text)));
        }
    }
    Ok(())
}

//! Prints the OpenAPI document: `cargo run -q -p posthaste-api --example openapi > docs/reference/openapi.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(posthaste_api::openapi::text().as_bytes())
}

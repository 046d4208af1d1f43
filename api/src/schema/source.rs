//! Sources as the document shows them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::cel::CelSpec;

/// A named sender of webhooks, as written.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// How it signs.
    signature: InboundSignature,
    /// A CEL expression over `payload` and `headers` that gives the job's id, or null for a webhook that is for no job.
    #[schema(min_length = 1, max_length = 2048, example = "payload.data.metadata.job_id")]
    correlate: String,
    /// What its webhooks mean. Default: what the wait, the job or the endpoint says.
    cel: Option<CelSpec>,
}

/// The signature that whatever comes in must have.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InboundSignature {
    /// `standard_webhooks`, `stripe`, `github`, `slack` or `hmac`.
    scheme: String,
    /// At most five: a text (stored sealed, never shown again), `{"env": "NAME"}` or `{"file": "PATH"}`. Any will do. Left out,
    /// those that are stored stay.
    #[schema(max_items = 5)]
    secrets: Option<Vec<Value>>,
    /// How far the signed time may be from ours, for schemes that sign one. Default 300.
    #[schema(minimum = 1, maximum = 3600)]
    tolerance_s: Option<u32>,
    /// Of `hmac`: the header with the signature.
    header: Option<String>,
    /// Of `hmac`: `hex` (default) or `base64`.
    encoding: Option<String>,
    /// Of `hmac`: what stands before the signature.
    prefix: Option<String>,
}

/// A source as read: without its sealed secrets.
#[derive(Serialize, ToSchema)]
pub struct Source {
    name: String,
    /// It has secrets that are sealed, and shown to nobody, beside the references of its signature.
    sealed_secrets: bool,
    /// Counts the changes, from 1.
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[serde(flatten)]
    spec: SourceSpec,
}

/// All sources, by name.
#[derive(Serialize, ToSchema)]
pub struct SourceList {
    sources: Vec<Source>,
}

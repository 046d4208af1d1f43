//! Deliveries as the document shows them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// What came to a gateway and what became of it.
#[derive(Serialize, ToSchema)]
pub struct Delivery {
    /// Its number.
    #[schema(example = "7")]
    id: String,
    at: DateTime<Utc>,
    /// The job, if one was found.
    #[schema(required)]
    job_id: Option<String>,
    /// The run, if the sender named one.
    #[schema(required)]
    run_lease: Option<i64>,
    /// `callback`, `hook` or `source`.
    via: String,
    /// The source's name.
    #[schema(required)]
    source: Option<String>,
    /// What a callback asked for.
    #[schema(required)]
    action: Option<String>,
    /// `applied`, `duplicate`, `ignored`, `buffered`, `quarantined` or `rejected`.
    verdict: String,
    /// Why: a problem's code, or what an expression said.
    #[schema(required)]
    reason: Option<String>,
    /// Of its body.
    bytes: i32,
    /// It is still kept, to be judged later: of a quarantined one, nobody has settled it yet.
    kept: bool,
}

/// Deliveries, newest first.
#[derive(Serialize, ToSchema)]
pub struct DeliveryPage {
    deliveries: Vec<Delivery>,
    /// `cursor` of the next page; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A delivery that will be judged again.
#[derive(Serialize, ToSchema)]
pub struct ReplayAsked {
    id: String,
    /// Always true.
    replay_requested: bool,
}

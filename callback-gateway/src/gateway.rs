//! The gateway: what every request shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use posthaste_engine::filter::FilterCache;
use posthaste_protocol::key_ring::KeyRing;
use tokio::sync::Semaphore;

use crate::{
    background::Background, body::Rooms, deliveries::DeliveryLog, group_commit::GroupCommit, limit::Limits,
    metrics::Metrics, terms::AllTerms,
};

/// See the module. [`Gateway::start`] makes it.
pub struct Gateway {
    pub(crate) ring: Arc<ArcSwap<KeyRing>>,
    /// The path of the public base, without a slash at its end.
    pub(crate) base: String,
    pub(crate) terms: Arc<ArcSwap<AllTerms>>,
    pub(crate) filters: FilterCache,
    /// How many may be judged at once.
    pub(crate) judges: Arc<Semaphore>,
    pub(crate) limits: Limits,
    pub(crate) rooms: Rooms,
    pub(crate) commits: GroupCommit,
    pub(crate) deliveries: DeliveryLog,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) background: Background,
}

//! Routes: which lane goes to which target. One immutable snapshot, replaced when the configuration changes.

use std::{collections::HashMap, sync::Arc, time::Instant};

use posthaste_engine::{EngineError, endpoint, floor::Scan, lane, retry::RetryPolicy, session::Session};
use tracing::warn;

use crate::{
    context::Context,
    endpoint::Endpoint,
    target::{Before, Target, UnusableEndpoint},
};

/// The priorities of a lane, first to last.
const PRIORITIES: [i16; 4] = [1, 2, 3, 4];

/// A target and the lanes whose jobs it takes.
pub struct Route {
    /// Where.
    pub target: Arc<Target>,
    /// Its lanes.
    pub lanes: Vec<i32>,
}

impl Route {
    /// What a claim for this route scans: priority first, then lanes, starting with another lane each `turn`.
    pub fn scans(&self, turn: usize) -> Vec<Scan> {
        let mut scans = Vec::with_capacity(self.lanes.len() * PRIORITIES.len());
        for priority in PRIORITIES {
            for n in 0..self.lanes.len() {
                let lane_id = self.lanes[(n + turn) % self.lanes.len()];
                scans.push(Scan { lane_id, priority });
            }
        }
        scans
    }
}

/// What the claimer knows of the configuration.
#[derive(Default)]
pub struct Routes {
    /// Lanes by number.
    pub lanes: HashMap<i32, Arc<lane::Lane>>,
    /// Targets that have lanes and are not paused, by name.
    pub open: Vec<Route>,
    /// The endpoint of each lane that has one, paused or not, of use here or not.
    by_lane: HashMap<i32, Arc<Endpoint>>,
    /// Endpoints that this process cannot use, and why.
    pub unusable: HashMap<String, UnusableEndpoint>,
    /// Every target, for the heartbeat.
    pub targets: HashMap<String, Arc<Target>>,
}

impl Routes {
    /// The endpoint whose this lane's jobs are, whether or not it can take them now.
    pub fn endpoint_of(&self, lane_id: i32) -> Option<&Arc<Endpoint>> {
        self.by_lane.get(&lane_id)
    }

    /// How the jobs of this lane are retried.
    pub fn retry_of(&self, scan: Scan) -> RetryPolicy {
        self.endpoint_of(scan.lane_id).map(|endpoint| endpoint.retry.clone()).unwrap_or_default()
    }

    /// Reads lanes and endpoints. An endpoint that this process cannot use is left out and said so: its jobs stay
    /// available for a dispatcher that can.
    pub async fn load(
        session: &mut Session,
        context: &Context,
        before: &Self,
        now: Instant,
    ) -> Result<Self, EngineError> {
        let (lanes, rows) = session
            .call(async |connection| Ok((lane::lanes(connection).await?, endpoint::endpoints(connection).await?)))
            .await?;
        let (mut targets, mut unusable) = (HashMap::new(), HashMap::new());
        for row in rows {
            match Target::resolve(&row, context, before.known(&row.name), now) {
                Ok(target) => {
                    targets.insert(target.name.clone(), Arc::new(target));
                }
                Err(why) => {
                    // Once per change, not at every look.
                    let known = before.unusable.get(&row.name).map(|before| before.reason.as_str());
                    if !why.is_pending() && known != Some(why.reason.as_str()) {
                        warn!(endpoint.name = row.name, reason = why.reason, "endpoint cannot be used here");
                    }
                    unusable.insert(row.name, *why);
                }
            }
        }
        Ok(Self::of(lanes, targets, unusable))
    }

    /// What is known of an endpoint.
    fn known(&self, name: &str) -> Before<'_> {
        if let Some(target) = self.targets.get(name) {
            return Before { endpoint: Some(&target.endpoint), own_client: target.own_client.as_ref() };
        }
        self.unusable.get(name).map_or_else(Before::default, |unusable| Before {
            endpoint: unusable.endpoint.as_ref(),
            own_client: unusable.own_client.as_ref(),
        })
    }

    /// Routes each lane: to the endpoint its jobs name, else to the one that takes their kind, else to the one that
    /// takes every kind. What belongs to an endpoint that cannot be used goes to nobody else.
    fn of(
        lanes: Vec<lane::Lane>,
        targets: HashMap<String, Arc<Target>>,
        unusable: HashMap<String, UnusableEndpoint>,
    ) -> Self {
        let mut by_kind: HashMap<&str, &String> = HashMap::new();
        let usable = targets.iter().map(|(name, target)| (name, &target.endpoint.spec.kinds));
        for (name, kinds) in usable.chain(unusable.iter().map(|(name, why)| (name, &why.kinds))) {
            by_kind.extend(kinds.iter().map(|kind| (kind.as_str(), name)));
        }
        let mut by_lane = HashMap::new();
        let mut routes: HashMap<&str, Route> = HashMap::new();
        for lane in &lanes {
            let by_kind = || by_kind.get(lane.kind.as_str()).or_else(|| by_kind.get("*")).copied();
            let Some(name) = lane.endpoint.as_ref().or_else(by_kind) else { continue };
            let target = targets.get(name);
            let left_out = || unusable.get(name)?.endpoint.as_ref();
            if let Some(endpoint) = target.map(|target| &target.endpoint).or_else(left_out) {
                by_lane.insert(lane.lane_id, Arc::clone(endpoint));
            }
            let Some(target) = target.filter(|target| !target.paused) else { continue };
            routes
                .entry(&target.name)
                .or_insert_with(|| Route { target: Arc::clone(target), lanes: Vec::new() })
                .lanes
                .push(lane.lane_id);
        }
        let mut routes: Vec<Route> = routes.into_values().collect();
        routes.sort_by(|a, b| a.target.name.cmp(&b.target.name));
        let lanes = lanes.into_iter().map(|lane| (lane.lane_id, Arc::new(lane))).collect();
        Self { lanes, open: routes, by_lane, unusable, targets }
    }
}

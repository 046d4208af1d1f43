//! Rescuer: takes over the leases of silent dispatchers, and gives back this one's own that it does not know.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError, fleet,
    floor::Scan,
    rescue::{self, retry_lost},
    session::Session,
};
use posthaste_service::entropy;
use tracing::{info, warn};

use crate::{context::Context, silence::Watch};

/// How often the counters are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// A gap this long between two looks means that this process itself was away.
const GAP: Duration = Duration::from_secs(12);

/// Rescues until the soft stop.
pub async fn run(context: Arc<Context>, mut session: Session) {
    let mut watch = Watch::default();
    let mut looked = Instant::now();
    while !context.shutdown.soft().is_cancelled() {
        if looked.elapsed() > GAP {
            watch.clear();
        }
        looked = Instant::now();
        let result = round(&context, &mut session, &mut watch).await;
        context.metrics.statement("rescue", looked.elapsed(), result.is_ok());
        if let Err(error) = result {
            warn!(error = %error, "rescuing failed; trying again");
            if error.is_unavailable() {
                watch.clear();
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = context.shutdown.soft().cancelled() => {}
        }
    }
}

async fn round(context: &Context, session: &mut Session, watch: &mut Watch) -> Result<(), EngineError> {
    let beats = session.call(async |c| fleet::beats(c).await).await?;
    let mut silent = watch.look(&beats, Instant::now());
    silent.retain(|id| *id != context.dispatcher_id);
    while !silent.is_empty() && !context.shutdown.soft().is_cancelled() {
        let jitter = entropy::jitter();
        let routes = context.routes.load_full();
        let callbacks = context.callbacks.is_some();
        let policy_of = |scan: Scan| {
            routes.endpoint_of(scan.lane_id).map_or_else(|| retry_lost(scan), |endpoint| endpoint.lost(callbacks))
        };
        let rescued = session.call(async |c| rescue::rescue(c, &silent, &policy_of, jitter).await).await?;
        if rescued.leases == 0 {
            break;
        }
        context.metrics.rescued.inc_by(rescued.runs as u64);
        context.metrics.parks.with_label_values(&["rescued"]).inc_by(rescued.parked as u64);
        let (leases, runs, parked) = (rescued.leases, rescued.runs, rescued.parked);
        info!(leases, runs, parked, "rescued runs of silent dispatchers");
    }
    release_unknown(context, session).await
}

/// A claim whose answer was lost left a lease that nobody POSTs.
async fn release_unknown(context: &Context, session: &mut Session) -> Result<(), EngineError> {
    let (known, last) = context.leases.known();
    let id = context.dispatcher_id;
    let released = session.call(async |c| rescue::release_unknown(c, id, &known, last).await).await?;
    if released > 0 {
        info!(runs = released, "gave back runs whose claim was never answered");
        context.wake.notify_one();
    }
    Ok(())
}

//! What the loops of one dispatcher share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use posthaste_protocol::seal::SealKeys;
use posthaste_service::{health::Health, shutdown::Shutdown};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    auth::Credentials,
    egress::{Client, ClientOptions, EgressPolicy},
    leases::Leases,
    metrics::Metrics,
    mint::Callbacks,
    permit::Permits,
    routes::Routes,
    told::Told,
};

/// A POST is begun only this long after its claim was sent, and after the last heartbeat that arrived. A rescue needs
/// 15 s of silence, so what a rescuer takes over is never sent afterwards.
pub const SEND_WINDOW: Duration = Duration::from_secs(10);

/// Everything that the loops share.
pub struct Context {
    /// This dispatcher's number.
    pub dispatcher_id: i64,
    /// This machine's name, for people.
    pub host: String,
    /// Who this installation is.
    pub installation: Uuid,
    /// The guarded client.
    pub client: Client,
    /// How it dials.
    pub egress_options: ClientOptions,
    /// What it may dial.
    pub policy: EgressPolicy,
    /// What proves to platforms who sends.
    pub credentials: Credentials,
    /// Opens endpoint secrets.
    pub seal_keys: Option<SealKeys>,
    /// How functions call back, if they can.
    pub callbacks: Option<Callbacks>,
    /// Permits of the whole process.
    pub permits: Arc<Permits>,
    /// The configuration.
    pub routes: ArcSwap<Routes>,
    /// The leases held.
    pub leases: Leases,
    /// Runs that have ended, or that wait, on their way to the completer.
    pub told: mpsc::UnboundedSender<Told>,
    /// What becomes of runs whose functions will call back.
    pub parks: mpsc::UnboundedSender<Told>,
    /// Endpoints to pause, because five jobs were told 410.
    pub retire: mpsc::UnboundedSender<String>,
    /// Runs in flight that can be cancelled, by job.
    pub flights: Mutex<HashMap<i64, CancellationToken>>,
    /// There may be something to claim.
    pub wake: Notify,
    /// Look once more before sleeping.
    pub recheck: Notify,
    /// There may be something to promote soon.
    pub scheduled: Notify,
    /// The configuration changed.
    pub config_changed: Notify,
    /// Somebody asked to cancel a running job.
    pub cancels: Notify,
    /// Instruments.
    pub metrics: Metrics,
    /// Checks for `/readyz`.
    pub health: Health,
    /// How this process ends.
    pub shutdown: Shutdown,
    /// Every flight has told its end: the completer writes what it has and stops.
    pub closing: CancellationToken,
    /// When the process began, for the monotonic marks below.
    pub started: Instant,
    /// The last heartbeat that arrived, milliseconds since `started`.
    pub beat_ms: AtomicU64,
}

impl Context {
    /// Whether a run whose claim was sent at `claimed` may still be POSTed: everything by a monotonic clock.
    pub fn may_send(&self, claimed: Instant) -> bool {
        let beat = self.started + Duration::from_millis(self.beat_ms.load(Ordering::Acquire));
        claimed.elapsed() < SEND_WINDOW && beat.elapsed() < SEND_WINDOW
    }

    /// Remembers that a heartbeat sent at `sent` arrived.
    pub fn beat_arrived(&self, sent: Instant) {
        let ms = u64::try_from(sent.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(ms, Ordering::Release);
    }

    /// The runs in flight, for a moment.
    pub fn flights(&self) -> MutexGuard<'_, HashMap<i64, CancellationToken>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

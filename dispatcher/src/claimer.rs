//! Claimer: permits first, then a claim of at most that many, then a task per run.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use posthaste_engine::{
    EngineError,
    claim::{self, CLAIM_MAX, ClaimRequest, ClaimedRun, Lease},
    floor::{Floors, Scan},
    probe::probe,
    session::Session,
};
use posthaste_service::{entropy, health::CLAIM_LOOP_ALIVE};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::{
    attempt::{Flight, attempt},
    context::Context,
    permit::Hold,
    routes::{Route, Routes},
};

/// The wait after a look that found nothing: doubled each time, from the first to the last.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));
/// A dispatcher that found nothing for this long sleeps: producers must wake it.
const DROWSY: Duration = Duration::from_millis(40);
/// How long a claim waits for more permits while few are free and many dispatches are open; and how long while what is
/// claimed ahead keeps every slot busy. No longer: new work of other endpoints is found when the wait is over.
const GATHER: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(5));
/// How often it looks meanwhile: waking for each permit costs more than the claim of its run.
const GLANCE: Duration = Duration::from_millis(1);
/// A claim of so many runs waits for no more.
const CLAIM_GOOD: usize = 128;
/// How often each scan is read from 0, to count what lies below its floor.
const AUDIT: Duration = Duration::from_secs(30);
/// Up to so many routes are claimed without asking first which of them have work.
const ROUTES_UNPROBED: usize = 2;

/// Claims until the soft stop, then waits for the flights it started.
pub async fn run(context: Arc<Context>, session: Session, idle: watch::Sender<bool>) {
    let tasks = TaskTracker::new();
    let mut claimer = Claimer {
        session,
        floors: Floors::default(),
        generation: 0,
        counter: 0,
        turn: 0,
        hungry: HashSet::new(),
        poll: POLL.0,
        quiet_since: Instant::now(),
        audited: HashMap::new(),
        tasks: tasks.clone(),
        context,
    };
    loop {
        claimer.context.health.beat(CLAIM_LOOP_ALIVE);
        claimer.look().await;
        if claimer.rest(&idle).await {
            break;
        }
    }
    idle.send_replace(false);
    tasks.close();
    tasks.wait().await;
}

struct Claimer {
    context: Arc<Context>,
    session: Session,
    floors: Floors,
    /// The connection that the floors belong to.
    generation: u64,
    /// Of this process's claims; the low half of a lease id.
    counter: i64,
    /// Which lane is scanned first.
    turn: usize,
    /// Routes that may have more than the last claim took.
    hungry: HashSet<String>,
    poll: Duration,
    quiet_since: Instant,
    /// When each route's scans were last read from 0.
    audited: HashMap<String, Instant>,
    tasks: TaskTracker,
}

impl Claimer {
    /// Looks at every route once and claims what there are permits for.
    async fn look(&mut self) {
        let routes = self.context.routes.load_full();
        if self.session.generation() != self.generation {
            self.floors.clear();
            self.generation = self.session.generation();
        }
        self.hungry.retain(|name| routes.open.iter().any(|route| route.target.name == *name));
        let found = match self.with_work(&routes).await {
            Ok(found) => found,
            Err(error) => return self.failed(&error),
        };
        let mut took = 0;
        for route in found {
            match self.claim_route(&routes, route).await {
                Ok(count) => took += count,
                Err(error) => return self.failed(&error),
            }
        }
        if took > 0 {
            self.poll = POLL.0;
            self.quiet_since = Instant::now();
        }
    }

    fn failed(&mut self, error: &EngineError) {
        warn!(error = %error, "claiming failed; trying again");
        self.poll = Duration::from_millis(250);
        // Floors die with their connection, and a claim whose answer is lost is released by the reconciler.
        self.floors.clear();
    }

    /// The routes that may have work: all when there are few, else those that say so, with the hungry ones.
    async fn with_work<'a>(&mut self, routes: &'a Routes) -> Result<Vec<&'a Route>, EngineError> {
        self.turn = self.turn.wrapping_add(1);
        let now = Instant::now();
        let (free, full): (Vec<&Route>, Vec<&Route>) = routes
            .open
            .iter()
            .partition(|route| route.target.endpoint.gate.room(now, self.context.permits.capacity()) > 0);
        for route in full.iter().filter(|route| route.target.endpoint.gate.held() == 0) {
            self.hungry.remove(&route.target.name);
        }
        if self.context.permits.free() == 0 || free.is_empty() {
            return Ok(Vec::new());
        }
        if free.len() <= ROUTES_UNPROBED {
            return Ok(free);
        }
        let unknown: Vec<&Route> =
            free.iter().copied().filter(|route| !self.hungry.contains(&route.target.name)).collect();
        let scans: Vec<Scan> = unknown.iter().flat_map(|route| route.scans(0)).collect();
        let sent = Instant::now();
        let floors = &self.floors;
        let lanes = self.session.call(async |c| probe(c, &scans, floors).await).await;
        self.context.metrics.statement("probe", sent.elapsed(), lanes.is_ok());
        let lanes: HashSet<i32> = lanes?.into_iter().collect();
        let mut found: Vec<&Route> = free
            .into_iter()
            .filter(|route| {
                self.hungry.contains(&route.target.name) || route.lanes.iter().any(|lane| lanes.contains(lane))
            })
            .collect();
        // Rotated, so that no endpoint always comes last to the permits.
        if !found.is_empty() {
            let by = self.turn % found.len();
            found.rotate_left(by);
        }
        Ok(found)
    }

    fn room(&self, route: &Route) -> usize {
        route.target.endpoint.gate.room(Instant::now(), self.context.permits.capacity())
    }

    /// Claims for one route until it has no more work or no more permits.
    async fn claim_route(&mut self, routes: &Routes, route: &Route) -> Result<usize, EngineError> {
        let mut took = 0;
        loop {
            let free = self.context.permits.free().min(self.room(route));
            let limit = i64::try_from(free).unwrap_or(CLAIM_MAX).min(CLAIM_MAX);
            if limit == 0 {
                // Permits will be given back and tell us; an open breaker or a limit of none will not.
                if self.context.permits.free() == 0 || route.target.endpoint.gate.held() > 0 {
                    self.hungry.insert(route.target.name.clone());
                } else {
                    self.hungry.remove(&route.target.name);
                }
                return Ok(took);
            }
            let count = self.claim(routes, route, limit).await?;
            took += count;
            if i64::try_from(count).unwrap_or(i64::MAX) < limit {
                self.hungry.remove(&route.target.name);
                return Ok(took);
            }
            self.hungry.insert(route.target.name.clone());
            if self.thin(route) {
                return Ok(took);
            }
        }
    }

    /// Whether so few permits are free that it pays to wait for more: small claims cost a commit each.
    fn thin(&self, route: &Route) -> bool {
        let free = self.context.permits.free().min(self.room(route));
        free < (self.context.permits.capacity() / 8).clamp(1, 64) && self.context.permits.in_flight() > free
    }

    async fn claim(&mut self, routes: &Routes, route: &Route, limit: i64) -> Result<usize, EngineError> {
        self.counter += 1;
        let lease = Lease {
            lease_id: (self.context.dispatcher_id << 32) | self.counter,
            nonce: Uuid::from_bytes(entropy::nonce16()),
        };
        let scans = route.scans(self.turn);
        let audit = self.audit_is_due(&route.target.name);
        let levels = if audit { self.start_audit(&scans) } else { Vec::new() };
        let request = ClaimRequest {
            dispatcher_id: self.context.dispatcher_id,
            lease,
            lasts: Duration::from_millis(route.target.endpoint.spec.timeout_ms.max(1)) + Duration::from_mins(1),
            scans: &scans,
            limit,
        };
        self.context.leases.begin(lease.lease_id);
        let sent = Instant::now();
        let floors = &mut self.floors;
        let result = self.session.call(async |c| claim::claim(c, &request, floors).await).await;
        self.context.metrics.statement("claim", sent.elapsed(), result.is_ok());
        let runs = match result {
            Ok(runs) if !runs.is_empty() => runs,
            other => {
                self.context.leases.claimed(lease.lease_id, 0);
                // An audit that found nothing found nothing below the floors either.
                if other.is_ok() {
                    self.floors.restore(&levels);
                }
                return other.map(|_| 0);
            }
        };
        self.context.leases.claimed(lease.lease_id, runs.len());
        self.audit(&levels, &runs);
        self.start(routes, route, &runs, sent);
        Ok(runs.len())
    }

    fn start(&self, routes: &Routes, route: &Route, runs: &[Arc<ClaimedRun>], claimed: Instant) {
        let metrics = &self.context.metrics;
        metrics.claimed.inc_by(runs.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "at most 200")]
        metrics.claim_batch.observe(runs.len() as f64);
        for run in runs {
            // Unwrap safety: a claim names only lanes of the snapshot it was made from.
            let Some(lane) = routes.lanes.get(&run.scan.lane_id) else { continue };
            let flight = Flight {
                run: Arc::clone(run),
                lane: Arc::clone(lane),
                target: Arc::clone(&route.target),
                claimed,
                permit: self.context.permits.take(),
                hold: Hold::take(&route.target.endpoint.gate, &self.context.permits),
            };
            self.tasks.spawn(attempt(Arc::clone(&self.context), flight));
        }
    }

    /// Whether this route was not read from 0 for a while.
    fn audit_is_due(&mut self, route: &str) -> bool {
        let now = Instant::now();
        match self.audited.get_mut(route) {
            Some(at) if now.saturating_duration_since(*at) < AUDIT => false,
            Some(at) => {
                *at = now;
                true
            }
            None => {
                self.audited.insert(route.to_owned(), now);
                false
            }
        }
    }

    /// Forgets the floors of these scans for one claim, and remembers them to compare.
    fn start_audit(&mut self, scans: &[Scan]) -> Vec<(Scan, i64)> {
        let levels = scans.iter().map(|scan| (*scan, self.floors.floor(*scan))).collect();
        for scan in scans {
            self.floors.forget(*scan);
        }
        levels
    }

    fn audit(&self, levels: &[(Scan, i64)], runs: &[Arc<ClaimedRun>]) {
        let below = |run: &ClaimedRun| levels.iter().any(|(scan, floor)| run.scan == *scan && run.seq <= *floor);
        let count = runs.iter().filter(|run| below(run)).count();
        if count > 0 {
            self.context.metrics.below_floor.inc_by(count as u64);
            error!(runs = count, "live rows were below a floor; they are being dispatched now");
        }
    }

    /// Waits until there may be something to claim. True: the soft stop.
    async fn rest(&mut self, idle: &watch::Sender<bool>) -> bool {
        let context = Arc::clone(&self.context);
        if context.shutdown.soft().is_cancelled() {
            return true;
        }
        let blocked = !self.hungry.is_empty();
        let drowsy = !blocked && self.quiet_since.elapsed() >= DROWSY;
        if *idle.borrow() != drowsy {
            idle.send_replace(drowsy);
            debug!(drowsy, "claimer");
        }
        if blocked {
            return self.gather().await;
        }
        let wait = self.poll;
        self.poll = (self.poll * 2).min(if drowsy { POLL.1 } else { DROWSY / 4 });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = context.wake.notified() => {
                self.poll = POLL.0;
                self.quiet_since = Instant::now();
            }
            // One more look with the sleeper's lock in hand; nobody has said that there is work.
            () = context.recheck.notified() => {}
            () = context.shutdown.soft().cancelled() => return true,
        }
        false
    }

    /// There is work and no permit for it: waits for permits, and a little longer for more than a few.
    async fn gather(&self) -> bool {
        let context = &self.context;
        tokio::select! {
            () = context.permits.released.notified() => {}
            // Perhaps for another endpoint, which has permits.
            () = context.wake.notified() => return false,
            // An open breaker, a shrunk limit: nothing is given back, time alone opens the way.
            () = tokio::time::sleep(Duration::from_millis(100)) => return false,
            () = context.shutdown.soft().cancelled() => return true,
        }
        let since = Instant::now();
        loop {
            let (enough, stocked) = self.stock();
            let patience = if stocked { GATHER.1 } else { GATHER.0 };
            if enough || since.elapsed() >= patience {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(GLANCE) => {}
                () = context.wake.notified() => return false,
                () = context.shutdown.soft().cancelled() => return true,
            }
        }
    }

    /// Whether a hungry route has room for a good claim, and whether all of them have runs in hand for their next slots.
    fn stock(&self) -> (bool, bool) {
        let routes = self.context.routes.load();
        let (now, free, capacity) = (Instant::now(), self.context.permits.free(), self.context.permits.capacity());
        let mut gates = routes
            .open
            .iter()
            .filter(|route| self.hungry.contains(&route.target.name))
            .map(|r| &r.target.endpoint.gate);
        let good = CLAIM_GOOD.min(capacity / 4).max(1);
        let enough = free >= good && gates.clone().any(|gate| gate.room(now, capacity) >= good);
        (enough, gates.all(|gate| gate.is_stocked(now)))
    }
}

//! Terms: what the endpoint of a lane gives its runs, and who may send webhooks. A snapshot of the configuration, replaced
//! when that changes.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use posthaste_engine::{
    EngineError,
    callback::EndTerms,
    endpoint,
    floor::Scan,
    lane::{self, Lane},
    lifecycle::wait::WaitTimes,
    retry::RetryPolicy,
    session::{Hints, Session, listen},
    source,
};
use posthaste_protocol::{accepted::Accepted, cel::CelSpec, endpoint::EndpointSpec, seal::SealKeys};
use posthaste_service::shutdown::Shutdown;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgConnection;

use crate::sender::Sender;

/// How many of the newest lanes are read again when one is looked for that is new.
const NEWEST: usize = 256;
/// With each batch of callbacks go at most so many lanes; the callbacks of others cost a look-up more.
const PLAIN_MAX: usize = 512;
/// How often the configuration is read although nobody announced a change.
const EVERY: Duration = Duration::from_secs(5);
/// The default time-outs of the contract, for a lane that no endpoint takes any more: an hour, and seven days.
pub const DEFAULT_TIMES: WaitTimes =
    WaitTimes { callback: Duration::from_hours(1), heartbeat: None, max_run: Duration::from_hours(7 * 24) };

/// What one endpoint gives.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How its jobs are tried again.
    pub retry: RetryPolicy,
    /// How long its runs may take, when nobody has parked them yet.
    pub times: WaitTimes,
    /// What webhooks to its runs mean, and some callbacks.
    pub cel: Option<CelSpec>,
    /// Another endpoint may take these jobs, one that is new or that this version cannot read: what it is, and what expressions
    /// it has, is to be looked up for each run.
    pub is_guess: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self { retry: RetryPolicy::default(), times: DEFAULT_TIMES, cel: None, is_guess: true }
    }
}

impl Terms {
    fn of(spec: &EndpointSpec) -> Self {
        let callback = Duration::from_millis(spec.callback_timeout_ms);
        let times = WaitTimes::of(Accepted::default(), callback, Duration::from_millis(spec.max_run_ms));
        Self { retry: RetryPolicy::from(&spec.retry), times, cel: spec.cel.clone(), is_guess: false }
    }

    /// What the ends of its runs need.
    pub fn of_ends(&self) -> EndTerms {
        EndTerms { retry: self.retry.clone(), has_cel: self.has_cel() }
    }

    fn has_cel(&self) -> bool {
        self.is_guess || self.cel.is_some()
    }
}

/// The terms of every lane and endpoint, and every source.
#[derive(Debug, Default)]
pub struct AllTerms {
    /// By number.
    lanes: Vec<Arc<Lane>>,
    by_lane: HashMap<i32, Arc<Terms>>,
    /// Lanes whose endpoints have no expressions, the newest of them.
    pub plain: Vec<i32>,
    by_endpoint: HashMap<String, Arc<Terms>>,
    /// Every source, or why it cannot be used here.
    senders: Arc<HashMap<String, Result<Sender, String>>>,
    unknown: Arc<Terms>,
    /// Endpoints that a newer version wrote: nobody here knows their expressions.
    unreadable: HashSet<String>,
    /// The database was read at least once: a source that is not here does not exist.
    pub is_read: bool,
}

impl AllTerms {
    /// The terms of this lane: those of the contract where no endpoint takes it. `None`: it is new since they were read.
    pub fn known(&self, scan: Scan) -> Option<&Terms> {
        self.by_lane.get(&scan.lane_id).map(Arc::as_ref)
    }

    /// The terms of this lane; those of the contract for a lane that is not known.
    pub fn of(&self, scan: Scan) -> &Terms {
        self.known(scan).unwrap_or(&self.unknown)
    }

    /// The terms of the endpoint of this name.
    pub fn of_endpoint(&self, name: &str) -> Option<&Terms> {
        self.by_endpoint.get(name).map(Arc::as_ref)
    }

    /// The endpoint of this name was there when they were read.
    pub fn knows_endpoint(&self, name: &str) -> bool {
        self.by_endpoint.contains_key(name) || self.is_unreadable(name)
    }

    /// The endpoint of this name is there, and what was written of it cannot be read here.
    pub fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    /// The source of this name; `Err` says, for people, why it cannot be used here.
    pub fn sender(&self, name: &str) -> Option<Result<&Sender, &str>> {
        self.senders.get(name).map(|sender| sender.as_ref().map_err(String::as_str))
    }

    /// Gives each lane the terms of the endpoint that its jobs name, else of the one that takes their kind, else of the one
    /// that takes every kind; this one may be wrong while there are endpoints whose kinds cannot be read.
    fn new(lanes: Vec<Arc<Lane>>, specs: &[(String, EndpointSpec)], unreadable: HashSet<String>) -> Self {
        let by_endpoint: HashMap<String, Arc<Terms>> =
            specs.iter().map(|(name, spec)| (name.clone(), Arc::new(Terms::of(spec)))).collect();
        let kinds = specs.iter().flat_map(|(name, spec)| spec.kinds.iter().map(|kind| (kind.as_str(), name.as_str())));
        let by_kind: HashMap<&str, &str> = kinds.collect();
        let of_any = by_kind.get("*").and_then(|name| by_endpoint.get(*name)).map(|terms| {
            if unreadable.is_empty() {
                Arc::clone(terms)
            } else {
                Arc::new(Terms { is_guess: true, ..Terms::clone(terms) })
            }
        });
        let unknown = Arc::new(Terms::default());
        let of = |lane: &Lane| {
            let of_any = || of_any.clone().unwrap_or_else(|| Arc::clone(&unknown));
            let Some(name) = lane.endpoint.as_deref().or_else(|| by_kind.get(lane.kind.as_str()).copied()) else {
                return of_any();
            };
            Arc::clone(by_endpoint.get(name).unwrap_or(&unknown))
        };
        let by_lane: HashMap<i32, Arc<Terms>> = lanes.iter().map(|lane| (lane.lane_id, of(lane))).collect();
        let is_plain = |lane: &&Arc<Lane>| by_lane.get(&lane.lane_id).is_some_and(|terms| !terms.has_cel());
        let plain = lanes.iter().rev().filter(is_plain).map(|lane| lane.lane_id).take(PLAIN_MAX).collect();
        Self { lanes, by_lane, plain, by_endpoint, unreadable, is_read: true, ..Self::default() }
    }

    /// Reads endpoints, and the lanes beyond these, whose words never change.
    async fn read(connection: &mut PgConnection, known: &[Arc<Lane>]) -> Result<Self, EngineError> {
        // The newest are read again: one with a lower number may have been committed after them.
        let (old, newest) = known.split_at(known.len().saturating_sub(NEWEST));
        let from = newest.first().map_or(i32::MIN, |lane| lane.lane_id);
        let new = lane::lanes_from(connection, from).await?.into_iter().map(Arc::new);
        let lanes = old.iter().map(Arc::clone).chain(new).collect();
        let rows = endpoint::specs(connection).await?;
        let (mut specs, mut unreadable) = (Vec::with_capacity(rows.len()), HashSet::new());
        for (name, spec) in rows {
            match EndpointSpec::parse(&spec) {
                Ok(spec) => specs.push((name, spec)),
                Err(_) => drop(unreadable.insert(name)),
            }
        }
        Ok(Self::new(lanes, &specs, unreadable))
    }
}

/// The terms with lanes and endpoints as they are now, for a run whose lane is new since they were read.
pub async fn renew(connection: &mut PgConnection, terms: &ArcSwap<AllTerms>) -> Result<Arc<AllTerms>, EngineError> {
    let now = AllTerms::read(connection, &terms.load_full().lanes).await?;
    let before = terms.load();
    let renewed = AllTerms { senders: Arc::clone(&before.senders), is_read: before.is_read, ..now };
    let renewed = Arc::new(renewed);
    // Should the sources be read anew just now, theirs are the newer terms.
    terms.compare_and_swap(&before, Arc::clone(&renewed));
    Ok(renewed)
}

/// Reads lanes, endpoints and sources. An endpoint that cannot be read is left out: its lanes then have the terms of the
/// contract.
async fn load(
    session: &mut Session,
    keys: Option<&SealKeys>,
    warned: &mut HashMap<String, String>,
) -> Result<AllTerms, EngineError> {
    // In this order: with a source is read whatever was written before it.
    let (sources, all) = session
        .call(async |connection| Ok((source::sources(connection).await?, AllTerms::read(connection, &[]).await?)))
        .await?;
    let mut senders = HashMap::with_capacity(sources.len());
    for row in sources {
        let sender = Sender::resolve(&row, keys);
        match &sender {
            Ok(_) => drop(warned.remove(&row.name)),
            // Once per change, not at every look.
            Err(reason) if warned.get(&row.name) != Some(reason) => {
                tracing::warn!(source.name = row.name, reason, "source cannot be used here");
                warned.insert(row.name.clone(), reason.clone());
            }
            Err(_) => {}
        }
        senders.insert(row.name, sender);
    }
    for name in &all.unreadable {
        if warned.insert(format!("endpoint {name}"), String::new()).is_none() {
            tracing::warn!(
                endpoint.name = name,
                "endpoint cannot be read by this version: its webhooks are quarantined"
            );
        }
    }
    Ok(AllTerms { senders: Arc::new(senders), ..all })
}

/// Keeps the terms up to date until the soft stop.
pub async fn run(
    terms: Arc<ArcSwap<AllTerms>>,
    keys: Option<SealKeys>,
    mut session: Session,
    listen_url: SecretString,
    shutdown: Shutdown,
) {
    let (mut hints, mut warned) = (None, HashMap::new());
    loop {
        match load(&mut session, keys.as_ref(), &mut warned).await {
            Ok(all) => terms.store(Arc::new(all)),
            Err(error) => tracing::warn!(%error, "the endpoints cannot be read now; going on with the last ones"),
        }
        if hints.is_none() {
            hints = listen(listen_url.expose_secret(), &["posthaste_config"]).await.ok();
        }
        tokio::select! {
            () = changed(&mut hints) => {}
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.soft().cancelled() => return,
        }
    }
}

/// Returns when a change was announced, or may have been. Without a connection it waits for ever: polling goes on.
async fn changed(hints: &mut Option<Hints>) {
    match hints {
        Some(listening) => {
            if listening.next().await.is_err() {
                *hints = None;
            }
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(lane_id: i32, kind: &str, endpoint: Option<&str>) -> Arc<Lane> {
        let (kind, endpoint) = (kind.to_owned(), endpoint.map(str::to_owned));
        Arc::new(Lane { lane_id, queue: "default".to_owned(), kind, endpoint })
    }

    fn spec(name: &str, kinds: &str, timeout_ms: u64) -> (String, EndpointSpec) {
        let json = format!(r#"{{"url":"https://a.example","kinds":{kinds},"callback_timeout_ms":{timeout_ms}}}"#);
        (name.to_owned(), EndpointSpec::parse(&json).unwrap())
    }

    #[test]
    fn a_lane_has_the_terms_of_the_endpoint_that_takes_its_jobs() {
        let lanes =
            vec![lane(1, "pdf", None), lane(2, "mail", None), lane(3, "pdf", Some("slow")), lane(4, "x", Some("gone"))];
        let specs = [spec("pdf", r#"["pdf"]"#, 1000), spec("slow", "[]", 2000), spec("rest", r#"["*"]"#, 3000)];
        let all = AllTerms::new(lanes, &specs, HashSet::new());
        let ms = |lane_id| all.of(Scan { lane_id, priority: 1 }).times.callback.as_millis();
        assert_eq!([1, 2, 3].map(ms), [1000, 3000, 2000]);
        assert_eq!([4, 5].map(ms), [3_600_000; 2], "an endpoint that is gone, a lane that is new");
        let known = [4, 5].map(|lane_id| all.known(Scan { lane_id, priority: 1 }).is_some());
        assert_eq!(known, [true, false], "only the new one is read for");
    }

    #[test]
    fn a_lane_whose_endpoint_may_be_one_that_is_not_known_is_looked_up() {
        let lanes =
            || vec![lane(1, "pdf", None), lane(2, "mail", None), lane(3, "x", Some("new")), lane(4, "x", Some("pdf"))];
        let specs = [spec("pdf", r#"["pdf"]"#, 1000), spec("rest", r#"["*"]"#, 3000)];
        let asks = |unreadable: &[&str], lane_id| {
            let unreadable = unreadable.iter().map(|name| (*name).to_owned()).collect();
            AllTerms::new(lanes(), &specs, unreadable).of(Scan { lane_id, priority: 1 }).of_ends().has_cel
        };
        assert_eq!([1, 2, 3, 4, 5].map(|lane_id| asks(&[], lane_id)), [false, false, true, false, true]);
        assert_eq!([1, 2, 3, 4, 5].map(|lane_id| asks(&["new"], lane_id)), [false, true, true, false, true]);
    }
}

//! Kept: credentials that are there when a request needs them. Each source has one task that mints it, and mints it again
//! well before its end; it ends with the last endpoint that needs it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::Notify,
    task::{AbortHandle, JoinSet},
};
use tracing::{debug, warn};

use super::mint::{Credential, Minted, Minter, Source};

/// The longest that one minting may take.
const MINT_TIMEOUT: Duration = Duration::from_secs(10);
/// How early, at most, something that ends is minted again: Google's metadata server hands out the same token until some
/// minutes before its end.
const EARLY: Duration = Duration::from_mins(10);
/// The shortest life that is of use: a source that hands out less has failed, and is not asked every second.
const SHORTEST: Duration = Duration::from_secs(2);
/// The first and the longest wait after a minting that failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Whether credentials can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Valid,
    /// They are being minted for the first time.
    Pending,
    /// Not since this went wrong.
    Failed(String),
}

#[derive(Default)]
struct State {
    credential: Option<(Arc<Credential>, Option<Instant>)>,
    failure: Option<String>,
}

impl State {
    fn valid(&self, now: Instant) -> Option<&Arc<Credential>> {
        let (credential, until) = self.credential.as_ref()?;
        until.is_none_or(|until| now < until).then_some(credential)
    }

    fn standing(&self, now: Instant) -> Standing {
        match (&self.failure, self.valid(now)) {
            (_, Some(_)) => Standing::Valid,
            (Some(failure), None) => Standing::Failed(failure.clone()),
            (None, None) => Standing::Pending,
        }
    }
}

/// The credentials of one source.
pub struct Kept {
    state: Arc<ArcSwap<State>>,
    keeper: AbortHandle,
}

impl Kept {
    /// What is valid now.
    pub fn credential(&self) -> Option<Arc<Credential>> {
        self.state.load().valid(Instant::now()).map(Arc::clone)
    }

    /// How they are now.
    pub fn standing(&self) -> Standing {
        self.state.load().standing(Instant::now())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// All credentials of this process, one for each source.
pub struct Credentials {
    minter: Arc<Minter>,
    kept: Mutex<HashMap<Source, Weak<Kept>>>,
    changed: Arc<Notify>,
}

impl Credentials {
    /// None yet.
    pub fn new(minter: Minter) -> Self {
        Self { minter: Arc::new(minter), kept: Mutex::default(), changed: Arc::new(Notify::new()) }
    }

    /// What is kept of `source`, from now on at the latest.
    pub fn keep(&self, source: Source) -> Arc<Kept> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.get(&source).and_then(Weak::upgrade) {
            return kept;
        }
        all.retain(|_, kept| kept.strong_count() > 0);
        let state = Arc::new(ArcSwap::from_pointee(State::default()));
        let keeping = keep(source.clone(), Arc::clone(&self.minter), Arc::clone(&state), Arc::clone(&self.changed));
        let kept = Arc::new(Kept { state, keeper: tokio::spawn(keeping).abort_handle() });
        all.insert(source, Arc::downgrade(&kept));
        kept
    }

    /// Waits until an endpoint may have become usable, or unusable for another reason.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A request found that its credentials have ended.
    pub fn ended(&self) {
        self.changed.notify_one();
    }
}

async fn keep(source: Source, minter: Arc<Minter>, state: Arc<ArcSwap<State>>, changed: Arc<Notify>) {
    let mut failed = 0;
    loop {
        let result = mint(&minter, &source).await;
        let (before, now) = (state.load_full(), Instant::now());
        let (next, wait) = match result {
            Ok(Minted { credential, life }) => {
                failed = 0;
                debug!(source = source.word(), life_s = life.map(|life| life.as_secs()), "minted credentials");
                let credential = Some((Arc::new(credential), life.map(|life| now + usable(life))));
                (State { credential, failure: None }, life.map(refresh_after))
            }
            Err(failure) => {
                failed += 1;
                if before.failure.as_ref() != Some(&failure) {
                    warn!(source = source.word(), reason = failure, "credentials cannot be minted; trying again");
                }
                (State { credential: before.credential.clone(), failure: Some(failure) }, Some(retry_after(failed)))
            }
        };
        let news = before.standing(now) != next.standing(now);
        state.store(Arc::new(next));
        if news {
            changed.notify_one();
        }
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            // What never ends is never minted again.
            None => return,
        }
    }
}

/// Within its time, and in a task of its own: a library that panics must not leave an endpoint waiting for ever.
async fn mint(minter: &Arc<Minter>, source: &Source) -> Result<Minted, String> {
    let (minter, source) = (Arc::clone(minter), source.clone());
    let mut minting = JoinSet::new();
    minting.spawn(async move { minter.mint(&source).await });
    match tokio::time::timeout(MINT_TIMEOUT, minting.join_next()).await {
        Ok(Some(Ok(result))) => result.map_err(|error| error.to_string()).and_then(of_use),
        Ok(_) => Err("minting failed inside".to_owned()),
        Err(_) => Err(format!("no credentials within {} s", MINT_TIMEOUT.as_secs())),
    }
}

fn of_use(minted: Minted) -> Result<Minted, String> {
    match minted.life {
        Some(life) if life < SHORTEST => {
            Err(format!("what was handed out ends in {} s, the least is {} s", life.as_secs(), SHORTEST.as_secs()))
        }
        _ => Ok(minted),
    }
}

/// How long something with this much life is used: not to its last second, since it has to arrive.
fn usable(life: Duration) -> Duration {
    life.saturating_sub((life / 10).min(Duration::from_secs(10)))
}

/// When something with this much life is minted again: when a quarter of it is left, and no earlier than [`EARLY`].
fn refresh_after(life: Duration) -> Duration {
    life.saturating_sub((life / 4).min(EARLY)).max(RETRY.0)
}

fn retry_after(failed: u32) -> Duration {
    RETRY.0.saturating_mul(1 << (failed - 1).min(10)).min(RETRY.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_minted_again_well_before_and_not_used_to_the_last_second() {
        let seconds = Duration::from_secs;
        for (life, refresh, until) in [(3600, 3000, 3590), (900, 675, 890), (60, 45, 54), (8, 6, 7)] {
            assert_eq!(refresh_after(seconds(life)), seconds(refresh), "{life}");
            assert_eq!(usable(seconds(life)).as_secs(), until, "{life}");
        }
        assert_eq!(refresh_after(Duration::ZERO), seconds(1));
        assert_eq!(usable(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_ends_at_once_is_a_failure_and_not_minted_every_second() {
        let minted = |life| Minted { credential: Credential::Token(http::HeaderValue::from_static("Bearer x")), life };
        for life in [0, 1] {
            let said = of_use(minted(Some(Duration::from_secs(life)))).unwrap_err();
            assert_eq!(said, format!("what was handed out ends in {life} s, the least is 2 s"));
        }
        assert!(of_use(minted(Some(SHORTEST))).is_ok() && of_use(minted(None)).is_ok());
    }

    #[test]
    fn a_failed_minting_is_tried_again_later_and_later_up_to_a_minute() {
        let waits: Vec<u64> = [1, 2, 3, 6, 7, 100].into_iter().map(|failed| retry_after(failed).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 32, 60, 60]);
    }

    #[test]
    fn a_failed_refresh_takes_nothing_away_before_the_end() {
        let now = Instant::now();
        let credential = Arc::new(Credential::Token(http::HeaderValue::from_static("Bearer x")));
        let state = State {
            credential: Some((credential, Some(now + Duration::from_secs(5)))),
            failure: Some("gone".to_owned()),
        };
        assert_eq!(state.standing(now), Standing::Valid);
        assert_eq!(state.standing(now + Duration::from_secs(5)), Standing::Failed("gone".to_owned()));
        assert_eq!(State::default().standing(now), Standing::Pending);
    }
}

//! Keys are rotated and revoked while functions call back.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use posthaste_protocol::{
    key_ring::{KeyRing, KeyState},
    token::mint,
};
use posthaste_service::{config::KeySource, key_watch::KeyWatch, shutdown::Shutdown};
use posthaste_tests::{TestDb, WAIT_LIMIT, sql};
use tokio::{sync::mpsc, task::JoinSet};

use crate::rig::{Rig, Served, claims, entry};

const CALLERS: usize = 8;
/// Callbacks that a ring must see before the next one comes.
const MANY: usize = 100;

/// The ring of this file, read anew while the test runs, as every process of the product does.
fn watched(file: &Path) -> Arc<ArcSwap<KeyRing>> {
    let source = KeySource::new("POSTHASTE_TOKEN_KEYS", file.to_str().unwrap().to_owned().into());
    let watch = KeyWatch::open(source, KeyRing::parse).unwrap();
    let ring = watch.current();
    tokio::spawn(watch.run(Shutdown::new()));
    ring
}

/// A dispatcher that hands out tokens of its own ring, and functions that call back with them at once.
struct Load {
    rig: Rig,
    minting: Arc<ArcSwap<KeyRing>>,
    tokens: mpsc::Sender<String>,
    sent: usize,
    answered: Arc<AtomicUsize>,
    functions: JoinSet<()>,
}

impl Load {
    fn start(rig: Rig, minting: Arc<ArcSwap<KeyRing>>) -> Self {
        let (tokens, received) = mpsc::channel::<String>(CALLERS);
        let (received, answered) = (Arc::new(tokio::sync::Mutex::new(received)), Arc::new(AtomicUsize::new(0)));
        let mut functions = JoinSet::new();
        for _ in 0..CALLERS {
            let (received, answered, address) = (Arc::clone(&received), Arc::clone(&answered), rig.gateway.address);
            functions.spawn(async move {
                loop {
                    let Some(token) = received.lock().await.recv().await else { return };
                    let request = crate::rig::bearing(&token, "complete", &[], b"{}");
                    let answer = crate::client::exchange(address, &request).await;
                    assert_eq!((answer.status, answer.word()), (200, "applied"), "a valid callback: {answer:?}");
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { rig, minting, tokens, sent: 0, answered, functions }
    }

    /// The tokens of new runs, as the dispatcher's ring makes them now.
    async fn mint(&mut self, count: usize) -> VecDeque<String> {
        sql::run(&mut self.rig.connection, &format!("select posthaste.enqueue('k') from generate_series(1, {count})"))
            .await;
        let runs = self.rig.dispatcher.claim_any(i64::try_from(count).unwrap()).await;
        assert_eq!(runs.len(), count);
        runs.iter().map(|run| mint(&self.minting.load(), &claims(run)).expose().to_owned()).collect()
    }

    async fn send(&mut self, tokens: VecDeque<String>) {
        for token in tokens {
            self.sent += 1;
            // No receiver: a function has panicked, and says why.
            if self.tokens.send(token).await.is_err() {
                break;
            }
        }
    }

    /// New runs call back until both rings are so, and then [`MANY`] more.
    async fn flows_until(&mut self, what: &str, is_so: impl Fn(&KeyRing) -> bool) {
        let begun = Instant::now();
        let mut more = MANY;
        while more > 0 {
            let tokens = self.mint(CALLERS).await;
            self.send(tokens).await;
            while let Some(ended) = self.functions.try_join_next() {
                ended.unwrap();
            }
            if is_so(&self.minting.load()) && is_so(&self.rig.gateway.ring.load()) {
                more = more.saturating_sub(CALLERS);
            } else {
                assert!(begun.elapsed() < WAIT_LIMIT, "never: {what}");
            }
        }
    }

    /// Everything that was sent is answered.
    async fn settles(mut self) -> (Rig, usize) {
        drop(self.tokens);
        while let Some(ended) = self.functions.join_next().await {
            ended.unwrap();
        }
        (self.rig, self.answered.load(Ordering::SeqCst))
    }
}

/// The state of this key.
fn state(ring: &KeyRing, kid: u16) -> Option<KeyState> {
    ring.states().find(|(id, _)| *id == kid).map(|(_, state)| state)
}

#[tokio::test]
async fn keys_are_rotated_and_revoked_under_load_and_no_valid_callback_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let (old, new) = (entry(1), entry(2));
    fs::write(&file, &old).unwrap();
    let db = TestDb::new().await;
    // As in two processes: each looks at the file by itself.
    let gateway = Served::with_ring(&db.url_as("gateway"), &db.url_as("gateway"), watched(&file)).await;
    let mut load = Load::start(Rig::with(db, gateway).await, watched(&file));
    load.flows_until("the old key mints", |ring| state(ring, 1) == Some(KeyState::Mint)).await;

    fs::write(&file, format!("{old},{new}")).unwrap();
    load.flows_until("the new key is accepted", |ring| state(ring, 2) == Some(KeyState::Accept)).await;
    let mut late = load.mint(MANY).await;
    fs::write(&file, format!("{new},\n{old}")).unwrap();
    load.flows_until("the new key mints", |ring| state(ring, 2) == Some(KeyState::Mint)).await;
    let never_used = late.pop_front().unwrap();
    let alive = load.rig.gateway.call(&never_used, "heartbeat", "{}").await;
    assert_eq!((alive.status, alive.word()), (200, "applied"), "{alive:?}");
    load.send(late).await;
    load.flows_until("the last tokens of the old key are used", |_| true).await;
    // With each later token answered or on its way, the callers have none of the old key.
    let sent = load.sent;
    crate::rig::until("nobody is on the way", async || load.answered.load(Ordering::SeqCst) == sent).await;
    fs::write(&file, format!("{new},1:revoked")).unwrap();
    load.flows_until("the old key is revoked", |ring| state(ring, 1) == Some(KeyState::Revoked)).await;

    let refused = load.rig.gateway.call(&never_used, "complete", "{}").await;
    assert_eq!((refused.status, refused.word()), (401, "invalid_token"));
    let sent = load.sent;
    let (mut rig, answered) = load.settles().await;
    assert_eq!(answered, sent, "each was told that it was applied");
    let query = "select count(*) from posthaste.attempt where outcome = 'completed'";
    assert_eq!(sql::number(&mut rig.connection, query).await, i64::try_from(sent).unwrap());
}

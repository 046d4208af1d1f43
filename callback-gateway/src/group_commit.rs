//! Group commit: callbacks that arrive together share their statements and their commit.
//!
//! An idle lane takes what there is at once; under load it gives a batch a moment to grow. What arrives while both lanes are
//! busy goes together next. The answer is sent after the commit; a caller that has gone changes nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use posthaste_engine::{
    EngineError,
    session::{Role, Session},
};
use sqlx::Connection as _;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{
    background::Background,
    commit::{Answer, commit},
    metrics::Metrics,
    refusal::Refusal,
    terms::AllTerms,
    work::Work,
};

/// Batches at once: while one commits, the next one is being collected.
const LANES: usize = 2;
/// The most callbacks in one batch.
const MAX_BATCH: usize = 500;
/// What is left over takes no more of the next batch than this.
const MAX_LEFT_OVER: usize = MAX_BATCH / 2;
/// A batch of so many waits for no more.
const BATCH_GOOD: usize = 128;
/// With so many in the last batch, more are coming.
const COMPANY: usize = 8;
/// How long a batch then waits at most, and how often it looks, by the clock: waking for each costs more than writing it.
const LINGER: Duration = Duration::from_millis(6);
const LOOK: Duration = Duration::from_millis(1);
/// The most callbacks that wait for a lane.
const MAX_WAITING: usize = 4096;
/// The most KiB of callbacks that wait for a lane or are in one.
const MAX_WAITING_KIB: u32 = 64 * 1024;
/// The longest a callback waits for a lane.
pub const QUEUE_WAIT: Duration = Duration::from_secs(1);
/// The longest a batch may take, halves and all.
const BATCH_DEADLINE: Duration = Duration::from_secs(10);
/// A connection that was idle this long is tried before callbacks are trusted to it.
const IDLE_PING: Duration = Duration::from_secs(1);
/// How long it may take to answer: callbacks wait for it.
const PING_DEADLINE: Duration = Duration::from_secs(1);

/// The way in. Clones share the lanes, which end when the last clone is dropped.
#[derive(Clone)]
pub struct GroupCommit {
    sender: mpsc::Sender<Pending>,
    room: Arc<Semaphore>,
}

struct Pending {
    work: Work,
    answer: oneshot::Sender<Answer>,
    /// Set by whoever comes first: the lane that takes it, or its caller, who will not wait any longer.
    taken: Arc<AtomicBool>,
    _room: OwnedSemaphorePermit,
}

impl GroupCommit {
    /// Starts the lanes, each with its own connection, made at its first callback.
    pub fn start(
        database_url: &str,
        terms: &Arc<ArcSwap<AllTerms>>,
        metrics: &Arc<Metrics>,
        background: &Background,
    ) -> Result<Self, EngineError> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..LANES {
            let lane = Lane {
                session: Session::new(database_url, Role::Settle)?,
                used: Instant::now(),
                busy: false,
                terms: Arc::clone(terms),
                metrics: Arc::clone(metrics),
            };
            background.watch("lane", tokio::spawn(lane.run(Arc::clone(&receiver))));
        }
        Ok(Self { sender, room: Arc::new(Semaphore::new(MAX_WAITING_KIB as usize)) })
    }

    /// Commits one callback together with whatever else is waiting. Once a lane has it, dropping this future changes
    /// nothing.
    pub async fn commit(&self, work: Work) -> Answer {
        let room = Arc::clone(&self.room).try_acquire_many_owned(work.kib()).map_err(|_| Refusal::overloaded())?;
        let (answer, mut answered) = oneshot::channel();
        let taken = Arc::new(AtomicBool::new(false));
        let pending = Pending { work, answer, taken: Arc::clone(&taken), _room: room };
        self.sender.try_send(pending).map_err(|_| Refusal::overloaded())?;
        let answer = match timeout(QUEUE_WAIT, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if !taken.swap(true, Ordering::AcqRel) => return Err(Refusal::overloaded()),
            Err(_) => answered.await,
        };
        answer.unwrap_or_else(|_| Err(Refusal::database_unavailable()))
    }
}

/// One lane.
struct Lane {
    session: Session,
    used: Instant,
    /// The last batch had company.
    busy: bool,
    terms: Arc<ArcSwap<AllTerms>>,
    metrics: Arc<Metrics>,
}

impl Lane {
    /// Collect, commit, answer.
    async fn run(mut self, queue: Arc<Mutex<mpsc::Receiver<Pending>>>) {
        let mut batch: Vec<Pending> = Vec::with_capacity(MAX_BATCH);
        loop {
            let left_over = batch.len();
            // Only the lane that holds the receiver collects; it lets go before it commits. One with callbacks of its own
            // that are next in line waits for nobody.
            if left_over == 0 {
                let mut queue = queue.lock().await;
                if queue.recv_many(&mut batch, MAX_BATCH).await == 0 {
                    return;
                }
                self.gather(&mut batch, &mut queue).await;
                self.metrics.queued.set(f64::from(u32::try_from(queue.len()).unwrap_or(u32::MAX)));
            } else if let Ok(mut queue) = queue.try_lock()
                && !queue.is_empty()
            {
                queue.recv_many(&mut batch, MAX_BATCH - left_over.min(MAX_LEFT_OVER)).await;
            }
            // Those that are left over were taken before.
            let mut n = 0;
            batch.retain(|pending| {
                n += 1;
                n <= left_over || !pending.taken.swap(true, Ordering::AcqRel)
            });
            if !batch.is_empty() {
                self.commit(&mut batch).await;
            }
        }
    }

    /// Lets a batch grow for a moment when the last ones had company: fewer commits cost less than the wait.
    async fn gather(&mut self, batch: &mut Vec<Pending>, queue: &mut mpsc::Receiver<Pending>) {
        let began = Instant::now();
        while self.busy && batch.len() < BATCH_GOOD && began.elapsed() < LINGER {
            tokio::time::sleep(LOOK).await;
            if !queue.is_empty() {
                queue.recv_many(batch, MAX_BATCH - batch.len()).await;
            }
        }
        self.busy = batch.len() >= COMPANY;
    }

    /// Commits the batch and answers; what must wait for the next one stays in it.
    async fn commit(&mut self, batch: &mut Vec<Pending>) {
        let size = f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX));
        self.metrics.batch.observe(size);
        if self.used.elapsed() > IDLE_PING {
            // One that broke meanwhile is replaced by the next call.
            let _broken =
                self.session.call_within(PING_DEADLINE, async |connection| Ok(connection.ping().await?)).await;
        }
        let answers = self.answers(batch).await;
        self.used = Instant::now();
        for (pending, answer) in std::mem::take(batch).into_iter().zip(answers) {
            match answer {
                // The caller may have gone; what it said is committed all the same.
                Some(answer) => drop(pending.answer.send(answer)),
                None => batch.push(pending),
            }
        }
    }

    /// Commits on the lane's connection; without one, everybody is told to come again.
    async fn answers(&mut self, batch: &[Pending]) -> Vec<Option<Answer>> {
        let work: Vec<&Work> = batch.iter().map(|pending| &pending.work).collect();
        let terms = &self.terms;
        let mut answers = Vec::new();
        let called = self
            .session
            .call_within(BATCH_DEADLINE, async |connection| {
                let committed = commit(connection, &work, terms).await;
                answers = committed.answers;
                // Says so for the session's sake: it lets a broken connection go.
                if committed.broken { Err(EngineError::Unavailable("the connection broke".to_owned())) } else { Ok(()) }
            })
            .await;
        if let Err(error) = called
            && answers.is_empty()
        {
            tracing::warn!(%error, callbacks = batch.len(), "callbacks could not be committed");
            return batch.iter().map(|_| Some(Err(Refusal::database_unavailable()))).collect();
        }
        answers
    }
}

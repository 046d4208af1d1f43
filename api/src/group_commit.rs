//! Group commit: enqueues of single jobs that arrive together share one statement and one commit.
//!
//! Nobody waits for company: an idle lane takes what there is at once, and what arrives while both lanes are busy
//! goes together next. The answer is sent after the commit; a client that has gone changes nothing.

use std::{sync::Arc, time::Duration};

use posthaste_engine::{
    EngineError,
    session::{Role, Session},
};
use posthaste_service::telemetry::metrics::HistogramVec;
use sqlx::Connection as _;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};

use crate::{
    commit::{Answer, commit},
    error::ApiError,
};

/// Statements at once: while one commits, the next one is being collected.
const LANES: usize = 2;
/// The most jobs in one statement.
const MAX_JOBS: usize = 500;
/// The most jobs that wait for a lane.
const MAX_WAITING: usize = 8192;
/// The most KiB of jobs that wait for a lane or are in one.
const MAX_WAITING_KIB: u32 = 128 * 1024;
/// The longest a batch may take, halves and all.
const BATCH_DEADLINE: Duration = Duration::from_mins(1);
/// A connection that was idle this long is tried before jobs are trusted to it.
const IDLE_PING: Duration = Duration::from_secs(1);

/// The way in. Clones share the lanes, which end when the last clone is dropped.
#[derive(Clone)]
pub struct GroupCommit {
    sender: mpsc::Sender<Pending>,
    room: Arc<Semaphore>,
}

struct Pending {
    job: String,
    answer: oneshot::Sender<Answer>,
    _room: OwnedSemaphorePermit,
}

impl GroupCommit {
    /// Starts the lanes, each with its own connection, made at its first job.
    pub fn start(database_url: &str, batch_jobs: &HistogramVec) -> Result<Self, EngineError> {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..LANES {
            let session = Session::new(database_url, Role::General)?;
            tokio::spawn(run(session, Arc::clone(&receiver), batch_jobs.clone()));
        }
        Ok(Self { sender, room: Arc::new(Semaphore::new(MAX_WAITING_KIB as usize)) })
    }

    /// Commits one job (the text of [`crate::job_text::job_text`]) together with whatever else is waiting.
    pub async fn enqueue(&self, job: String) -> Answer {
        let overloaded = || ApiError::overloaded("too many jobs are waiting to be committed").problem();
        let kib = u32::try_from(job.len() / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| overloaded())?;
        let (answer, answered) = oneshot::channel();
        self.sender.try_send(Pending { job, answer, _room: room }).map_err(|_| overloaded())?;
        answered.await.unwrap_or_else(|_| Err(ApiError::internal().problem()))
    }
}

/// One lane: collect, commit, answer.
async fn run(mut session: Session, queue: Arc<Mutex<mpsc::Receiver<Pending>>>, batch_jobs: HistogramVec) {
    let mut batch = Vec::with_capacity(MAX_JOBS);
    let mut used = Instant::now();
    loop {
        // Only the lane that holds the receiver collects; it lets go before it commits.
        let received = queue.lock().await.recv_many(&mut batch, MAX_JOBS).await;
        if received == 0 {
            return;
        }
        batch_jobs.with_label_values(&["single"]).observe(f64::from(u32::try_from(received).unwrap_or(u32::MAX)));
        if used.elapsed() > IDLE_PING {
            // One that broke meanwhile is replaced by the next call.
            let _broken = session.call(async |connection| Ok(connection.ping().await?)).await;
        }
        let jobs: Vec<&str> = batch.iter().map(|pending| pending.job.as_str()).collect();
        let answers = commit_on(&mut session, &jobs).await;
        used = Instant::now();
        for (pending, answer) in batch.drain(..).zip(answers) {
            // The client may have gone; its job is committed all the same.
            let _gone = pending.answer.send(answer);
        }
    }
}

/// Commits on the lane's connection; without one, everybody is told to come again.
async fn commit_on(session: &mut Session, jobs: &[&str]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let called = session
        .call_within(BATCH_DEADLINE, async |connection| {
            let committed = commit(connection, jobs).await;
            answers = committed.answers;
            // Says so for the session's sake: it lets a broken connection go.
            if committed.broken { Err(EngineError::Unavailable("the connection broke".to_owned())) } else { Ok(()) }
        })
        .await;
    if called.is_err() && answers.is_empty() {
        return vec![Err(ApiError::database_unavailable().problem()); jobs.len()];
    }
    answers
}

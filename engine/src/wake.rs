//! Wake: what has come for suspended runs is written, and those for which it is enough go on in a new run.
//!
//! Whoever does so holds the rows of these runs in `waiting`, so that one after the other sees what came before. That the
//! function is woken once is up to the end of its run, as for every other end.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use posthaste_protocol::{action::Action, callback::Digest, job::State};
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use crate::{
    EngineError,
    callback::state_after,
    claim::Lease,
    finalize::{CallbackMark, EndedBy, RunEnd, finalize_any},
    held::{HeldRun, RunRef, read},
    lifecycle::suspended::{self, Fate, Suspended, Taken, Verdict, Wait},
};

/// A suspended run whose row in `waiting` the transaction holds.
#[derive(Debug)]
pub(crate) struct Locked {
    pub held: HeldRun,
    pub need: usize,
    /// How often the function of its job was woken before.
    pub resumes: u32,
}

/// A signal for a run.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub job_id: i64,
    /// The wait that it names; `None`: the next one.
    pub wait: Option<String>,
    /// JSON text.
    pub payload: Option<String>,
    pub digest: Digest,
    /// Its row in the inbox.
    pub inbox: Option<i64>,
}

/// What became of a signal that was taken; one that was not is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Applied(State),
    Duplicate,
    NoWait,
}

/// What an advance did.
#[derive(Debug, Default)]
pub(crate) struct Advanced {
    /// Of each signal, those from the inbox first; `None`: the run was over, or woken, before it came to this one.
    pub answers: Vec<(Came, Option<Answer>)>,
    /// Runs that were woken, or cancelled instead.
    pub woken: usize,
    /// Other runs that this ended.
    pub others: usize,
    /// Jobs of runs that go on waiting.
    pub waiting: Vec<i64>,
}

/// Locks those of these runs that are suspended and go on, in the order of their jobs.
pub(crate) async fn lock(tx: &mut PgConnection, jobs: &[i64]) -> Result<Vec<Locked>, EngineError> {
    let rows = sqlx::query(include_str!("sql/suspended.sql")).bind(jobs).fetch_all(tx).await?;
    rows.iter().filter_map(|row| read_suspended(row).transpose()).collect()
}

/// Reads the columns that `suspended.sql` and `timed_out.sql` share; `None` for a run that is not suspended.
pub(crate) fn read_suspended(row: &PgRow) -> Result<Option<Locked>, EngineError> {
    let Some(need) = row.try_get::<Option<i16>, _>("need")? else { return Ok(None) };
    let resumes: i32 = row.try_get("resumes")?;
    let need = usize::try_from(need).unwrap_or(1);
    Ok(Some(Locked { held: read_run(row)?, need, resumes: u32::try_from(resumes).unwrap_or(0) }))
}

/// As [`read_suspended`], whether it is suspended or not.
pub(crate) fn read_run(row: &PgRow) -> Result<HeldRun, EngineError> {
    let lease = Lease { lease_id: row.try_get("lease_id")?, nonce: row.try_get("nonce")? };
    read(row, RunRef { lease, job_id: row.try_get("job_id")?, run_lease: row.try_get("run_lease")? })
}

/// The most jobs that others wait for which one transaction looks at, unless one run alone waits for more: some 0.1 s.
pub(crate) const LOOK_MAX: usize = 20_000;

/// Looks at these jobs, in a transaction of its own: at what came early and, by the clock, at the time and other jobs.
pub(crate) async fn look_at(
    connection: &mut PgConnection,
    jobs: &[i64],
    clock: Clock,
) -> Result<Advanced, EngineError> {
    if jobs.is_empty() {
        return Ok(Advanced::default());
    }
    let mut tx = connection.begin().await?;
    let locked = lock(&mut tx, jobs).await?;
    let advanced = advance(&mut tx, &locked, Vec::new(), &[], clock).await?;
    tx.commit().await?;
    Ok(advanced)
}

/// Whether time and other jobs are looked at, which the sweeps do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// The signals alone.
    Stopped,
    /// As of this time; `None`: now, by the database's clock.
    At(Option<DateTime<Utc>>),
}

/// Gives these runs what is in the inbox, then the signals, then what time and other jobs brought; wakes those for which
/// that is enough, and ends `others`.
pub(crate) async fn advance(
    tx: &mut PgConnection,
    locked: &[Locked],
    signals: Vec<Came>,
    others: &[RunEnd],
    clock: Clock,
) -> Result<Advanced, EngineError> {
    let mut advanced = Advanced::default();
    let mut runs = load(tx, locked, clock).await?;
    let mut marks = Marks::default();
    let came = early(tx, locked).await?.into_iter().chain(signals);
    advanced.answers = came.map(|signal| give(&mut runs, signal, &mut marks)).collect();
    if let Clock::At(_) = clock {
        for (job, run) in &mut runs {
            for at in run.state.look() {
                marks.push(*job, &run.state.waits[at], None);
            }
        }
    }
    marks.write(tx, &runs).await?;
    let ended = wake(tx, locked, &runs, others, clock).await?;
    let stays = |run: &Advancing| run.state.verdict() == Verdict::Stay;
    advanced.woken = runs.keys().filter(|job| ended.contains_key(job)).count();
    advanced.others = ended.len() - advanced.woken;
    advanced.waiting = runs.iter().filter(|(_, run)| stays(run)).map(|(job, _)| *job).collect();
    stay(tx, &advanced.waiting, clock).await?;
    for (signal, answer) in &mut advanced.answers {
        if runs.get(&signal.job_id).is_some_and(|run| !stays(run)) && matches!(answer, Some(Answer::Applied(_))) {
            // `None` where another end came first.
            *answer = ended.get(&signal.job_id).map(|state| Answer::Applied(*state));
        }
    }
    let taken = |(signal, answer): &(Came, Option<Answer>)| {
        signal.inbox.filter(|_| matches!(answer, Some(Answer::Applied(_) | Answer::Duplicate)))
    };
    let taken: Vec<i64> = advanced.answers.iter().filter_map(taken).collect();
    if !taken.is_empty() {
        sqlx::query("delete from posthaste.inbox where inbox_id = any ($1)").bind(taken).execute(tx).await?;
    }
    Ok(advanced)
}

/// A suspended run while it advances.
struct Advancing {
    run_lease: i64,
    state: Suspended,
    /// The digest of the signal that woke it.
    woken_by: Option<Digest>,
}

/// Gives one signal to its run.
fn give(runs: &mut HashMap<i64, Advancing>, signal: Came, marks: &mut Marks) -> (Came, Option<Answer>) {
    let Some(run) = runs.get_mut(&signal.job_id) else { return (signal, None) };
    if run.state.verdict() != Verdict::Stay {
        return (signal, None);
    }
    let answer = match run.state.signal(signal.wait.as_deref(), signal.digest) {
        Taken::Met(at) => {
            marks.push(signal.job_id, &run.state.waits[at], signal.payload.clone());
            if run.state.verdict() != Verdict::Stay {
                run.woken_by = Some(signal.digest);
            }
            Answer::Applied(State::Waiting)
        }
        Taken::Duplicate => Answer::Duplicate,
        Taken::NoWait => Answer::NoWait,
    };
    (signal, Some(answer))
}

/// The waits of these runs, by job.
async fn load(tx: &mut PgConnection, locked: &[Locked], clock: Clock) -> Result<HashMap<i64, Advancing>, EngineError> {
    let mut runs: HashMap<i64, Advancing> = HashMap::with_capacity(locked.len());
    for Locked { held, need, .. } in locked {
        let run_lease = held.run.run_lease;
        runs.insert(held.run.job_id, Advancing { run_lease, state: Suspended::new(*need, Vec::new()), woken_by: None });
    }
    if runs.is_empty() {
        return Ok(runs);
    }
    let (looks, due) = match clock {
        Clock::Stopped => (false, None),
        Clock::At(due) => (true, due),
    };
    let rows = sqlx::query(include_str!("sql/waits.sql"))
        .bind(locked.iter().map(|run| run.held.run.job_id).collect::<Vec<_>>())
        .bind(locked.iter().map(|run| run.held.run.run_lease).collect::<Vec<_>>())
        .bind(looks)
        .bind(due)
        .fetch_all(tx)
        .await?;
    for row in &rows {
        if let Some(run) = runs.get_mut(&row.try_get::<i64, _>("job_id")?) {
            run.state.waits.push(read_wait(row)?);
        }
    }
    Ok(runs)
}

fn read_wait(row: &PgRow) -> Result<Wait, EngineError> {
    let kind: &str = row.try_get("awaits")?;
    let digest: Option<Vec<u8>> = row.try_get("digest")?;
    let fate = match (row.try_get("met")?, row.try_get("timed_out")?) {
        (true, _) => Fate::Met,
        (false, true) => Fate::TimedOut,
        (false, false) => Fate::Open,
    };
    Ok(Wait {
        n: row.try_get("n")?,
        name: row.try_get("name")?,
        kind: kind.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        fate,
        passed: row.try_get("passed")?,
        enough: row.try_get("enough")?,
        has_cel: row.try_get("has_cel")?,
        digest: digest.and_then(|digest| digest.try_into().ok()),
    })
}

/// What came early for these runs, or earlier runs of their jobs, oldest first.
async fn early(tx: &mut PgConnection, locked: &[Locked]) -> Result<Vec<Came>, EngineError> {
    if locked.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(include_str!("sql/early.sql"))
        .bind(locked.iter().map(|run| run.held.run.job_id).collect::<Vec<_>>())
        .bind(locked.iter().map(|run| run.held.run.run_lease).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
    let came = rows.iter().map(|row| {
        let digest: Vec<u8> = row.try_get("digest")?;
        Ok(Came {
            job_id: row.try_get("job_id")?,
            wait: row.try_get("wait")?,
            payload: row.try_get("payload")?,
            digest: digest.try_into().unwrap_or_default(),
            inbox: Some(row.try_get("inbox_id")?),
        })
    });
    came.collect()
}

/// Ends those of these runs that have enough, and keeps what woke them; ends the others too. Returns the state after of each
/// job whose run this ended.
async fn wake(
    tx: &mut PgConnection,
    locked: &[Locked],
    runs: &HashMap<i64, Advancing>,
    others: &[RunEnd],
    clock: Clock,
) -> Result<HashMap<i64, State>, EngineError> {
    // One statement, which takes all ends in one order.
    let mut ends = others.to_vec();
    for Locked { held, resumes, .. } in locked {
        let Some(run) = runs.get(&held.run.job_id).filter(|run| run.state.verdict() != Verdict::Stay) else { continue };
        let callback = run.woken_by.map(|digest| CallbackMark { action: Action::Resume, digest });
        ends.push(RunEnd { callback, ..held.end(suspended::wake(held.spent, *resumes), Some("responded")) });
    }
    if ends.is_empty() {
        return Ok(HashMap::new());
    }
    let by = match clock {
        Clock::Stopped => EndedBy::Callback,
        Clock::At(_) => EndedBy::Maintenance,
    };
    let ended = finalize_any(tx, &ends, by).await?;
    let ended: HashMap<i64, State> = ended.into_iter().map(|run| (run.job_id, state_after(&run.outcome))).collect();
    let mut woken: Vec<(i64, &Advancing)> = runs
        .iter()
        .filter(|(job, _)| ended.get(*job) == Some(&State::Available))
        .map(|(job, run)| (*job, run))
        .collect();
    woken.sort_unstable_by_key(|(job, _)| *job);
    go_on(tx, &woken).await?;
    Ok(ended)
}

/// Takes away what these runs waited for, and keeps what came for the next run of each job.
async fn go_on(tx: &mut PgConnection, woken: &[(i64, &Advancing)]) -> Result<(), EngineError> {
    if woken.is_empty() {
        return Ok(());
    }
    let by = |run: &Advancing| match run.state.verdict() {
        Verdict::Wake { by, timed_out } => (run.state.waits.get(by).map_or(0, |wait| wait.n), timed_out),
        Verdict::Stay => (0, false),
    };
    sqlx::query("select posthaste.go_on_v1($1, $2, $3, $4)")
        .bind(woken.iter().map(|(job, _)| *job).collect::<Vec<_>>())
        .bind(woken.iter().map(|(_, run)| run.run_lease).collect::<Vec<_>>())
        .bind(woken.iter().map(|(_, run)| by(run).0).collect::<Vec<_>>())
        .bind(woken.iter().map(|(_, run)| by(run).1).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

/// Says when these runs are looked at next.
async fn stay(tx: &mut PgConnection, jobs: &[i64], clock: Clock) -> Result<(), EngineError> {
    let due = match clock {
        Clock::Stopped => None,
        Clock::At(due) => due,
    };
    if !jobs.is_empty() {
        sqlx::query(include_str!("sql/next_look.sql")).bind(jobs).bind(due).execute(tx).await?;
    }
    Ok(())
}

/// Waits that changed, as the statement's parallel arrays.
#[derive(Default)]
struct Marks {
    job_ids: Vec<i64>,
    numbers: Vec<i16>,
    timed_out: Vec<bool>,
    digests: Vec<Option<Vec<u8>>>,
    payloads: Vec<Option<String>>,
}

impl Marks {
    fn push(&mut self, job: i64, wait: &Wait, payload: Option<String>) {
        self.job_ids.push(job);
        self.numbers.push(wait.n);
        self.timed_out.push(wait.fate == Fate::TimedOut);
        self.digests.push(wait.digest.map(|digest| digest.to_vec()));
        self.payloads.push(payload);
    }

    async fn write(self, tx: &mut PgConnection, runs: &HashMap<i64, Advancing>) -> Result<(), EngineError> {
        if self.job_ids.is_empty() {
            return Ok(());
        }
        let runs: Vec<i64> = self.job_ids.iter().map(|job| runs.get(job).map_or(0, |run| run.run_lease)).collect();
        sqlx::query("select posthaste.meet_v1($1, $2, $3, $4, $5, $6)")
            .bind(self.job_ids)
            .bind(runs)
            .bind(self.numbers)
            .bind(self.timed_out)
            .bind(self.digests)
            .bind(self.payloads)
            .execute(tx)
            .await?;
        Ok(())
    }
}

//! Told: what became of a claimed run, on its way from its attempt to the database.

use std::time::Instant;

use posthaste_engine::{
    finalize::{RunEnd, Settled},
    held::{HeldRun, RunRef},
    lifecycle::{Next, Recorded, RunError, Transition},
    park::{Park, Parked},
    suspend::{Suspend, Suspended},
};

use crate::permit::Permit;

/// One run that is not this dispatcher's any more when this is written.
pub struct Told {
    /// What became of it.
    pub word: Word,
    /// When it was told.
    pub at: Instant,
    /// When its POST began.
    pub began: Option<Instant>,
    /// Held until the word is durable, and given back by dropping this.
    pub permit: Permit,
}

/// What became of a run.
pub enum Word {
    /// It ended.
    End(RunEnd),
    /// It waits for a callback.
    Park(Park),
    /// Its function waits to be POSTed again.
    Suspend(Box<Suspend>),
}

/// The kinds of words; each is written by a statement of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// See [`Word::End`].
    End,
    /// See [`Word::Park`].
    Park,
    /// See [`Word::Suspend`].
    Suspend,
}

/// What became of a word that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Of an end.
    Settled(Settled),
    /// Of a park.
    Parked(Parked),
    /// Of a suspension.
    Suspended(Suspended),
}

impl Told {
    /// Which kind of word it is.
    pub fn kind(&self) -> Kind {
        match self.word {
            Word::End(_) => Kind::End,
            Word::Park(_) => Kind::Park,
            Word::Suspend(_) => Kind::Suspend,
        }
    }

    /// The end, if it is one.
    pub fn end(&self) -> Option<&RunEnd> {
        match &self.word {
            Word::End(end) => Some(end),
            _ => None,
        }
    }

    /// The park, if it is one.
    pub fn park(&self) -> Option<&Park> {
        match &self.word {
            Word::Park(park) => Some(park),
            _ => None,
        }
    }

    /// The suspension, if it is one.
    pub fn suspend(&self) -> Option<&Suspend> {
        match &self.word {
            Word::Suspend(suspend) => Some(suspend),
            _ => None,
        }
    }

    /// The run, and the lease that holds it.
    pub fn run(&self) -> RunRef {
        match &self.word {
            Word::End(end) => RunRef { lease: end.lease, job_id: end.job_id, run_lease: end.run_lease },
            Word::Park(park) => park.run.run,
            Word::Suspend(suspend) => suspend.run.run,
        }
    }

    /// Sets how long ago the POST began.
    pub fn age(&mut self, now: Instant) {
        let age = self.began.map(|began| now.saturating_duration_since(began).as_micros());
        let age_us = age.map(|us| i64::try_from(us).unwrap_or(i64::MAX));
        match &mut self.word {
            Word::End(end) => end.age_us = age_us,
            Word::Park(Park { run, .. }) => run.age_us = age_us,
            Word::Suspend(suspend) => suspend.run.age_us = age_us,
        }
    }

    /// Postgres will never store this, so it says that instead. `fail` ends a run as a failed attempt. A park has nothing in
    /// it that came from outside.
    pub fn make_storable(&mut self, fail: impl FnOnce(&HeldRun, RunError) -> RunEnd) {
        match &mut self.word {
            Word::End(end) => end.transition = unstorable(),
            Word::Park(_) => {}
            Word::Suspend(suspend) => {
                let error =
                    RunError::new("invalid_suspension", "Postgres refused to store what the function waits for");
                self.word = Word::End(fail(&suspend.run, error));
            }
        }
    }
}

/// The end of a job whose answer Postgres cannot store.
fn unstorable() -> Transition {
    Transition {
        recorded: Recorded::Dead,
        next: Next::Dead { reason: "result_unstorable".into() },
        result: None,
        error: Some(RunError::new("result_unstorable", "Postgres refused to store what the function answered")),
    }
}

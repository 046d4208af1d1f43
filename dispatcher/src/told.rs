//! Told: what became of a claimed run, on its way from its attempt to the database.

use std::time::Instant;

use posthaste_engine::{
    finalize::{RunEnd, Settled},
    lifecycle::{Next, Recorded, RunError, Transition},
    park::{Park, Parked},
};

use crate::permit::Permit;

/// One run that is not this dispatcher's any more when this is written.
pub struct Told {
    /// What became of it.
    pub word: Word,
    /// When its POST began.
    pub began: Option<Instant>,
    /// Held until the word is durable, and given back by dropping this.
    #[expect(dead_code, reason = "its drop is what it is for")]
    pub permit: Permit,
}

/// What became of a run.
pub enum Word {
    /// It ended.
    End(RunEnd),
    /// It waits for a callback.
    Park(Park),
}

/// What became of a word that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Of an end.
    Settled(Settled),
    /// Of a park.
    Parked(Parked),
}

impl Told {
    /// The end, if it is one.
    pub fn end(&self) -> Option<&RunEnd> {
        match &self.word {
            Word::End(end) => Some(end),
            Word::Park(_) => None,
        }
    }

    /// The park, if it is one.
    pub fn park(&self) -> Option<&Park> {
        match &self.word {
            Word::End(_) => None,
            Word::Park(park) => Some(park),
        }
    }

    /// The lease that holds the run.
    pub fn lease_id(&self) -> i64 {
        match &self.word {
            Word::End(end) => end.lease.lease_id,
            Word::Park(park) => park.run.run.lease.lease_id,
        }
    }

    /// The job and the run.
    pub fn run(&self) -> (i64, i64) {
        match &self.word {
            Word::End(end) => (end.job_id, end.run_lease),
            Word::Park(park) => (park.run.run.job_id, park.run.run.run_lease),
        }
    }

    /// Sets how long ago the POST began.
    pub fn age(&mut self, now: Instant) {
        let age = self.began.map(|began| now.saturating_duration_since(began).as_micros());
        let age_us = age.map(|us| i64::try_from(us).unwrap_or(i64::MAX));
        match &mut self.word {
            Word::End(end) => end.age_us = age_us,
            Word::Park(park) => park.run.age_us = age_us,
        }
    }

    /// Postgres will never store this: an end says so instead. A park has nothing in it that came from outside.
    pub fn make_storable(&mut self) {
        if let Word::End(end) = &mut self.word {
            end.transition = unstorable();
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

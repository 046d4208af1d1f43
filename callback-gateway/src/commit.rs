//! Committing a batch: each verb in turn, one statement and one commit for all who want it.

use std::ops::Range;

use arc_swap::ArcSwap;
use posthaste_engine::EngineError;
use posthaste_protocol::problem::FieldError;
use sqlx::PgConnection;

use crate::{
    refusal::Refusal,
    share::Shares,
    terms::AllTerms,
    verb::{Verb, Verbs},
    work::{Done, Work},
};

/// Why one is refused that would have to wait behind too many others.
const TOO_MANY_AT_ONCE: &str = "too many callbacks of this job wait already; try again";

/// What became of one callback.
pub type Answer = Result<Done, Refusal>;

/// What became of a batch.
pub struct Committed {
    /// An answer for each callback, in order; `None` for those that must wait for the next batch, since some verbs take one
    /// callback per job at a time.
    pub answers: Vec<Option<Answer>>,
    /// Whether the connection broke on the way and must not be used again.
    pub broken: bool,
}

/// Commits these callbacks. Only where one of them spoils its statement is its verb divided, until that one stands alone.
pub async fn commit(connection: &mut PgConnection, batch: &[&Work], terms: &ArcSwap<AllTerms>) -> Committed {
    let mut committed = Committed { answers: batch.iter().map(|_| None).collect(), broken: false };
    let mut verbs = Verbs::default();
    let Shares { now, with, too_many } = Shares::of(batch);
    for n in now {
        verbs.add(n, batch[n]);
    }
    committed.refuse(&too_many, || Refusal::rate_limited(TOO_MANY_AT_ONCE));
    for (places, verb) in verbs.in_turn() {
        committed.divided(connection, places, &verb, terms).await;
    }
    for (n, other) in with {
        let answer = committed.answers[other].clone();
        committed.answers[n] = answer;
    }
    committed
}

impl Committed {
    /// Runs a verb for all callbacks that want it, whose places in the batch these are, or for halves of them when one is at
    /// fault.
    async fn divided(
        &mut self,
        connection: &mut PgConnection,
        places: Vec<usize>,
        verb: &Verb,
        terms: &ArcSwap<AllTerms>,
    ) {
        let whole = Some(0..places.len()).filter(|whole| !whole.is_empty());
        let mut parts: Vec<Range<usize>> = whole.into_iter().collect();
        while let Some(part) = parts.pop() {
            if self.broken {
                self.refuse(&places[part], Refusal::database_unavailable);
                continue;
            }
            match verb.run(connection, part.clone(), terms).await {
                Ok(done) => {
                    for (place, done) in places[part].iter().zip(done) {
                        self.answers[*place] = Some(Ok(done));
                    }
                }
                Err(error) if error.is_divisible() && part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(error) => {
                    self.broken |= error.is_unavailable();
                    tracing::warn!(%error, callbacks = part.len(), "callbacks could not be committed");
                    self.refuse(&places[part], || refusal(&error));
                }
            }
        }
    }

    fn refuse(&mut self, places: &[usize], why: impl Fn() -> Refusal) {
        for place in places {
            self.answers[*place] = Some(Err(why()));
        }
    }
}

/// Why a callback, standing alone, was not committed. Never 500: whoever calls back must try again.
fn refusal(error: &EngineError) -> Refusal {
    match error {
        EngineError::Unavailable(_) => Refusal::database_unavailable(),
        EngineError::Refused { code, .. } if code.starts_with("22") || code.starts_with("54") => {
            let fault = FieldError::new("", "invalid_value", "the body holds a value that Postgres cannot store");
            Refusal::faults(vec![fault])
        }
        _ => Refusal::overloaded(),
    }
}

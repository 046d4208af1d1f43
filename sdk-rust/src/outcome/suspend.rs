//! Waits without running, and is POSTed again.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Wait;

/// The function waits for something, is not there in between, and is POSTed again when it has come, with its steps and
/// [`Run::resume`](crate::Run::resume). On the wire: 202 and `posthaste-outcome: suspend`.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspend {
    pub(crate) waits: Vec<Wait>,
    pub(crate) need: Option<usize>,
    pub(crate) steps: Map<String, Value>,
    pub(crate) seq: Option<u32>,
}

impl Suspend {
    /// Until this has come, or its time is over.
    pub fn until(wait: Wait) -> Self {
        Self { waits: vec![wait], need: None, steps: Map::new(), seq: None }
    }

    /// Until all of these have come: 1 to 32, each with a name of its own.
    pub fn until_all(waits: impl IntoIterator<Item = Wait>) -> Self {
        Self { waits: waits.into_iter().collect(), need: None, steps: Map::new(), seq: None }
    }

    /// Until `need` of these have come: 1 to all.
    pub fn until_some(need: usize, waits: impl IntoIterator<Item = Wait>) -> Self {
        Self { need: Some(need), ..Self::until_all(waits) }
    }

    /// Keeps a step under this name, of 1 to 200 bytes: the next runs find it with
    /// [`Run::step`](crate::Run::step). Steps are merged by name into those that are kept, at most 1 MiB in all.
    pub fn step(mut self, name: impl Into<String>, value: impl Serialize) -> Result<Self, serde_json::Error> {
        self.steps.insert(name.into(), serde_json::to_value(value)?);
        Ok(self)
    }

    /// The number that the kept steps must have, as in a checkpoint; where they have another, the suspension fails.
    #[must_use]
    pub fn seq(mut self, seq: u32) -> Self {
        self.seq = Some(seq);
        self
    }
}

/// A suspension as it is on the wire. Not of [`Suspend`] itself: what is a value of serde is a result.
#[derive(Serialize, Deserialize)]
pub(crate) struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<Wait>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waits: Vec<Wait>,
    #[serde(skip_serializing_if = "Option::is_none")]
    need: Option<usize>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    steps: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u32>,
}

impl From<Suspend> for Written {
    fn from(Suspend { mut waits, need, steps, seq }: Suspend) -> Self {
        let wait = if waits.len() == 1 && need.is_none() { waits.pop() } else { None };
        Self { wait, waits, need, steps, seq }
    }
}

impl From<Written> for Suspend {
    fn from(Written { wait, waits, need, steps, seq }: Written) -> Self {
        Self { waits: wait.into_iter().chain(waits).collect(), need, steps, seq }
    }
}

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.waits.iter().map(Wait::name).collect();
        write!(f, "suspended until {}", names.join(", "))
    }
}

impl std::error::Error for Suspend {}

//! What a suspended job of a test waits for.

use std::{collections::BTreeMap, time::Duration};

use posthaste_protocol::id::JobId;
use serde_json::{Map, Value, json};

use super::DEFAULT_WAIT;
use crate::outcome::{Suspend, WaitFor};

#[derive(Debug)]
pub(super) struct Waiting {
    waits: Vec<One>,
    need: usize,
    /// Whether it was written as one `wait`, whose payload is not in an object by name.
    alone: bool,
    /// The last wait that was met.
    last: Option<String>,
}

#[derive(Debug)]
struct One {
    name: String,
    event: WaitFor,
    /// When it is over; of a timer, met.
    until: Duration,
    met: Option<Value>,
}

impl Waiting {
    pub fn new(now: Duration, suspend: Suspend) -> Self {
        let alone = suspend.waits.len() == 1 && suspend.need.is_none();
        let waits: Vec<One> = suspend
            .waits
            .into_iter()
            .map(|wait| {
                // This clock knows no dates: a timer until one comes when the longest wait is over.
                let until = now + wait.given_timeout().unwrap_or(DEFAULT_WAIT);
                One { name: wait.name().to_owned(), event: wait.event().clone(), until, met: None }
            })
            .collect();
        let need = suspend.need.unwrap_or(waits.len());
        Self { waits, need, alone, last: None }
    }

    /// Meets the first open callback wait; false where there is none.
    pub fn resume(&mut self, payload: Value) -> bool {
        let open = |wait: &&mut One| wait.met.is_none() && matches!(wait.event, WaitFor::Callback { .. });
        let Some(wait) = self.waits.iter_mut().find(open) else { return false };
        wait.met = Some(payload);
        self.last = Some(wait.name.clone());
        true
    }

    /// When time changes something.
    pub fn next_at(&self) -> Option<Duration> {
        self.waits.iter().filter(|wait| wait.met.is_none()).map(|wait| wait.until).min()
    }

    /// The wait that wakes the job, what came, and whether its time is over; `None` while it waits.
    pub fn poll(&mut self, now: Duration, ended: &BTreeMap<JobId, Value>) -> Option<(String, Value, bool)> {
        for wait in self.waits.iter_mut().filter(|wait| wait.met.is_none()) {
            wait.met = wait.event.came(now >= wait.until, ended);
            if wait.met.is_some() {
                self.last = Some(wait.name.clone());
            }
        }
        let met = self.waits.iter().filter(|wait| wait.met.is_some()).count();
        if met >= self.need {
            return Some((self.last.clone().unwrap_or_default(), self.payload(), false));
        }
        let over = self.waits.iter().filter(|wait| wait.met.is_none() && now >= wait.until);
        let last = over.clone().next_back()?.name.clone();
        (self.waits.len() - over.count() < self.need).then(|| (last, self.payload(), true))
    }

    fn payload(&self) -> Value {
        match &*self.waits {
            [wait] if self.alone => wait.met.clone().unwrap_or_default(),
            waits => {
                let met = waits.iter().filter_map(|wait| Some((wait.name.clone(), wait.met.clone()?)));
                Value::Object(met.collect::<Map<_, _>>())
            }
        }
    }
}

impl WaitFor {
    /// What came for a wait by itself.
    fn came(&self, is_time: bool, ended: &BTreeMap<JobId, Value>) -> Option<Value> {
        match self {
            Self::Callback { .. } => None,
            Self::Timer { .. } => is_time.then_some(Value::Null),
            Self::Jobs { jobs, need } => {
                let known = jobs.iter().filter(|id| ended.contains_key(id)).count();
                (known >= need.unwrap_or(jobs.len())).then(|| {
                    let unknown = || json!({"state": null, "result": null});
                    let told = jobs.iter().map(|id| (id.to_string(), ended.get(id).cloned().unwrap_or_else(unknown)));
                    Value::Object(told.collect())
                })
            }
        }
    }
}

//! What a handler reports while a test runs it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use posthaste_protocol::callback_answer::{CallbackAnswer, CallbackOutcome};
use serde_json::{Map, Value};

use crate::callback::Progress;

/// One report of a handler.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Report {
    /// How far it is.
    Progress(Progress),
    /// It goes on, for so long or the same time-out again.
    Heartbeat(Option<Duration>),
    /// Steps to keep.
    Checkpoint(Map<String, Value>),
}

/// Takes the reports of one run, in place of the gateway.
#[derive(Debug, Clone)]
pub struct Recorder {
    reports: Arc<Mutex<Vec<Report>>>,
    cancel_requested: bool,
}

impl Recorder {
    pub(super) fn new(cancel_requested: bool) -> Self {
        Self { reports: Arc::default(), cancel_requested }
    }

    pub(super) fn reports(&self) -> Vec<Report> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn progress(&self, progress: Progress) -> CallbackAnswer {
        self.take(Report::Progress(progress))
    }

    pub(crate) fn heartbeat(&self, extend: Option<Duration>) -> CallbackAnswer {
        self.take(Report::Heartbeat(extend))
    }

    pub(crate) fn checkpoint(&self, steps: Map<String, Value>) -> CallbackAnswer {
        self.take(Report::Checkpoint(steps))
    }

    fn take(&self, report: Report) -> CallbackAnswer {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        CallbackAnswer::of(CallbackOutcome::Applied).with_cancel_requested(self.cancel_requested)
    }
}

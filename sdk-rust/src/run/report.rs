//! What a handler says of its run while it goes on.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use http::Extensions;
use serde::Serialize;

use super::Run;
use crate::callback::{CallError, Callback, CallbackAnswer, Progress};
#[cfg(feature = "testing")]
use crate::testing::Recorder;

/// What was said and heard so far.
#[derive(Default)]
pub(super) struct Reports {
    cancel_requested: AtomicBool,
    /// What the next checkpoint names.
    seq: AtomicU32,
    #[cfg(feature = "testing")]
    recorder: Option<Recorder>,
}

impl Reports {
    #[cfg_attr(not(feature = "testing"), expect(unused_variables, reason = "only tests say something there"))]
    pub fn of(extensions: &Extensions) -> Self {
        Self {
            #[cfg(feature = "testing")]
            recorder: extensions.get().cloned(),
            ..Self::default()
        }
    }
}

impl Run {
    /// The callbacks of this run, for a handler that answers [`Accepted`](crate::Accepted) and goes on by itself.
    pub fn callbacks(&self) -> Result<Callback, CallError> {
        Callback::new(self.callback().ok_or(CallError::Malformed("the server has no gateway to call back".into()))?)
    }

    /// Whether the job was asked to be cancelled, as far as the answers to the calls below have told. A handler that stops
    /// returns [`Cancel`](crate::Cancel).
    pub fn is_cancel_requested(&self) -> bool {
        self.0.reports.cancel_requested.load(Ordering::Relaxed)
    }

    /// Reports how far the work is; true where the job was asked to be cancelled.
    pub async fn progress(&self, progress: Progress) -> Result<bool, CallError> {
        #[cfg(feature = "testing")]
        if let Some(recorder) = &self.0.reports.recorder {
            return Ok(self.heard(&recorder.progress(progress)));
        }
        Ok(self.heard(&self.callbacks()?.progress(&progress).await?))
    }

    /// Says that the work goes on, and that it takes so long, or the same time-out again; true where the job was asked to be
    /// cancelled. For a run that was accepted: the deadline of an open request is [`deadline`](Run::deadline).
    pub async fn heartbeat(&self, extend: Option<Duration>) -> Result<bool, CallError> {
        #[cfg(feature = "testing")]
        if let Some(recorder) = &self.0.reports.recorder {
            return Ok(self.heard(&recorder.heartbeat(extend)));
        }
        Ok(self.heard(&self.callbacks()?.heartbeat(extend).await?))
    }

    /// Keeps a step under this name for the next runs, which find it with [`step`](Run::step); true where the job was asked
    /// to be cancelled.
    ///
    /// What earlier runs kept counts on: this run learns the number of the steps that are kept from the first answer.
    pub async fn checkpoint(&self, name: &str, value: &(impl Serialize + Sync)) -> Result<bool, CallError> {
        let steps = serde_json::Map::from_iter([(name.to_owned(), serde_json::to_value(value)?)]);
        #[cfg(feature = "testing")]
        if let Some(recorder) = &self.0.reports.recorder {
            return Ok(self.heard(&recorder.checkpoint(steps)));
        }
        let callbacks = self.callbacks()?;
        let seq = &self.0.reports.seq;
        let known = seq.load(Ordering::Acquire);
        let answer = match callbacks.checkpoint(known, &steps).await {
            // Until it is told, a run does not know the number. Steps are merged by name, so nothing is lost.
            Err(CallError::Problem(problem)) if problem.code == "conflict" && problem.seq.is_some() => {
                callbacks.checkpoint(problem.seq.unwrap_or_default(), &steps).await?
            }
            answer => answer?,
        };
        if let Some(next) = answer.seq {
            seq.fetch_max(next, Ordering::AcqRel);
        }
        Ok(self.heard(&answer))
    }

    fn heard(&self, answer: &CallbackAnswer) -> bool {
        if answer.cancel_requested == Some(true) {
            self.0.reports.cancel_requested.store(true, Ordering::Relaxed);
        }
        self.is_cancel_requested()
    }
}

//! What a job says of its own callbacks: `{"cel": {…}, "timeout_ms"}`.

use serde::Serialize;

use crate::cel::{self, CelSpec};
use crate::endpoint::MAX_MS;
use crate::field::Field;
use crate::object::{Faults, Shape};

const SHAPE: Shape = Shape { known: &["cel", "timeout_ms"], later: &[] };

/// What a job says of its own callbacks. `Serialize` gives the shape that is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct JobCallback {
    /// What a webhook to this job means, where no wait says it; before what the endpoint says. Whoever takes the job
    /// compiles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cel: Option<CelSpec>,
    /// How long its 202s wait for a callback, milliseconds, where they do not say it: 1 to 30 days. Default: the endpoint's
    /// `callback_timeout_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Reads it; it may be partial.
pub(crate) fn read(field: &Field, faults: &mut Faults) -> Option<JobCallback> {
    let mut callback = JobCallback::default();
    let is_object = field.object(SHAPE, faults, |name, part, faults| match name {
        "cel" => callback.cel = cel::read(&part, faults),
        _ => callback.timeout_ms = part.integer_in(1, MAX_MS, faults),
    });
    is_object.then_some(callback)
}

//! What a job says of its own callbacks: `{"cel": {…}}`.

use serde::Serialize;

use crate::cel::{self, CelSpec};
use crate::field::Field;
use crate::object::{Faults, Shape};

const SHAPE: Shape = Shape { known: &["cel"], later: &["timeout_ms"] };

/// What a job says of its own callbacks. `Serialize` gives the shape that is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct JobCallback {
    /// What a webhook to this job means, where no wait says it; before what the endpoint says. Whoever takes the job
    /// compiles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cel: Option<CelSpec>,
}

/// Reads it; it may be partial.
pub(crate) fn read(field: &Field, faults: &mut Faults) -> Option<JobCallback> {
    let mut callback = JobCallback::default();
    field.object(SHAPE, faults, |_, part, faults| callback.cel = cel::read(&part, faults)).then_some(callback)
}

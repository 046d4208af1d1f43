//! Steps: what a function has done so far, by name, kept for its next run exactly as it gave them.

use serde_json::value::RawValue;

use crate::field::Field;
use crate::object::Faults;

/// The most bytes of the steps in one body.
pub const MAX_STEPS_BYTES: usize = 1024 * 1024;
/// The most steps in one body.
pub const MAX_STEPS: usize = 1000;
/// The longest name of a step, in bytes.
pub const MAX_STEP_NAME_BYTES: usize = 200;

/// Reads an object of steps as it stands.
pub(crate) fn read(field: &Field, faults: &mut Faults) -> Option<Box<RawValue>> {
    let before = faults.count();
    let steps = field.verbatim_object_within(MAX_STEPS_BYTES, faults)?;
    let (mut count, mut names) = (0, std::collections::BTreeSet::new());
    field.entries(faults, |name, step, faults| {
        count += 1;
        if count > MAX_STEPS {
            return;
        }
        if !(1..=MAX_STEP_NAME_BYTES).contains(&name.len()) {
            step.fault("invalid_name", "must have a name of 1 to 200 bytes", faults);
        }
        if !names.insert(name.to_owned()) {
            step.fault("duplicate_field", "is given more than once", faults);
        }
    });
    if count > MAX_STEPS {
        field.fault("too_many", "must have at most 1000 steps", faults);
    }
    (faults.count() == before).then_some(steps)
}

/// Reads the number that is compared before steps are set: 0 to 2^31 − 1.
pub(crate) fn read_seq(field: &Field, faults: &mut Faults) -> Option<u32> {
    field.integer_in(0, (1 << 31) - 1, faults).and_then(|seq| seq.try_into().ok())
}

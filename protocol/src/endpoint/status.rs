//! What an endpoint's statuses mean, where it differs from the contract.

use std::collections::BTreeMap;

use crate::field::Field;
use crate::object::Faults;
use crate::word::words;

words! {
    /// What a status is taken for.
    pub enum StatusAction {
        /// Failed, try again.
        Retry = "retry",
        /// Give up.
        Fail = "fail",
        /// Done; the body is the result.
        Complete = "complete",
        /// Overloaded, ask again later.
        Throttle = "throttle",
        /// Cancel the job.
        Cancel = "cancel",
        /// The endpoint is wrong.
        Misconfigured = "misconfigured",
    }
}

/// Reads `{"404": "retry"}`; statuses are three digits, 100 to 599.
pub(super) fn read(field: &Field, faults: &mut Faults) -> BTreeMap<u16, StatusAction> {
    let mut actions = BTreeMap::new();
    if field.is_null() {
        return actions;
    }
    field.entries(faults, |name, value, faults| {
        let Some(status) = status(name) else {
            value.fault("out_of_range", "must be a status from 100 to 599", faults);
            return;
        };
        if value.is_null() {
            value.fault("wrong_type", "must be a string", faults);
        }
        let Some(action) = value.word(faults) else {
            return;
        };
        if actions.insert(status, action).is_some() {
            value.fault("duplicate_field", "is given more than once", faults);
        }
    });
    actions
}

fn status(name: &str) -> Option<u16> {
    let plain = name.len() == 3 && name.bytes().all(|b| b.is_ascii_digit());
    name.parse().ok().filter(|status| plain && (100..=599).contains(status))
}

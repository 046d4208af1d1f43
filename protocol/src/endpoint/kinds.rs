//! The kinds that an endpoint takes.

use crate::field::Field;
use crate::name::is_name;
use crate::object::Faults;

/// The most kinds of one endpoint.
const MAX_KINDS: usize = 100;

/// Reads names or `*`, none of them twice.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    field.items(MAX_KINDS, faults, |item, faults| {
        let Some(kind) = item.some_text(faults) else { return };
        if kind != "*" && !is_name(&kind) {
            let message = "must be * or a name: 1 to 100 letters, digits and _ - . : /, the first a letter or digit";
            item.fault("invalid_name", message, faults);
        } else if kinds.contains(&kind) {
            item.fault("duplicate", "is given more than once", faults);
        } else {
            kinds.push(kind);
        }
    });
    kinds
}

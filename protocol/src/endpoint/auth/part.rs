//! The fields of an `auth` object, which mean something only when its type is known.

use serde_json::value::RawValue;

use crate::endpoint::reference::{self, Reference};
use crate::field::Field;
use crate::object::{Faults, Path};

/// What was given, `null` left out.
pub(super) struct Parts<'p, 'a> {
    parent: &'p Path<'p>,
    given: Vec<(&'static str, &'a RawValue)>,
}

impl<'p, 'a> Parts<'p, 'a> {
    /// Of the object `field`, empty at first.
    pub(super) fn of(field: &'p Field<'p, 'a>) -> Self {
        Self { parent: &field.path, given: Vec::new() }
    }

    /// Adds a field that was read.
    pub(super) fn add(&mut self, name: &'static str, part: &Field<'_, 'a>) {
        if !part.is_null() {
            self.given.push((name, part.raw));
        }
    }

    /// Takes a field out, if it was given.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field<'p, 'a>> {
        let index = self.given.iter().position(|(given, _)| *given == name)?;
        let (name, raw) = self.given.swap_remove(index);
        Some(Field { path: Path::Field(self.parent, name), raw })
    }

    /// Takes a field out that must be there.
    pub(super) fn need(&mut self, name: &'static str, faults: &mut Faults) -> Option<Field<'p, 'a>> {
        let part = self.take(name);
        if part.is_none() {
            faults.push(&Path::Field(self.parent, name), "required", "is required for this type");
        }
        part
    }

    /// A text of 1 to `max` bytes of visible ASCII, if given.
    pub(super) fn text(&mut self, name: &'static str, max: usize, faults: &mut Faults) -> Option<String> {
        let part = self.take(name)?;
        visible(&part, max, faults)
    }

    /// The same, where it must be there.
    pub(super) fn needed_text(&mut self, name: &'static str, max: usize, faults: &mut Faults) -> Option<String> {
        let part = self.need(name, faults)?;
        visible(&part, max, faults)
    }

    /// A secret that must be there, by reference.
    pub(super) fn secret(&mut self, name: &'static str, faults: &mut Faults) -> Option<Reference> {
        let part = self.need(name, faults)?;
        reference::read_secret(&part, faults)
    }

    /// Names every field that nobody took.
    pub(super) fn refuse_rest(self, kind: &str, faults: &mut Faults) {
        for (name, _) in self.given {
            faults.push(&Path::Field(self.parent, name), "conflict", format!("is no field of the type {kind}"));
        }
    }
}

fn visible(part: &Field, max: usize, faults: &mut Faults) -> Option<String> {
    let text = part.text_within(max, faults)?;
    if text.is_empty() || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) || text.trim().len() != text.len() {
        part.fault("wrong_format", "must be visible ASCII without a space at either end", faults);
        return None;
    }
    Some(text)
}

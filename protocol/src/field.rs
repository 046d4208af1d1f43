//! One field of a JSON object: its place, its raw text, and the readers of every type that the contract knows.

use chrono::{DateTime, Datelike as _, Utc};
use serde_json::value::RawValue;

use crate::object::{Faults, Path, Shape, each_entry, each_item, read_entries};

/// One field's place and raw text. The readers below return `None` for `null`, which means absent, and for a wrong
/// type, after naming it.
#[derive(Clone, Copy)]
pub(crate) struct Field<'p, 'a> {
    pub(crate) path: Path<'p>,
    pub(crate) raw: &'a RawValue,
}

impl<'a> Field<'_, 'a> {
    pub(crate) fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    /// Whether the value begins with this byte, which tells its JSON type.
    pub(crate) fn begins(&self, byte: u8) -> bool {
        self.raw.get().as_bytes().first() == Some(&byte)
    }

    pub(crate) fn fault(&self, code: &str, message: impl Into<String>, faults: &mut Faults) {
        faults.push(&self.path, code, message);
    }

    fn wrong_type(&self, expected: &str, faults: &mut Faults) {
        if !self.is_null() {
            self.fault("wrong_type", format!("must be {expected}"), faults);
        }
    }

    /// A string without NUL.
    pub(crate) fn text(&self, faults: &mut Faults) -> Option<String> {
        if !self.begins(b'"') {
            self.wrong_type("a string", faults);
            return None;
        }
        if !self.passes_guard(faults) {
            return None;
        }
        let text = serde_json::from_str(self.raw.get()).ok();
        if text.is_none() {
            self.wrong_type("a string", faults);
        }
        text
    }

    /// A string that is not `null` either: an item of a list, a value of a map.
    pub(crate) fn some_text(&self, faults: &mut Faults) -> Option<String> {
        if self.is_null() {
            self.fault("wrong_type", "must be a string", faults);
        }
        self.text(faults)
    }

    /// A string off a closed list of words.
    pub(crate) fn word<T: std::str::FromStr<Err = crate::UnknownWord>>(&self, faults: &mut Faults) -> Option<T> {
        match self.text(faults)?.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.fault("unknown_word", error.to_string(), faults);
                None
            }
        }
    }

    /// An integer that fits `T`.
    pub(crate) fn integer<T: std::str::FromStr>(&self, faults: &mut Faults) -> Option<T> {
        let text = self.raw.get();
        if let Ok(number) = text.parse() {
            return Some(number);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            self.fault("out_of_range", "is out of range", faults);
        } else {
            self.wrong_type("an integer", faults);
        }
        None
    }

    /// An integer from `min` to `max`.
    pub(crate) fn integer_in(&self, min: u64, max: u64, faults: &mut Faults) -> Option<u64> {
        let in_range = |n: &u64| (min..=max).contains(n);
        let mut too_wide = Faults::default();
        match self.integer(&mut too_wide).filter(in_range) {
            Some(number) => Some(number),
            None if too_wide.has("wrong_type") => {
                self.wrong_type("an integer", faults);
                None
            }
            None if self.is_null() => None,
            None => {
                self.fault("out_of_range", format!("must be from {min} to {max}"), faults);
                None
            }
        }
    }

    /// A finite number.
    pub(crate) fn number(&self, faults: &mut Faults) -> Option<f64> {
        let number = serde_json::from_str::<f64>(self.raw.get()).ok().filter(|n| n.is_finite());
        if number.is_none() {
            self.wrong_type("a number", faults);
        }
        number
    }

    pub(crate) fn flag(&self, faults: &mut Faults) -> Option<bool> {
        let flag = self.raw.get().parse().ok();
        if flag.is_none() {
            self.wrong_type("true or false", faults);
        }
        flag
    }

    /// An RFC 3339 time with an offset, cut to the microseconds that Postgres keeps, whose year in UTC has four digits and
    /// is not 0000: only such a time is written as it is read.
    pub(crate) fn time(&self, faults: &mut Faults) -> Option<DateTime<Utc>> {
        let text = self.text(faults)?;
        let time = DateTime::parse_from_rfc3339(&text)
            .ok()
            .and_then(|time| DateTime::from_timestamp_micros(time.timestamp_micros()))
            .filter(|time| (1..=9999).contains(&time.year()));
        if time.is_none() {
            self.fault("wrong_format", "must be an RFC 3339 time such as 2026-11-21T08:00:00Z", faults);
        }
        time
    }

    /// Calls `each` with every item of an array of at most `limit`; returns whether it was an array of that size.
    pub(crate) fn items(
        &self,
        limit: usize,
        faults: &mut Faults,
        mut each: impl FnMut(Field<'_, 'a>, &mut Faults),
    ) -> bool {
        if !self.begins(b'[') {
            self.wrong_type("an array", faults);
            return false;
        }
        let read = each_item(self.raw.get(), limit, |index, raw| {
            each(Field { path: Path::Index(&self.path, index), raw }, faults);
        });
        if read.is_err() {
            self.fault("too_many", format!("must have at most {limit} items"), faults);
        }
        read.is_ok()
    }

    /// Reads a nested object of this shape; returns whether it was an object.
    pub(crate) fn object(
        &self,
        shape: Shape,
        faults: &mut Faults,
        set: impl FnMut(&'static str, Field<'_, 'a>, &mut Faults),
    ) -> bool {
        if !self.begins(b'{') {
            self.wrong_type("an object", faults);
            return false;
        }
        if read_entries(self.raw.get(), &self.path, shape, faults, set).is_err() {
            self.fault("lone_surrogate", "has a field name that is not Unicode text", faults);
        }
        true
    }

    /// Calls `each` with every name and value of an object whose names are the caller's own.
    pub(crate) fn entries(&self, faults: &mut Faults, mut each: impl FnMut(&str, Field<'_, 'a>, &mut Faults)) {
        if !self.begins(b'{') {
            self.wrong_type("an object", faults);
            return;
        }
        let read = each_entry(self.raw.get(), |name, raw| {
            each(name, Field { path: Path::Field(&self.path, name), raw }, faults);
        });
        if read.is_err() {
            self.fault("lone_surrogate", "has a field name that is not Unicode text", faults);
        }
    }

    /// The value as it stands, if it is within the bounds of [`crate::guard`].
    pub(crate) fn verbatim(&self, faults: &mut Faults) -> Option<Box<RawValue>> {
        self.passes_guard(faults).then(|| self.raw.to_owned())
    }

    /// An object as it stands, within the same bounds.
    pub(crate) fn verbatim_object(&self, faults: &mut Faults) -> Option<Box<RawValue>> {
        if !self.begins(b'{') {
            self.wrong_type("an object", faults);
            return None;
        }
        self.verbatim(faults)
    }

    /// The value as it stands, if it has at most `max_bytes` and is within the same bounds.
    pub(crate) fn verbatim_within(&self, max_bytes: usize, faults: &mut Faults) -> Option<Box<RawValue>> {
        if self.raw.get().len() > max_bytes {
            self.fault("too_large", format!("must have at most {max_bytes} bytes"), faults);
            return None;
        }
        self.verbatim(faults)
    }

    /// An object as it stands, within the same bounds.
    pub(crate) fn verbatim_object_within(&self, max_bytes: usize, faults: &mut Faults) -> Option<Box<RawValue>> {
        if !self.begins(b'{') {
            self.wrong_type("an object", faults);
            return None;
        }
        self.verbatim_within(max_bytes, faults)
    }

    /// A string of at most `max_bytes`.
    pub(crate) fn text_within(&self, max_bytes: usize, faults: &mut Faults) -> Option<String> {
        let text = self.text(faults)?;
        if text.len() > max_bytes {
            self.fault("too_long", format!("must have at most {max_bytes} bytes"), faults);
            return None;
        }
        Some(text)
    }

    fn passes_guard(&self, faults: &mut Faults) -> bool {
        match crate::guard::check(self.raw.get()) {
            Ok(()) => true,
            Err(fault) => {
                self.fault(fault.code(), fault.message(), faults);
                false
            }
        }
    }
}

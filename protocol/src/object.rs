//! Reading JSON objects field by field, so that one pass finds every fault and names where it is.
//!
//! serde's derive stops at the first fault. Here each field is taken as raw text and read on its own; nothing is
//! ever parsed into a tree, and nothing recurses.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::field::Field;
use crate::problem::FieldError;

/// The most faults reported for one document: enough to mend it, not enough to be used against us.
const MAX_FAULTS: usize = 100;
/// The most characters of a caller's own field name that a fault repeats.
const MAX_ECHO_CHARS: usize = 100;

/// Where a field is. Kept as a chain so that naming costs nothing until there is a fault.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => write!(f, "{name:.MAX_ECHO_CHARS$}"),
            Self::Field(parent, name) => write!(f, "{parent}.{name:.MAX_ECHO_CHARS$}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The faults found so far.
#[derive(Default)]
pub(crate) struct Faults(Vec<FieldError>);

impl Faults {
    pub(crate) fn push(&mut self, path: &Path, code: &str, message: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(FieldError::new(path.to_string(), code, message));
        }
    }

    /// How many were found; stops at the most that are reported.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them has this code.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.0.iter().any(|fault| fault.code == code)
    }

    /// `value` if nothing was found.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}

/// The fields of an object: those we read, and those of the contract that a later version brings.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) known: &'static [&'static str],
    pub(crate) later: &'static [&'static str],
}

/// Reads the whole document `json`, handing each known field to `set` once. `Err` is a text that is not JSON.
pub(crate) fn read_document<'a>(
    json: &'a str,
    shape: Shape,
    faults: &mut Faults,
    set: impl FnMut(&'static str, Field<'_, 'a>, &mut Faults),
) -> Result<(), Vec<FieldError>> {
    if json.trim_ascii_start().starts_with('{') {
        return read_entries(json, &Path::Root, shape, faults, set).map_err(|e| malformed(&e));
    }
    serde_json::from_str::<&RawValue>(json).map_err(|e| malformed(&e))?;
    faults.push(&Path::Root, "wrong_type", "must be a JSON object");
    Ok(())
}

/// The only error of a text that is not JSON.
pub(crate) fn malformed(error: &serde_json::Error) -> Vec<FieldError> {
    vec![FieldError::new("", FieldError::MALFORMED_JSON, format!("not valid JSON: {error}"))]
}

/// Reads the object `json` at `path`. `Err` is a text that is not JSON, or a field name that is not Unicode.
pub(crate) fn read_entries<'a>(
    json: &'a str,
    path: &Path,
    shape: Shape,
    faults: &mut Faults,
    mut set: impl FnMut(&'static str, Field<'_, 'a>, &mut Faults),
) -> serde_json::Result<()> {
    let mut seen = 0_u64;
    each_entry(json, |name, raw| {
        let here = Path::Field(path, name);
        let Some(index) = shape.known.iter().position(|known| *known == name) else {
            if shape.later.contains(&name) {
                faults.push(&here, "not_supported_yet", "is not supported yet");
            } else {
                let message = format!("is not a known field: there are {}", shape.known.join(", "));
                faults.push(&here, "unknown_field", message);
            }
            return;
        };
        if seen & (1 << index) != 0 {
            faults.push(&here, "duplicate_field", "is given more than once");
            return;
        }
        seen |= 1 << index;
        set(shape.known[index], Field { path: here, raw }, faults);
    })
}

/// Calls `each` with every name and raw value of the object `json`, in order.
pub(crate) fn each_entry<'a>(json: &'a str, each: impl FnMut(&str, &'a RawValue)) -> serde_json::Result<()> {
    struct Entries<F>(F);

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

    impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Entries<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(Name(name)) = map.next_key()? {
                (self.0)(&name, map.next_value()?);
            }
            Ok(())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Entries(each))?;
    deserializer.end()
}

/// Calls `each` with every raw item of the array `json`, in order, up to `limit` items; one more is an error.
pub(crate) fn each_item<'a>(
    json: &'a str,
    limit: usize,
    each: impl FnMut(usize, &'a RawValue),
) -> Result<(), ItemsError> {
    struct Items<'l, F>(F, usize, &'l mut bool);

    impl<'de, F: FnMut(usize, &'de RawValue)> Visitor<'de> for Items<'_, F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a JSON array")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
            let mut index = 0;
            while let Some(item) = items.next_element()? {
                if index == self.1 {
                    *self.2 = true;
                    return Err(de::Error::custom("too many items"));
                }
                (self.0)(index, item);
                index += 1;
            }
            Ok(())
        }
    }

    let mut too_many = false;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = deserializer.deserialize_seq(Items(each, limit, &mut too_many)).and_then(|()| deserializer.end());
    match read {
        Ok(()) => Ok(()),
        Err(_) if too_many => Err(ItemsError::TooMany),
        Err(error) => Err(ItemsError::Malformed(error)),
    }
}

/// Why an array could not be read.
pub(crate) enum ItemsError {
    TooMany,
    Malformed(serde_json::Error),
}

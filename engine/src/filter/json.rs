//! A value as the JSON text of a result.

use std::io::{self, Write};

use serde::ser::{Error, Serialize, Serializer};

use super::meter::Stop;
use super::time;
use super::value::Value;

/// The most bytes of a result.
pub(super) const MAX_RESULT_BYTES: usize = 1024 * 1024;
/// The deepest nesting of arrays and objects in a result.
const MAX_RESULT_DEPTH: usize = 64;

/// The JSON text of `value`. Times become strings; a double that is not finite has no JSON and fails.
pub(super) fn text(value: Value) -> Result<String, Stop> {
    let mut text = Bounded(Vec::new());
    match serde_json::to_writer(&mut text, &Nested { value, depth: 0 }) {
        Ok(()) => String::from_utf8(text.0).map_err(|_| Stop::failed("the result is not UTF-8")),
        Err(error) if error.is_io() => {
            Err(Stop::Exhausted(format!("the result has more than {MAX_RESULT_BYTES} bytes")))
        }
        Err(error) => Err(Stop::failed(error.to_string())),
    }
}

/// A value, and how many lists and maps it is in.
struct Nested<'a> {
    value: Value<'a>,
    depth: usize,
}

impl<'a> Nested<'a> {
    fn inner(&self, value: Value<'a>) -> Self {
        Self { value, depth: self.depth + 1 }
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => to.serialize_unit(),
            Value::Bool(flag) => to.serialize_bool(*flag),
            Value::Int(int) => to.serialize_i64(*int),
            Value::Uint(uint) => to.serialize_u64(*uint),
            Value::Double(double) if double.is_finite() => to.serialize_f64(*double),
            Value::Double(_) => Err(S::Error::custom("the result holds a number that JSON has not")),
            Value::String(text) => to.serialize_str(text.as_str()),
            Value::Timestamp(time) => to.serialize_str(&time::timestamp_text(*time)),
            Value::Duration(duration) => to.serialize_str(&time::duration_text(*duration)),
            Value::List(_) | Value::Map(_) if self.depth == MAX_RESULT_DEPTH => {
                Err(S::Error::custom(format!("the result is nested more than {MAX_RESULT_DEPTH} deep")))
            }
            Value::List(list) => to.collect_seq(list.iter().map(|item| self.inner(item))),
            Value::Map(map) => to.collect_map(map.iter().map(|(key, member)| (key, self.inner(member)))),
        }
    }
}

/// A buffer that refuses to grow past the bound.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RESULT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Equality and order of values, as CEL has them: numbers of all types are one line, other types never meet.

use std::cmp::Ordering;

use super::meter::{Meter, Stop};
use super::value::{List, Map, Value};

/// Whether the values are equal. Values of different types are not, numbers aside; a NaN equals nothing.
pub(super) fn equal(left: &Value, right: &Value, meter: &mut Meter) -> Result<bool, Stop> {
    meter.step(1)?;
    match (left, right) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::String(a), Value::String(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            meter.scan(a.len().min(b.len()))?;
            Ok(a == b)
        }
        (Value::List(a), Value::List(b)) => equal_lists(a, b, meter),
        (Value::Map(a), Value::Map(b)) => equal_maps(a, b, meter),
        (Value::Timestamp(a), Value::Timestamp(b)) => Ok(a == b),
        (Value::Duration(a), Value::Duration(b)) => Ok(a == b),
        _ => Ok(numbers(left, right) == Some(Ordering::Equal)),
    }
}

fn equal_lists(left: &List, right: &List, meter: &mut Meter) -> Result<bool, Stop> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (a, b) in left.iter().zip(right.iter()) {
        if !equal(&a, &b, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(left: &Map, right: &Map, meter: &mut Meter) -> Result<bool, Stop> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (key, a) in left.iter() {
        // Found by comparing it with some others.
        meter.step(2 + key.len() / 64)?;
        let Some(b) = right.get(key) else {
            return Ok(false);
        };
        if !equal(&a, &b, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How the values are ordered: numbers, strings by code point, `false` before `true`, timestamps, durations.
pub(super) fn order(left: &Value, right: &Value, meter: &mut Meter) -> Result<Ordering, Stop> {
    let order = match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            meter.scan(a.len().min(b.len()))?;
            // UTF-8 sorts as its code points do.
            Some(a.cmp(b))
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => numbers(left, right),
    };
    order.ok_or_else(|| Stop::failed(format!("cannot order {} and {}", left.kind(), right.kind())))
}

/// How two numbers of whatever type are ordered; `None` if one is no number, or a NaN.
fn numbers(left: &Value, right: &Value) -> Option<Ordering> {
    match (integer(left), integer(right)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => double(left)?.partial_cmp(&double(right)?),
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(int) => Some(i128::from(*int)),
        Value::Uint(uint) => Some(i128::from(*uint)),
        _ => None,
    }
}

/// The number as a double, as conversions and comparisons of mixed types see it.
#[expect(clippy::cast_precision_loss, reason = "what a double cannot hold is rounded, as everywhere in CEL")]
pub(super) fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Uint(uint) => Some(*uint as f64),
        Value::Double(double) => Some(*double),
        _ => None,
    }
}

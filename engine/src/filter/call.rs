//! The functions that expressions may call. There is none that tells the time: a verdict depends on its input alone.

use super::compare::double;
use super::meter::{Meter, Stop};
use super::node::Function;
use super::time;
use super::value::Value;

/// Every function: its name, whether it is called as `a.f(…)`, and how. `matches` is beside them, since its pattern is
/// compiled with the expression.
pub(super) const FUNCTIONS: [(&str, bool, usize, Function); 11] = [
    ("size", false, 1, Function::Size),
    ("size", true, 1, Function::Size),
    ("contains", true, 2, Function::Contains),
    ("startsWith", true, 2, Function::StartsWith),
    ("endsWith", true, 2, Function::EndsWith),
    ("int", false, 1, Function::Int),
    ("uint", false, 1, Function::Uint),
    ("double", false, 1, Function::Double),
    ("string", false, 1, Function::String),
    ("timestamp", false, 1, Function::Timestamp),
    ("duration", false, 1, Function::Duration),
];

/// Calls `function`; a receiver is the first argument.
pub(super) fn call<'a>(function: Function, arguments: &[Value<'a>], meter: &mut Meter) -> Result<Value<'a>, Stop> {
    match (function, arguments) {
        (Function::Size, [of]) => size(of, meter),
        (
            Function::Contains | Function::StartsWith | Function::EndsWith,
            [Value::String(text), Value::String(part)],
        ) => {
            let (text, part) = (text.as_str(), part.as_str());
            Ok(Value::Bool(match function {
                Function::Contains => {
                    // Found in linear time, but slower than it is read.
                    meter.scan(2 * (text.len() + part.len()))?;
                    text.contains(part)
                }
                Function::StartsWith => {
                    meter.scan(part.len())?;
                    text.starts_with(part)
                }
                _ => {
                    meter.scan(part.len())?;
                    text.ends_with(part)
                }
            }))
        }
        (Function::Int, [of]) => int(of, meter).map(Value::Int),
        (Function::Uint, [of]) => uint(of, meter).map(Value::Uint),
        (Function::Double, [of]) => to_double(of, meter).map(Value::Double),
        (Function::String, [of]) => string(of, meter),
        (Function::Timestamp, [Value::String(text)]) => {
            meter.scan(text.as_str().len())?;
            time::parse_timestamp(text.as_str()).map(Value::Timestamp)
        }
        (Function::Timestamp, [Value::Int(seconds)]) => time::timestamp_of_seconds(*seconds).map(Value::Timestamp),
        (Function::Timestamp, [time @ Value::Timestamp(_)]) => Ok(time.clone()),
        (Function::Duration, [Value::String(text)]) => {
            meter.scan(text.as_str().len())?;
            time::parse_duration(text.as_str()).map(Value::Duration)
        }
        (Function::Duration, [duration @ Value::Duration(_)]) => Ok(duration.clone()),
        _ => Err(wrong_types(function, arguments)),
    }
}

fn wrong_types(function: Function, arguments: &[Value]) -> Stop {
    let name = FUNCTIONS.iter().find(|(.., candidate)| *candidate == function).map_or("", |(name, ..)| name);
    let kinds: Vec<_> = arguments.iter().map(Value::kind).collect();
    Stop::failed(format!("{name} does not take {}", kinds.join(" and ")))
}

fn size<'a>(of: &Value<'a>, meter: &mut Meter) -> Result<Value<'a>, Stop> {
    let size = match of {
        Value::String(text) => {
            meter.scan(text.as_str().len())?;
            text.as_str().chars().count()
        }
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(wrong_types(Function::Size, std::slice::from_ref(other))),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn int(of: &Value, meter: &mut Meter) -> Result<i64, Stop> {
    let int = match of {
        Value::Int(int) => Some(*int),
        Value::Uint(uint) => i64::try_from(*uint).ok(),
        Value::Double(double) => whole(*double).and_then(|whole| i64::try_from(whole).ok()),
        Value::String(text) => parse(text.as_str(), meter)?,
        Value::Timestamp(time) => Some(time.timestamp()),
        other => return Err(wrong_types(Function::Int, std::slice::from_ref(other))),
    };
    int.ok_or_else(|| not_a("an int"))
}

fn uint(of: &Value, meter: &mut Meter) -> Result<u64, Stop> {
    let uint = match of {
        Value::Uint(uint) => Some(*uint),
        Value::Int(int) => u64::try_from(*int).ok(),
        Value::Double(double) => whole(*double).and_then(|whole| u64::try_from(whole).ok()),
        Value::String(text) => parse(text.as_str(), meter)?,
        other => return Err(wrong_types(Function::Uint, std::slice::from_ref(other))),
    };
    uint.ok_or_else(|| not_a("a uint"))
}

fn to_double(of: &Value, meter: &mut Meter) -> Result<f64, Stop> {
    match of {
        Value::String(text) => parse(text.as_str(), meter)?.ok_or_else(|| not_a("a double")),
        other => double(other).ok_or_else(|| wrong_types(Function::Double, std::slice::from_ref(other))),
    }
}

fn string<'a>(of: &Value<'a>, meter: &mut Meter) -> Result<Value<'a>, Stop> {
    // What is written is some bytes, for a double some hundred at most; the whole is paid for below.
    meter.step(2)?;
    let text = match of {
        Value::String(_) => return Ok(of.clone()),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Uint(uint) => uint.to_string(),
        Value::Double(double) => double.to_string(),
        Value::Timestamp(time) => time::timestamp_text(*time),
        Value::Duration(duration) => time::duration_text(*duration),
        other => return Err(wrong_types(Function::String, std::slice::from_ref(other))),
    };
    Value::made_text(&text, meter)
}

fn parse<T: std::str::FromStr>(text: &str, meter: &mut Meter) -> Result<Option<T>, Stop> {
    meter.scan(text.len())?;
    Ok(text.parse().ok())
}

/// A finite number without its fraction.
#[expect(clippy::cast_possible_truncation, reason = "every double beyond 2^64 was sorted out")]
fn whole(double: f64) -> Option<i128> {
    (double.abs() < 2_f64.powi(65)).then_some(double as i128)
}

fn not_a(what: &str) -> Stop {
    Stop::failed(format!("the value is not {what}, or does not fit one"))
}

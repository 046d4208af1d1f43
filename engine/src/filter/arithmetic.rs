//! Arithmetic: both sides of one type, checked; concatenation of strings and lists.

use super::compare::{equal, order};
use super::meter::{Meter, Stop};
use super::node::Operator;
use super::time;
use super::value::{List, Text, Value};

/// The size of a place in a list or of a member of a map, as the budget counts it.
pub(super) const PLACE_BYTES: usize = 32;
const _: () = assert!(size_of::<Value>() <= PLACE_BYTES);

/// `left operator right`.
pub(super) fn binary<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
    meter: &mut Meter,
) -> Result<Value<'a>, Stop> {
    match operator {
        Operator::Equal => equal(left, right, meter).map(Value::Bool),
        Operator::NotEqual => equal(left, right, meter).map(|is_equal| Value::Bool(!is_equal)),
        Operator::Less => order(left, right, meter).map(|order| Value::Bool(order.is_lt())),
        Operator::LessOrEqual => order(left, right, meter).map(|order| Value::Bool(order.is_le())),
        Operator::Greater => order(left, right, meter).map(|order| Value::Bool(order.is_gt())),
        Operator::GreaterOrEqual => order(left, right, meter).map(|order| Value::Bool(order.is_ge())),
        Operator::In => contains(right, left, meter).map(Value::Bool),
        _ => match (left, right) {
            (Value::Int(a), Value::Int(b)) => int(operator, *a, *b).map(Value::Int),
            (Value::Uint(a), Value::Uint(b)) => uint(operator, *a, *b).map(Value::Uint),
            (Value::Double(a), Value::Double(b)) => double(operator, *a, *b).map(Value::Double),
            (Value::String(a), Value::String(b)) if operator == Operator::Add => {
                let length = a.as_str().len() + b.as_str().len();
                meter.make(length)?;
                let mut text = String::with_capacity(length);
                text.push_str(a.as_str());
                text.push_str(b.as_str());
                Ok(Value::String(Text::Made(text.into())))
            }
            (Value::List(a), Value::List(b)) if operator == Operator::Add => concatenate(a, b, meter),
            _ => match time::arithmetic(operator, left, right) {
                Some(result) => result,
                None => Err(mismatch(operator, left, right)),
            },
        },
    }
}

/// `-value`
pub(super) fn negate<'a>(value: &Value<'a>) -> Result<Value<'a>, Stop> {
    match value {
        Value::Int(int) => int.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(double) => Ok(Value::Double(-double)),
        other => Err(Stop::failed(format!("cannot negate {}", other.kind()))),
    }
}

fn int(operator: Operator, a: i64, b: i64) -> Result<i64, Stop> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(Stop::failed("division by zero")),
        Operator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    result.ok_or_else(overflow)
}

fn uint(operator: Operator, a: u64, b: u64) -> Result<u64, Stop> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(Stop::failed("division by zero")),
        Operator::Divide => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    result.ok_or_else(overflow)
}

fn double(operator: Operator, a: f64, b: f64) -> Result<f64, Stop> {
    match operator {
        Operator::Add => Ok(a + b),
        Operator::Subtract => Ok(a - b),
        Operator::Multiply => Ok(a * b),
        Operator::Divide => Ok(a / b),
        _ => Err(Stop::failed("doubles have no remainder: use int(…)")),
    }
}

fn overflow() -> Stop {
    Stop::failed("the number does not fit 64 bits")
}

fn mismatch(operator: Operator, left: &Value, right: &Value) -> Stop {
    let what = match operator {
        Operator::Add => "add",
        Operator::Subtract => "subtract",
        Operator::Multiply => "multiply",
        _ => "divide",
    };
    let number = |value: &Value| matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_));
    let fix = if number(left) && number(right) { ": convert one of them, as in double(…)" } else { "" };
    Stop::failed(format!("cannot {what} {} and {}{fix}", left.kind(), right.kind()))
}

fn concatenate<'a>(a: &List<'a>, b: &List<'a>, meter: &mut Meter) -> Result<Value<'a>, Stop> {
    let length = a.len() + b.len();
    meter.step(length)?;
    meter.make(length * PLACE_BYTES)?;
    Ok(Value::list(a.iter().chain(b.iter()).collect()))
}

/// `item in whole`: an item of a list, a key of a map.
fn contains(whole: &Value, item: &Value, meter: &mut Meter) -> Result<bool, Stop> {
    match (whole, item) {
        (Value::List(list), _) => {
            for candidate in list.iter() {
                if equal(&candidate, item, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::Map(map), Value::String(key)) => {
            meter.scan(key.as_str().len())?;
            Ok(map.get(key.as_str()).is_some())
        }
        (Value::Map(_), Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_)) => Ok(false),
        (Value::Map(_), _) => Err(Stop::failed(format!("{} is never a key of a map", item.kind()))),
        _ => Err(Stop::failed(format!("`in` needs a list or a map on its right, not {}", whole.kind()))),
    }
}

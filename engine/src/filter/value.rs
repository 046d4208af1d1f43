//! Values of expressions: they point into the input or the expression, and what is made is shared, so that a clone
//! copies a pointer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value as Json;

use super::meter::{Meter, Stop};

/// A value; `'a` is what outlives the evaluation: the filter and the input.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    List(List<'a>),
    Map(Map<'a>),
    Timestamp(DateTime<Utc>),
    Duration(TimeDelta),
}

/// A string.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Made(Arc<str>),
}

/// A list.
#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Json(&'a [Json]),
    Made(Arc<[Value<'a>]>),
}

/// A map; its keys are strings, in their order.
#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Made(Arc<BTreeMap<Cow<'a, str>, Value<'a>>>),
}

impl<'a> Value<'a> {
    /// The JSON value where it lies. Integers are `int` wherever they fit, so that `payload.n + 1` works.
    pub(super) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(uint)) => Self::Uint(uint),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(members) => Self::Map(Map::Json(members)),
        }
    }

    /// A string where it lies.
    pub(super) fn text(text: &'a str) -> Self {
        Self::String(Text::Borrowed(text))
    }

    /// A new string, paid for.
    pub(super) fn made_text(text: &str, meter: &mut Meter) -> Result<Self, Stop> {
        meter.make(text.len())?;
        Ok(Self::String(Text::Made(text.into())))
    }

    /// A new list, whose places were paid for.
    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Made(items.into()))
    }

    /// A new map, whose places were paid for.
    pub(super) fn map(members: BTreeMap<Cow<'a, str>, Self>) -> Self {
        Self::Map(Map::Made(Arc::new(members)))
    }

    /// The same value, pointing into this one where that is a string: threads that share a filter do not contend for
    /// the counts of its literals.
    pub(super) fn borrowed(&'a self) -> Self {
        match self {
            Self::String(text) => Self::text(text.as_str()),
            other => other.clone(),
        }
    }

    /// Its type, as people call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Uint(_) => "a uint",
            Self::Double(_) => "a double",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Timestamp(_) => "a timestamp",
            Self::Duration(_) => "a duration",
        }
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> Text<'a> {
    /// The string as a key of a new map.
    pub(super) fn into_key(self) -> Cow<'a, str> {
        match self {
            Self::Borrowed(text) => Cow::Borrowed(text),
            Self::Made(text) => Cow::Owned(text.as_ref().to_owned()),
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::of_json),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(members) => members.len(),
            Self::Made(members) => members.len(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(members) => members.get(key).map(Value::of_json),
            Self::Made(members) => members.get(key).cloned(),
        }
    }

    /// Its members, in the order of their keys.
    pub(super) fn iter(&self) -> Box<dyn Iterator<Item = (&str, Value<'a>)> + '_> {
        match self {
            Self::Json(members) => Box::new(members.iter().map(|(key, json)| (key.as_str(), Value::of_json(json)))),
            Self::Made(members) => Box::new(members.iter().map(|(key, value)| (key.as_ref(), value.clone()))),
        }
    }

    /// Its keys, in their order.
    pub(super) fn keys(&self) -> Vec<Text<'a>> {
        match self {
            Self::Json(members) => members.keys().map(|key| Text::Borrowed(key.as_str())).collect(),
            Self::Made(members) => members
                .keys()
                .map(|key| match key {
                    Cow::Borrowed(key) => Text::Borrowed(key),
                    Cow::Owned(key) => Text::Made(key.as_str().into()),
                })
                .collect(),
        }
    }
}

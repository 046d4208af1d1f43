//! Walks compiled expressions. It recurses as deep as the expression is nested, which compiling bounds, and pays for
//! every node.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::arithmetic::{self, PLACE_BYTES};
use super::call;
use super::input::{Input, Roots};
use super::meter::{Meter, Stop};
use super::node::{Function, Loop, Node, Turn};
use super::value::{List, Value};

/// What the expressions of one filter are evaluated with: one input, one budget.
pub(super) struct Evaluator<'a> {
    roots: Roots<'a>,
    variables: Vec<Value<'a>>,
    pub(super) meter: Meter,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { roots: Roots::new(input), variables: Vec::new(), meter: Meter::new() }
    }

    /// The value of `node`.
    pub(super) fn value(&mut self, node: &'a Node) -> Result<Value<'a>, Stop> {
        self.meter.step(1)?;
        match node {
            Node::Literal(value) => Ok(value.borrowed()),
            Node::Root(root) => self.roots.get(*root),
            Node::Variable(index) => {
                self.variables.get(*index).cloned().ok_or_else(|| Stop::failed("a variable without a value"))
            }
            Node::Field(of, name) => field(&self.value(of)?, name),
            Node::Has(of, name) => has(&self.value(of)?, name),
            Node::Index(parts) => self.index(parts),
            Node::Not(of) => self.condition(of).map(|flag| Value::Bool(!flag)),
            Node::Negate(of) => arithmetic::negate(&self.value(of)?),
            Node::And(nodes) => self.junction(nodes, false),
            Node::Or(nodes) => self.junction(nodes, true),
            Node::If(parts) => self.choice(parts),
            Node::Binary(operator, parts) => {
                let (left, right) = (self.value(&parts[0])?, self.value(&parts[1])?);
                arithmetic::binary(*operator, &left, &right, &mut self.meter)
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Matches(of, pattern) => match self.value(of)? {
                Value::String(text) => pattern.matches(text.as_str(), &mut self.meter).map(Value::Bool),
                other => Err(Stop::failed(format!("matches does not take {}", other.kind()))),
            },
            Node::List(nodes) => self.list(nodes),
            Node::Map(members) => self.map(members),
            Node::Loop(over) => self.run(over),
        }
    }

    /// The value of `node`, which must be true or false.
    pub(super) fn condition(&mut self, node: &'a Node) -> Result<bool, Stop> {
        match self.value(node)? {
            Value::Bool(flag) => Ok(flag),
            other => Err(Stop::failed(format!("must be true or false, not {}", other.kind()))),
        }
    }

    fn index(&mut self, parts: &'a [Node; 2]) -> Result<Value<'a>, Stop> {
        let (of, at) = (self.value(&parts[0])?, self.value(&parts[1])?);
        match (&of, &at) {
            (Value::Map(map), Value::String(key)) => {
                self.meter.scan(key.as_str().len())?;
                map.get(key.as_str()).ok_or_else(|| Stop::failed("there is no such key: ask `key in map` first"))
            }
            (Value::List(list), Value::Int(_) | Value::Uint(_) | Value::Double(_)) => position(&at)
                .and_then(|index| list.get(index))
                .ok_or_else(|| Stop::failed(format!("the list has {} items and none at this index", list.len()))),
            _ => Err(Stop::failed(format!("cannot index {} with {}", of.kind(), at.kind()))),
        }
    }

    fn choice(&mut self, parts: &'a [Node; 3]) -> Result<Value<'a>, Stop> {
        let chosen = if self.condition(&parts[0])? { &parts[1] } else { &parts[2] };
        self.value(chosen)
    }

    /// `&&` and `||`: one operand that is `decisive` decides, whatever failed beside it.
    fn junction(&mut self, nodes: &'a [Node], decisive: bool) -> Result<Value<'a>, Stop> {
        let mut failed = None;
        for node in nodes {
            match self.condition(node) {
                Ok(flag) if flag == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(Stop::Failed(message)) => failed = failed.or(Some(message)),
                Err(exhausted) => return Err(exhausted),
            }
        }
        failed.map_or(Ok(Value::Bool(!decisive)), |message| Err(Stop::Failed(message)))
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Result<Value<'a>, Stop> {
        match arguments {
            [of] => {
                let of = self.value(of)?;
                call::call(function, &[of], &mut self.meter)
            }
            [of, with] => {
                let (of, with) = (self.value(of)?, self.value(with)?);
                call::call(function, &[of, with], &mut self.meter)
            }
            _ => Err(Stop::failed("a call with too many arguments")),
        }
    }

    fn list(&mut self, nodes: &'a [Node]) -> Result<Value<'a>, Stop> {
        self.meter.make(nodes.len() * PLACE_BYTES)?;
        nodes.iter().map(|node| self.value(node)).collect::<Result<_, _>>().map(Value::list)
    }

    fn map(&mut self, members: &'a [[Node; 2]]) -> Result<Value<'a>, Stop> {
        let mut map: BTreeMap<Cow<'a, str>, Value<'a>> = BTreeMap::new();
        for [key, value] in members {
            let Value::String(key) = self.value(key)? else {
                return Err(Stop::failed("the keys of a map must be strings"));
            };
            self.meter.make(key.as_str().len() + 2 * PLACE_BYTES)?;
            let value = self.value(value)?;
            if map.insert(key.into_key(), value).is_some() {
                return Err(Stop::failed("a map has the same key twice"));
            }
        }
        Ok(Value::map(map))
    }

    fn run(&mut self, over: &'a Loop) -> Result<Value<'a>, Stop> {
        let items = match self.value(&over.over)? {
            Value::List(list) => list,
            Value::Map(map) => {
                self.meter.step(map.len())?;
                self.meter.make(map.len() * PLACE_BYTES)?;
                List::Made(map.keys().into_iter().map(Value::String).collect())
            }
            other => return Err(Stop::failed(format!("cannot go through {}: only lists and maps", other.kind()))),
        };
        match &over.turn {
            Turn::All(body) => self.quantify(&items, body, false),
            Turn::Exists(body) => self.quantify(&items, body, true),
            Turn::ExistsOne(body) => {
                let mut count = 0_usize;
                for item in items.iter() {
                    count += usize::from(self.with(item, |this| this.condition(body))?);
                }
                Ok(Value::Bool(count == 1))
            }
            Turn::Collect { only, give } => self.collect(&items, only.as_ref(), give),
        }
    }

    /// `all` and `exists`: as [`Self::junction`], over items.
    fn quantify(&mut self, items: &List<'a>, body: &'a Node, decisive: bool) -> Result<Value<'a>, Stop> {
        let mut failed = None;
        for item in items.iter() {
            match self.with(item, |this| this.condition(body)) {
                Ok(flag) if flag == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(Stop::Failed(message)) => failed = failed.or(Some(message)),
                Err(exhausted) => return Err(exhausted),
            }
        }
        failed.map_or(Ok(Value::Bool(!decisive)), |message| Err(Stop::Failed(message)))
    }

    fn collect(&mut self, items: &List<'a>, only: Option<&'a Node>, give: &'a Node) -> Result<Value<'a>, Stop> {
        let mut made = Vec::new();
        for item in items.iter() {
            let given = self.with(item, |this| match only {
                Some(only) if !this.condition(only)? => Ok(None),
                _ => this.value(give).map(Some),
            })?;
            if let Some(given) = given {
                self.meter.make(PLACE_BYTES)?;
                made.push(given);
            }
        }
        Ok(Value::list(made))
    }

    /// `evaluate` with `item` as the innermost variable, which is gone afterwards, also where it fails.
    fn with<T>(&mut self, item: Value<'a>, evaluate: impl FnOnce(&mut Self) -> T) -> T {
        self.variables.push(item);
        let result = evaluate(self);
        self.variables.pop();
        result
    }
}

fn field<'a>(of: &Value<'a>, name: &str) -> Result<Value<'a>, Stop> {
    match of {
        Value::Map(map) => {
            map.get(name).ok_or_else(|| Stop::failed(format!("there is no field `{name:.100}`: ask has(…) first")))
        }
        other => Err(Stop::failed(format!("{} has no field `{name:.100}`", other.kind()))),
    }
}

fn has<'a>(of: &Value<'a>, name: &str) -> Result<Value<'a>, Stop> {
    match of {
        Value::Map(map) => Ok(Value::Bool(map.get(name).is_some())),
        other => Err(Stop::failed(format!("{} has no field `{name:.100}`", other.kind()))),
    }
}

/// The index that a number is: whole and not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within 0 and 2^32")]
fn position(value: &Value) -> Option<usize> {
    match value {
        Value::Int(int) => usize::try_from(*int).ok(),
        Value::Uint(uint) => usize::try_from(*uint).ok(),
        Value::Double(double) if double.fract() == 0.0 && (0.0..4_294_967_296.0).contains(double) => {
            Some(*double as usize)
        }
        _ => None,
    }
}

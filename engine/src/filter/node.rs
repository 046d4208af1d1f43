//! Compiled expressions: what the parser read, with every name resolved and everything else refused.

use super::pattern::Pattern;
use super::value::Value;

/// An expression.
#[derive(Debug)]
pub(super) enum Node {
    /// A constant; a string, a number, `true`, `null`, or a timestamp or duration from a literal.
    Literal(Value<'static>),
    /// A part of the input.
    Root(Root),
    /// The variable of a macro around it; the outermost macro's is 0.
    Variable(usize),
    /// `a.name`
    Field(Box<Node>, String),
    /// `has(a.name)`
    Has(Box<Node>, String),
    /// `a[b]`
    Index(Box<[Node; 2]>),
    /// `!a`
    Not(Box<Node>),
    /// `-a`
    Negate(Box<Node>),
    /// `a && b && …`
    And(Vec<Node>),
    /// `a || b || …`
    Or(Vec<Node>),
    /// `a ? b : c`
    If(Box<[Node; 3]>),
    /// `a + b` and its like.
    Binary(Operator, Box<[Node; 2]>),
    /// `f(a)` or `a.f(b)`: the receiver is the first argument.
    Call(Function, Vec<Node>),
    /// `a.matches("b")`
    Matches(Box<Node>, Pattern),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{a: b}`
    Map(Vec<[Node; 2]>),
    /// A macro over a list, or over the keys of a map.
    Loop(Box<Loop>),
}

/// A part of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Payload,
    Headers,
    Job,
    Attempt,
}

impl Root {
    /// Its name in expressions.
    pub(super) const ALL: [(&str, Self); 4] =
        [("payload", Self::Payload), ("headers", Self::Headers), ("job", Self::Job), ("attempt", Self::Attempt)];
}

/// An operator on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// A function on values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Int,
    Uint,
    Double,
    String,
    Timestamp,
    Duration,
}

/// A macro: `over` is gone through, each item being the variable of `body`.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) over: Node,
    pub(super) turn: Turn,
}

/// What a macro does with each item.
#[derive(Debug)]
pub(super) enum Turn {
    /// Whether this is true of all.
    All(Node),
    /// Whether this is true of some.
    Exists(Node),
    /// Whether this is true of exactly one.
    ExistsOne(Node),
    /// A list of what this gives, for all items or for those of which `only` is true.
    Collect { only: Option<Node>, give: Node },
}

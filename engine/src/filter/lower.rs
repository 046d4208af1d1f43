//! From what the parser read to nodes. Whatever an expression may not hold is refused here, by name and place.

mod macros;
mod names;

use std::panic::catch_unwind;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, MapExpr, SelectExpr, operators};
use cel::parser::PrattParser;

use super::node::{Node, Operator};
use super::source::{MAX_NESTING, MAX_TOKENS, Source};
use super::value::{Text, Value};

/// The deepest nesting of nodes; a chain such as `a + b + c` is nested, a chain of `&&` or `||` is not.
const MAX_DEPTH: usize = 64;

/// What is said where the parser says nothing.
const UNREADABLE: &str = "cannot be read: write it in another way";

/// What an expression may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What was sent, and the run to which it came.
    Run,
    /// What was sent.
    Correlation,
}

/// Compiles an expression. `Err` is the first thing that is wrong with it, and where.
pub(super) fn compile(source: &Source, scope: Scope) -> Result<Node, String> {
    Lower { source, scope, variables: Vec::new(), depth: 0, patterns: 0 }.node(&parse(source)?)
}

fn parse(source: &Source) -> Result<IdedExpr, String> {
    let parse = || {
        PrattParser::new()
            .max_recursion_depth(u16::try_from(MAX_NESTING).unwrap_or(u16::MAX) + 1)
            .max_expression_node_count(10 * MAX_TOKENS)
            .enable_variadic_operator_asts(true)
            .parse(source.text)
    };
    // No text is known to make the parser panic; one that does must be no more than a refused expression.
    let parsed = catch_unwind(parse).map_err(|_| UNREADABLE.to_owned())?;
    parsed.map_err(|errors| {
        let Some(error) = errors.errors.first() else {
            return UNREADABLE.to_owned();
        };
        let message = match error.msg.trim_start_matches("Syntax error: ") {
            "unable to unescape string" => "the string has an unknown escape: write \\\\ for \\, or r'…' for a pattern",
            message => message,
        };
        match (usize::try_from(error.pos.0), usize::try_from(error.pos.1)) {
            (Ok(line @ 1..), Ok(column @ 1..)) => source.fault(source.offset(line, column), message),
            _ => message.to_owned(),
        }
    })
}

struct Lower<'s> {
    source: &'s Source<'s>,
    scope: Scope,
    /// The variables of the macros around this place, outermost first.
    variables: Vec<String>,
    depth: usize,
    patterns: usize,
}

impl Lower<'_> {
    fn node(&mut self, expr: &IdedExpr) -> Result<Node, String> {
        if self.depth == MAX_DEPTH {
            return Err(format!("must not be nested, or chained by operators, more than {MAX_DEPTH} deep"));
        }
        self.depth += 1;
        let node = match &expr.expr {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.nodes(&list.elements).map(Node::List),
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(made) => {
                let root = made.type_name.split('.').next().unwrap_or_default();
                Err(self.source.fault_of(root, "there are no types to make: write a map, {\"name\": value}"))
            }
            Expr::Unspecified => Err(UNREADABLE.to_owned()),
        };
        self.depth -= 1;
        node
    }

    fn boxed(&mut self, expr: &IdedExpr) -> Result<Box<Node>, String> {
        self.node(expr).map(Box::new)
    }

    fn nodes(&mut self, exprs: &[IdedExpr]) -> Result<Vec<Node>, String> {
        exprs.iter().map(|expr| self.node(expr)).collect()
    }

    fn literal(&self, literal: &LiteralValue) -> Result<Node, String> {
        Ok(Node::Literal(match literal {
            LiteralValue::Null => Value::Null,
            LiteralValue::Boolean(flag) => Value::Bool(*flag.inner()),
            LiteralValue::Int(int) => Value::Int(*int.inner()),
            LiteralValue::UInt(uint) => Value::Uint(*uint.inner()),
            LiteralValue::Double(double) => Value::Double(*double.inner()),
            // What Postgres cannot store must not become part of a result.
            LiteralValue::String(text) if text.inner().contains('\0') => {
                return Err(self.source.fault(0, "must not contain the character \\u0000"));
            }
            LiteralValue::String(text) => Value::String(Text::Made(text.inner().into())),
            LiteralValue::Bytes(_) => return Err(self.source.fault(0, "bytes are not supported: write a string")),
        }))
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Node, String> {
        let of = self.boxed(&select.operand)?;
        self.check_field(&of, &select.field)?;
        let name = select.field.clone();
        Ok(if select.test { Node::Has(of, name) } else { Node::Field(of, name) })
    }

    fn map(&mut self, map: &MapExpr) -> Result<Node, String> {
        let mut members = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(member) = &entry.expr else {
                return Err("a map needs entries such as \"name\": value".to_owned());
            };
            members.push([self.node(&member.key)?, self.node(&member.value)?]);
        }
        Ok(Node::Map(members))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Node, String> {
        match (call.target.as_deref(), call.func_name.as_str(), call.args.as_slice()) {
            (None, operators::LOGICAL_AND, operands) => self.nodes(operands).map(Node::And),
            (None, operators::LOGICAL_OR, operands) => self.nodes(operands).map(Node::Or),
            (None, operators::LOGICAL_NOT, [of]) => self.boxed(of).map(Node::Not),
            (None, operators::NEGATE, [of]) => self.boxed(of).map(Node::Negate),
            (None, operators::INDEX, [of, at]) => {
                let parts = [self.node(of)?, self.node(at)?];
                self.check_index(&parts)?;
                Ok(Node::Index(Box::new(parts)))
            }
            (None, operators::CONDITIONAL, [condition, then, otherwise]) => {
                let parts = [self.node(condition)?, self.node(then)?, self.node(otherwise)?];
                Ok(Node::If(Box::new(parts)))
            }
            (None, name, [left, right]) if let Some(operator) = operator(name) => {
                let parts = [self.node(left)?, self.node(right)?];
                Ok(Node::Binary(operator, Box::new(parts)))
            }
            (target, name, arguments) => self.function(target, name, arguments),
        }
    }
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        operators::EQUALS => Operator::Equal,
        operators::NOT_EQUALS => Operator::NotEqual,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessOrEqual,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterOrEqual,
        operators::IN => Operator::In,
        _ => return None,
    })
}

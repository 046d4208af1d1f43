//! Macros: the parser expands each to a loop with an accumulator; the form of its step says which macro it was.
//!
//! A loop of ours needs no accumulator, which as the parser writes it would be copied on every turn.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, operators};

use super::Lower;
use crate::filter::node::{Loop, Node, Turn};

/// The form of a step. `@result`, the accumulator, cannot be written by users, and neither can a comprehension.
enum Step<'e> {
    /// `@result && condition`
    All(&'e IdedExpr),
    /// `@result || condition`
    Exists(&'e IdedExpr),
    /// `condition ? @result + 1 : @result`
    ExistsOne(&'e IdedExpr),
    /// `@result + [give]`, or `only ? @result + [give] : @result`
    Collect { only: Option<&'e IdedExpr>, give: &'e IdedExpr },
}

impl Lower<'_> {
    pub(super) fn comprehension(&mut self, from: &ComprehensionExpr) -> Result<Node, String> {
        let over = self.node(&from.iter_range)?;
        let Some(step) = step(&from.loop_step) else {
            return Err("this macro is not supported".to_owned());
        };
        self.variables.push(from.iter_var.clone());
        let turn = self.turn(&step);
        self.variables.pop();
        Ok(Node::Loop(Box::new(Loop { over, turn: turn? })))
    }

    fn turn(&mut self, step: &Step) -> Result<Turn, String> {
        Ok(match step {
            Step::All(condition) => Turn::All(self.node(condition)?),
            Step::Exists(condition) => Turn::Exists(self.node(condition)?),
            Step::ExistsOne(condition) => Turn::ExistsOne(self.node(condition)?),
            Step::Collect { only, give } => {
                let only = only.map(|only| self.node(only)).transpose()?;
                Turn::Collect { only, give: self.node(give)? }
            }
        })
    }
}

fn step(step: &IdedExpr) -> Option<Step<'_>> {
    let call = call(step)?;
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::LOGICAL_AND, [_, condition]) => Some(Step::All(condition)),
        (operators::LOGICAL_OR, [_, condition]) => Some(Step::Exists(condition)),
        (operators::CONDITIONAL, [only, then, _]) => match added(then)? {
            Expr::List(list) => Some(Step::Collect { only: Some(only), give: list.elements.first()? }),
            _ => Some(Step::ExistsOne(only)),
        },
        _ => match added(step)? {
            Expr::List(list) => Some(Step::Collect { only: None, give: list.elements.first()? }),
            _ => None,
        },
    }
}

/// What is added in `@result + something`.
fn added(expr: &IdedExpr) -> Option<&Expr> {
    match (call(expr)?.func_name.as_str(), call(expr)?.args.as_slice()) {
        (operators::ADD, [_, added]) => Some(&added.expr),
        _ => None,
    }
}

fn call(expr: &IdedExpr) -> Option<&CallExpr> {
    match &expr.expr {
        Expr::Call(call) if call.target.is_none() => Some(call),
        _ => None,
    }
}

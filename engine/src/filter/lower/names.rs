//! Variables, fields and functions: which there are, and what to write instead of one that there is not.

use cel::IdedExpr;

use super::{Lower, Scope};
use crate::filter::call::FUNCTIONS;
use crate::filter::input::{ATTEMPT_FIELDS, JOB_FIELDS};
use crate::filter::node::{Function, Node, Root};
use crate::filter::pattern::{MAX_PATTERNS, Pattern};
use crate::filter::value::Value;
use crate::filter::{meter::Stop, time};

/// The macros, which the parser has expanded where they were called as they must be.
const MACROS: [(&str, &str); 7] = [
    ("has", "has(payload.name)"),
    ("all", "list.all(item, condition)"),
    ("exists", "list.exists(item, condition)"),
    ("exists_one", "list.exists_one(item, condition)"),
    ("existsOne", "list.exists_one(item, condition)"),
    ("map", "list.map(item, value) or list.map(item, condition, value)"),
    ("filter", "list.filter(item, condition)"),
];

impl Lower<'_> {
    /// A variable of a macro, the innermost first, or a part of the input; with a dot before it, a part of the input.
    pub(super) fn name(&self, name: &str) -> Result<Node, String> {
        if let Some(index) = self.variables.iter().rposition(|variable| variable == name) {
            return Ok(Node::Variable(index));
        }
        let name = name.trim_start_matches('.');
        let root = Root::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, root)| root);
        let (message, root) = match (self.scope, root) {
            (Scope::Correlation, None | Some(Root::Job | Root::Attempt)) => {
                (format!("there is no `{name:.100}` here: there are payload and headers"), None)
            }
            (_, root) => (format!("there is no `{name:.100}`: there are payload, headers, job and attempt"), root),
        };
        root.map(Node::Root).ok_or_else(|| self.source.fault_of(name, &message))
    }

    /// Refuses a field that `job` or `attempt` never has.
    pub(super) fn check_field(&self, of: &Node, name: &str) -> Result<(), String> {
        let (root, known) = match of {
            Node::Root(Root::Job) => ("job", &JOB_FIELDS[..]),
            Node::Root(Root::Attempt) => ("attempt", &ATTEMPT_FIELDS[..]),
            _ => return Ok(()),
        };
        if known.contains(&name) {
            return Ok(());
        }
        let message = format!("{root} has no field `{name:.100}`: it has {}", known.join(", "));
        Err(self.source.fault_of(root, &message))
    }

    /// Refuses the name of a header that no request can have here.
    pub(super) fn check_index(&self, parts: &[Node; 2]) -> Result<(), String> {
        match parts {
            [Node::Root(Root::Headers), Node::Literal(Value::String(name))]
                if name.as_str().bytes().any(|byte| byte.is_ascii_uppercase()) =>
            {
                Err(self.source.fault_of("headers", "the names of headers are in lower case here"))
            }
            _ => Ok(()),
        }
    }

    /// `name(arguments)` or `target.name(arguments)`.
    pub(super) fn function(
        &mut self,
        target: Option<&IdedExpr>,
        name: &str,
        arguments: &[IdedExpr],
    ) -> Result<Node, String> {
        let count = arguments.len() + usize::from(target.is_some());
        let found = FUNCTIONS
            .iter()
            .find(|(known, member, takes, _)| *known == name && *member == target.is_some() && *takes == count);
        if found.is_none() && name != "matches" {
            return Err(self.source.fault_of(name, &no_such_function(name)));
        }
        let nodes = target.into_iter().chain(arguments).map(|expr| self.node(expr)).collect::<Result<Vec<_>, _>>()?;
        match found {
            Some((.., function)) => self.constant(*function, nodes),
            None => self.matches(nodes),
        }
    }

    fn matches(&mut self, nodes: Vec<Node>) -> Result<Node, String> {
        let source = self.source;
        let fault = |message: &str| source.fault_of("matches", message);
        let Ok([text, pattern]) = <[Node; 2]>::try_from(nodes) else {
            return Err(fault("call it as text.matches(\"pattern\")"));
        };
        let Node::Literal(Value::String(pattern)) = pattern else {
            return Err(fault("the pattern must be written as a string, so that it is compiled once"));
        };
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(fault(&format!("there may be {MAX_PATTERNS} patterns: join some with |")));
        }
        let pattern = Pattern::compile(pattern.as_str()).map_err(|message| fault(&message))?;
        Ok(Node::Matches(Box::new(text), pattern))
    }

    /// A call; a timestamp or a duration of a literal is read now, so that its faults are found now.
    fn constant(&self, function: Function, nodes: Vec<Node>) -> Result<Node, String> {
        let (name, constant) = match (function, nodes.as_slice()) {
            (Function::Timestamp, [Node::Literal(Value::String(text))]) => {
                ("timestamp", time::parse_timestamp(text.as_str()).map(Value::Timestamp))
            }
            (Function::Duration, [Node::Literal(Value::String(text))]) => {
                ("duration", time::parse_duration(text.as_str()).map(Value::Duration))
            }
            _ => return Ok(Node::Call(function, nodes)),
        };
        constant.map(Node::Literal).map_err(|stop| match stop {
            Stop::Failed(message) | Stop::Exhausted(message) => self.source.fault_of(name, &message),
        })
    }
}

fn no_such_function(name: &str) -> String {
    if let Some((_, usage)) = MACROS.iter().find(|(known, _)| *known == name) {
        return format!("call it as {usage}");
    }
    let usages: Vec<_> = FUNCTIONS.iter().filter(|(known, ..)| *known == name).map(usage).collect();
    if usages.is_empty() {
        let mut names: Vec<_> = FUNCTIONS.iter().map(|(known, ..)| *known).chain(["matches"]).collect();
        names.extend(MACROS.iter().map(|(known, _)| *known).filter(|known| *known != "existsOne"));
        names.dedup();
        return format!("there is no function `{name:.100}`: there are {}", names.join(", "));
    }
    format!("call it as {}", usages.join(" or "))
}

fn usage((name, member, count, _): &(&str, bool, usize, Function)) -> String {
    match (member, count) {
        (true, 1) => format!("value.{name}()"),
        (true, _) => format!("text.{name}(part)"),
        (false, _) => format!("{name}(value)"),
    }
}

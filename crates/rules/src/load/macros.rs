//! Macros: parsing their conditions and replacing references by what they stand for. A macro sees macros that were
//! defined before its own latest definition; rules see all. Bodies are shared, not copied.

use super::collector::Named;
use super::context::Context;
use super::fault::{Fault, Outcome};
use super::item::MacroItem;
use super::lists::{self, CompiledList};
use super::report::ErrorCode;
use crate::lang::ast::{Expr, Pos};
use crate::lang::parse::MAX_CONDITION_DEPTH;
use crate::lang::parse_condition;
use std::sync::Arc;

/// A macro with its references resolved.
#[derive(Clone, Debug)]
pub struct CompiledMacro {
    pub name: String,
    /// As written.
    pub condition: String,
    pub expr: Arc<Expr>,
    /// The lists substituted in its text.
    pub lists: Vec<String>,
    size: Size,
}

/// Condition text with lists substituted, parsed.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub text: String,
    pub expr: Expr,
    pub lists: Vec<String>,
}

/// Substitutes lists and parses.
pub fn parse(condition: &str, lists: &[CompiledList], context: &Context) -> Outcome<Parsed> {
    let mut found = Vec::new();
    let Some(text) = lists::substitute(condition, lists, &mut found) else {
        return Fault::objects("condition is too long once its lists are substituted", context);
    };
    match parse_condition(&text, MAX_CONDITION_DEPTH) {
        Ok(expr) => Ok(Parsed { text, expr, lists: found }),
        Err(error) => {
            Fault::of(ErrorCode::CompileCondition, error.reason.clone(), &context.condition(&text, error.pos))
        }
    }
}

/// Compiles all macros, in definition order.
pub fn compile(items: &Named<MacroItem>, lists: &[CompiledList]) -> Outcome<Vec<CompiledMacro>> {
    let mut parsed = Vec::new();
    for item in items.iter() {
        parsed.push(parse(&item.condition, lists, &item.condition_context)?);
    }
    let mut resolver = Resolver { items, parsed: &parsed, done: vec![State::New; parsed.len()], open: 0 };
    let mut out = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let (expr, size) = resolver.body(index)?;
        out.push(CompiledMacro {
            name: item.name.clone(),
            condition: item.condition.clone(),
            expr,
            lists: parsed[index].lists.clone(),
            size,
        });
    }
    Ok(out)
}

/// Resolves the references of a rule's condition, to which all macros are visible.
pub fn resolve(
    parsed: &Parsed,
    macros: &[CompiledMacro],
    items: &Named<MacroItem>,
    context: &Context,
) -> Outcome<Expr> {
    let mut find = |name: &str, pos: Pos| match items.position(name).and_then(|at| macros.get(at)) {
        Some(found) => Ok((Arc::clone(&found.expr), found.size)),
        None => undefined(name, context, &parsed.text, pos),
    };
    let (expr, size) = expand(&parsed.expr, &mut find)?;
    size.check(context)?;
    Ok(expr)
}

fn undefined<T>(name: &str, context: &Context, text: &str, pos: Pos) -> Outcome<T> {
    Fault::objects(format!("Undefined macro '{name}' used in filter."), &context.condition(text, pos))
}

/// How large a condition gets once all macros are written out.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    depth: usize,
}

impl Size {
    fn with(self, other: Size) -> Size {
        Size { nodes: self.nodes.saturating_add(other.nodes), depth: self.depth.max(other.depth) }
    }

    fn up(self) -> Size {
        Size { nodes: self.nodes.saturating_add(1), depth: self.depth + 1 }
    }

    /// Bounds what everything downstream may recurse into.
    fn check(self, context: &Context) -> Outcome<()> {
        if self.depth > MAX_EXPANDED_DEPTH {
            return Fault::objects(
                format!("exceeded max depth limit of {MAX_EXPANDED_DEPTH} with macros expanded"),
                context,
            );
        }
        if self.nodes > MAX_EXPANDED_NODES {
            return Fault::objects(format!("exceeded {MAX_EXPANDED_NODES} checks with macros expanded"), context);
        }
        Ok(())
    }
}

/// Levels of `and`, `or`, `not` and macros; redundant parentheses are none. Everything downstream recurses this deep at
/// most, also in unoptimised builds and on threads with small stacks.
const MAX_EXPANDED_DEPTH: usize = 600;
const MAX_EXPANDED_NODES: usize = 1 << 18;

#[derive(Clone)]
enum State {
    New,
    Open,
    Done(Arc<Expr>, Size),
}

struct Resolver<'m> {
    items: &'m Named<MacroItem>,
    parsed: &'m [Parsed],
    done: Vec<State>,
    /// How many are being resolved right now.
    open: usize,
}

impl Resolver<'_> {
    /// The resolved condition of macro `index`. Recursion is as deep as macros refer to each other, which `Size::check`
    /// bounds for what is kept, and `MAX_CHAIN` for what is on the way.
    fn body(&mut self, index: usize) -> Outcome<(Arc<Expr>, Size)> {
        let (items, parsed) = (self.items, self.parsed);
        let (Some(item), Some(own)) = (items.iter().nth(index), parsed.get(index)) else {
            return Fault::objects("macro is gone", &Context::default());
        };
        let context = &item.condition_context;
        match &self.done[index] {
            State::Done(expr, size) => return Ok((Arc::clone(expr), *size)),
            State::Open => return Fault::objects(format!("reference loop in macro '{}'", item.name), context),
            State::New => {}
        }
        if self.open > MAX_CHAIN {
            return Fault::objects(
                format!("macro '{}' is at the end of too long a chain of macros", item.name),
                context,
            );
        }
        self.done[index] = State::Open;
        self.open += 1;
        let mut find = |name: &str, pos: Pos| {
            let visible = items.get(name).is_some_and(|m| m.order.index < item.order.visibility);
            match items.position(name).filter(|_| visible) {
                Some(at) => self.body(at),
                None => undefined(name, context, &own.text, pos),
            }
        };
        let (expr, size) = expand(&own.expr, &mut find)?;
        size.check(context)?;
        let expr = Arc::new(expr);
        self.open -= 1;
        self.done[index] = State::Done(Arc::clone(&expr), size);
        Ok((expr, size))
    }
}

const MAX_CHAIN: usize = 100;

type Find<'f> = dyn FnMut(&str, Pos) -> Outcome<(Arc<Expr>, Size)> + 'f;

fn expand(expr: &Expr, find: &mut Find<'_>) -> Outcome<(Expr, Size)> {
    match expr {
        Expr::And(children) => expand_all(children, find).map(|(c, size)| (Expr::And(c), size.up())),
        Expr::Or(children) => expand_all(children, find).map(|(c, size)| (Expr::Or(c), size.up())),
        Expr::Not(child) => expand(child, find).map(|(c, size)| (Expr::Not(Box::new(c)), size.up())),
        Expr::Macro { name, pos, .. } => {
            let (body, size) = find(name, *pos)?;
            Ok((Expr::Macro { name: name.clone(), body: Some(body), pos: *pos }, size.up()))
        }
        Expr::Check(check) => Ok((Expr::Check(check.clone()), Size { nodes: 1, depth: 1 })),
    }
}

fn expand_all(children: &[Expr], find: &mut Find<'_>) -> Outcome<(Vec<Expr>, Size)> {
    let mut size = Size::default();
    let mut out = Vec::with_capacity(children.len());
    for child in children {
        let (child, child_size) = expand(child, find)?;
        size = size.with(child_size);
        out.push(child);
    }
    Ok((out, size))
}

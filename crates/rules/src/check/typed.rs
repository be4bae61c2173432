//! A whole condition, compiled: the tree that is explained to users and from which programs are built. Equal checks and
//! macros share their nodes.

use super::CheckError;
use super::leaf::{Context, Leaf};
use crate::lang::ast::{Check, Expr};
use std::collections::HashMap;
use std::sync::Arc;

/// A compiled condition.
#[derive(Clone, Debug)]
pub enum Typed {
    And(Vec<Typed>),
    Or(Vec<Typed>),
    Not(Box<Typed>),
    /// A macro by its name.
    Macro(String, Arc<Typed>),
    Leaf(Arc<Leaf>),
}

impl Typed {
    /// Calls `visit` for every check.
    pub fn each_leaf<'t>(&'t self, visit: &mut dyn FnMut(&'t Leaf)) {
        match self {
            Typed::And(children) | Typed::Or(children) => children.iter().for_each(|c| c.each_leaf(visit)),
            Typed::Not(child) => child.each_leaf(visit),
            Typed::Macro(_, body) => body.each_leaf(visit),
            Typed::Leaf(leaf) => visit(leaf),
        }
    }
}

/// Compiles conditions of one source; what was compiled before is shared.
pub struct Typing<'c> {
    context: Context<'c>,
    leaves: HashMap<String, Arc<Leaf>>,
    /// By address of the resolved macro body, which outlives this.
    macros: HashMap<usize, Arc<Typed>>,
}

impl<'c> Typing<'c> {
    pub fn new(context: Context<'c>) -> Self {
        Typing { context, leaves: HashMap::new(), macros: HashMap::new() }
    }

    /// Compiles `expr`, in which all macros are resolved. An error comes with the check it is about.
    pub fn compile<'e>(&mut self, expr: &'e Expr) -> Result<Typed, (CheckError, Option<&'e Check>)> {
        match expr {
            Expr::And(children) => self.all(children).map(Typed::And),
            Expr::Or(children) => self.all(children).map(Typed::Or),
            Expr::Not(child) => Ok(Typed::Not(Box::new(self.compile(child)?))),
            Expr::Macro { name, body: Some(body), .. } => self.named(name, body),
            Expr::Macro { name, .. } => Err((CheckError(format!("Undefined macro '{name}' used in filter.")), None)),
            Expr::Check(check) => self.leaf(check).map_err(|e| (e, Some(check.as_ref()))),
        }
    }

    fn all<'e>(&mut self, children: &'e [Expr]) -> Result<Vec<Typed>, (CheckError, Option<&'e Check>)> {
        let mut typed = Vec::with_capacity(children.len());
        for child in children {
            typed.push(self.compile(child)?);
        }
        Ok(typed)
    }

    fn named<'e>(&mut self, name: &str, body: &'e Arc<Expr>) -> Result<Typed, (CheckError, Option<&'e Check>)> {
        let address = Arc::as_ptr(body).addr();
        if let Some(typed) = self.macros.get(&address) {
            return Ok(Typed::Macro(name.to_owned(), Arc::clone(typed)));
        }
        let typed = Arc::new(self.compile(body)?);
        self.macros.insert(address, Arc::clone(&typed));
        Ok(Typed::Macro(name.to_owned(), typed))
    }

    fn leaf(&mut self, check: &Check) -> Result<Typed, CheckError> {
        let key = key_of(check);
        if let Some(leaf) = self.leaves.get(&key) {
            return Ok(Typed::Leaf(Arc::clone(leaf)));
        }
        let leaf = Arc::new(Leaf::compile(check, self.context)?);
        self.leaves.insert(key, Arc::clone(&leaf));
        Ok(Typed::Leaf(leaf))
    }
}

/// Equal for equal checks only; the printed form alone is not (`in ()` and `in ("")` print alike).
fn key_of(check: &Check) -> String {
    use crate::lang::ast::Right;
    match &check.right {
        Right::Operand(_) => check.to_string(),
        right => format!("{}\u{0}{:?}\u{0}{:?}\u{0}{right:?}", check.left, check.op, check.modifier),
    }
}

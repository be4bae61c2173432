//! Expressions that yield a value per event: a field, or transformers applied to fields and literals. Evaluation is
//! lazy, allocates in the per-event arena only, and yields nothing when any field inside is absent.

use super::transform;
use crate::lang::ast::Function;
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use event::{FieldRef, FieldSource, ParamType, Value};

/// An expression with its type.
#[derive(Clone, PartialEq, Debug)]
pub struct ValueExpr {
    /// As conditions print it.
    pub text: String,
    pub ty: ParamType,
    pub is_list: bool,
    pub node: ValueNode,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ValueNode {
    Field(FieldRef),
    Call { function: Function, args: Vec<ArgExpr>, selector: Option<Vec<u8>> },
}

/// An argument of a transformer.
#[derive(Clone, PartialEq, Debug)]
pub enum ArgExpr {
    Value(ValueExpr),
    Text(Vec<u8>),
    List(Vec<ArgExpr>),
}

impl ValueExpr {
    /// The value for `event`; `None` when absent.
    pub fn eval<'a, S: FieldSource>(&self, event: &'a S, arena: &'a Bump) -> Option<Value<'a>> {
        match &self.node {
            ValueNode::Field(field) => event.extract(field, arena),
            ValueNode::Call { function, args, selector } => {
                let values = eval_all(args, event, arena)?;
                transform::apply(*function, values, selector.as_deref(), arena)
            }
        }
    }

    /// The field, when nothing is applied to it.
    pub fn as_field(&self) -> Option<&FieldRef> {
        match &self.node {
            ValueNode::Field(field) => Some(field),
            ValueNode::Call { .. } => None,
        }
    }

    /// Calls `visit` for every field in it.
    pub fn each_field<'e>(&'e self, visit: &mut dyn FnMut(&'e FieldRef)) {
        match &self.node {
            ValueNode::Field(field) => visit(field),
            ValueNode::Call { args, .. } => args.iter().for_each(|a| a.each_field(visit)),
        }
    }
}

impl ArgExpr {
    fn eval<'a, S: FieldSource>(&self, event: &'a S, arena: &'a Bump) -> Option<Value<'a>> {
        match self {
            ArgExpr::Value(value) => value.eval(event, arena),
            ArgExpr::Text(text) => Some(Value::Str(arena.alloc_slice_copy(text))),
            ArgExpr::List(items) => Some(Value::List(eval_all(items, event, arena)?)),
        }
    }

    fn each_field<'e>(&'e self, visit: &mut dyn FnMut(&'e FieldRef)) {
        match self {
            ArgExpr::Value(value) => value.each_field(visit),
            ArgExpr::List(items) => items.iter().for_each(|i| i.each_field(visit)),
            ArgExpr::Text(_) => {}
        }
    }
}

fn eval_all<'a, S: FieldSource>(args: &[ArgExpr], event: &'a S, arena: &'a Bump) -> Option<&'a [Value<'a>]> {
    let mut values = ArenaVec::with_capacity_in(args.len(), arena);
    for arg in args {
        values.push(arg.eval(event, arena)?);
    }
    Some(values.into_bump_slice())
}

//! From syntax to meaning: fields resolved, operators and values checked against types, every comparison turned into a
//! test that runs without further decisions. Errors carry the texts that load results show.

mod field;
mod fused;
pub mod glob;
mod leaf;
mod literal;
mod pathset;
mod regex;
mod set;
mod test;
mod transform;
mod typed;
mod types;
mod value;

pub(crate) use field::{find_field, resolve_field};
pub(crate) use fused::Fused;
pub(crate) use leaf::{Context, Direct, How, Inputs, Leaf};
pub(crate) use test::{Comparison, Test};
pub(crate) use transform::typed_operand;
pub(crate) use typed::{Typed, Typing};
pub(crate) use types::is_time;
pub(crate) use value::{ValueExpr, ValueNode};

/// Why a condition or an output cannot be compiled; the text is what load results show.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CheckError(pub String);

impl CheckError {
    fn new(text: impl Into<String>) -> Self {
        CheckError(text.into())
    }
}

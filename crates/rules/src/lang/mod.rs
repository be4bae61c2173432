//! The condition language: text to syntax tree, and back. Meaning (types, values, matching) is the business of `check`
//! and `program`.

pub mod ast;
pub mod events;
pub mod parse;
mod print;
pub mod scan;

pub use parse::{parse_condition, parse_operand_prefix};

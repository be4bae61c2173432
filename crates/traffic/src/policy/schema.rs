//! The JSON Schema of policy files, for editors and for `--schema`. A test holds its keys to those of the reader.

/// Draft 2020-12.
pub const SCHEMA: &str = include_str!("policy.schema.json");

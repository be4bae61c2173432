//! From a rule that matched to the line users read: output formats, printing of values, alerts as text and JSON. Pure:
//! what to print comes from the event, where it goes is the caller's business.

mod alert;
mod format;
mod internal;
mod json;
mod print;

pub use alert::{AlertStyle, AlertWriter};
pub use format::{FormatError, OutputFormat};
pub use internal::InternalAlert;
pub use json::{write_json_string, write_json_value};
pub use print::{iso_utc, print_field};

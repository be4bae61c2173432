//! Output formats: literal text with `%field`, `%10field` (padded or cut to a width) and `%transformer(..)` in it. A
//! format always tolerates absent fields, which print as `<NA>`.

use super::print::{Style, print_expression};
use crate::check::{ValueExpr, typed_operand};
use crate::lang::parse::operand_extent;
use crate::lang::parse_operand_prefix;
use bumpalo::Bump;
use event::{Catalogue, FieldRef, FieldSource, ParamType};

/// A compiled output format: literal text and fields.
#[derive(Clone, Debug, Default)]
pub struct OutputFormat {
    tokens: Vec<Token>,
    fields: Vec<FieldRef>,
}

#[derive(Clone, Debug)]
enum Token {
    Text(String),
    Value { value: ValueExpr, print: &'static str, width: Option<usize> },
}

/// Why a text is not an output format.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

impl OutputFormat {
    /// Compiles `text` for events of `source`.
    ///
    /// # Errors
    /// The text that the loader reports as `LOAD_ERR_COMPILE_OUTPUT`.
    pub fn compile(text: &str, source: &str, catalogue: &Catalogue) -> Result<OutputFormat, FormatError> {
        if text.is_empty() {
            return Err(FormatError("empty formatting token".to_owned()));
        }
        let mut format = OutputFormat::default();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            format.push_text(&rest[..at]);
            rest = format.push_value(&rest[at + 1..], source, catalogue)?;
        }
        format.push_text(rest);
        Ok(format)
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.tokens.push(Token::Text(text.to_owned()));
        }
    }

    /// Reads what follows a `%`; returns what follows that.
    fn push_value<'t>(&mut self, text: &'t str, source: &str, catalogue: &Catalogue) -> Result<&'t str, FormatError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (width, spec) = text.split_at(digits);
        if spec.is_empty() {
            let end = if width.is_empty() { "a %" } else { "a number" };
            return Err(FormatError(format!("invalid formatting syntax: formatting cannot end with {end}")));
        }
        let Some((value, len)) = longest_value(spec, source, catalogue) else {
            return Err(FormatError("unknown filter: unexpected token after '".to_owned()));
        };
        value.each_field(&mut |field| {
            if !self.fields.contains(field) {
                self.fields.push(field.clone());
            }
        });
        let print = value.as_field().map_or("na", |f| catalogue.info(f.id).print);
        self.tokens.push(Token::Value { value, print, width: width.parse().ok() });
        Ok(&spec[len..])
    }

    /// Appends the text for `event`; absent fields print `<NA>`. Bytes, since values need not be UTF-8.
    pub fn render<S: FieldSource>(&self, event: &S, arena: &Bump, out: &mut Vec<u8>) {
        self.render_styled(event, arena, Style::default(), out);
    }

    pub(crate) fn render_styled<S: FieldSource>(&self, event: &S, arena: &Bump, style: Style, out: &mut Vec<u8>) {
        for token in &self.tokens {
            match token {
                Token::Text(text) => out.extend_from_slice(text.as_bytes()),
                Token::Value { value, print, width } => {
                    let start = out.len();
                    print_expression(value, print, event, arena, style, out);
                    if let Some(width) = width {
                        out.resize(start + width.min(&MAX_WIDTH), b' ');
                    }
                }
            }
        }
    }

    /// The fields it mentions, in order, inner fields of transformers included.
    pub fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// Fields and transformer expressions as the text spells them.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Text(_) => None,
            Token::Value { value, .. } => Some(value.text.as_str()),
        })
    }

    /// The only field, when the format is nothing else.
    pub(crate) fn single_field(&self) -> Option<&FieldRef> {
        match self.tokens.as_slice() {
            [Token::Value { value, .. }] => value.as_field(),
            _ => None,
        }
    }
}

/// Wider columns than this make no line readable; a number in a rule must not exhaust memory.
const MAX_WIDTH: usize = 1 << 16;

/// The longest prefix of `text` that is a field or transformer and compiles.
fn longest_value(text: &str, source: &str, catalogue: &Catalogue) -> Option<(ValueExpr, usize)> {
    let longest = operand_extent(text).unwrap_or(text.len()).min(MAX_EXPRESSION_BYTES);
    (1..=longest).rev().filter(|len| text.is_char_boundary(*len)).find_map(|len| {
        let operand = parse_operand_prefix(&text[..len]).ok()?;
        let value = typed_operand(&operand, source, catalogue).ok()?;
        (value.ty != ParamType::Dyn || value.as_field().is_some()).then_some((value, len))
    })
}

/// Bounds the search where the text behind `%` is no expression at all.
const MAX_EXPRESSION_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn expressions(text: &str) -> Result<Vec<String>, String> {
        let format = OutputFormat::compile(text, "syscall", &Catalogue::builtin());
        format.map(|f| f.expressions().map(str::to_owned).collect()).map_err(|e| e.0)
    }

    #[test]
    fn the_longest_valid_prefix_is_the_field() {
        assert_eq!(expressions("a %proc.name. b"), Ok(vec!["proc.name".into()]));
        assert_eq!(expressions("(%fd.name)"), Ok(vec!["fd.name".into()]));
        assert_eq!(expressions("%proc.name[0]"), Ok(vec!["proc.name".into()]));
        assert_eq!(expressions("%proc.aname[2]x"), Ok(vec!["proc.aname[2]".into()]));
        assert_eq!(expressions("%10proc.name"), Ok(vec!["proc.name".into()]));
        assert_eq!(expressions("%evt.arg.flags_x"), Ok(vec!["evt.arg.flags".into()]));
        assert_eq!(expressions("%tolower(proc.name)%fd.num"), Ok(vec!["tolower(proc.name)".into(), "fd.num".into()]));
        assert_eq!(expressions("%concat(proc.name, \"x\") y"), Ok(vec!["concat(proc.name,x)".into()]));
        assert_eq!(
            expressions("%evt.abspath %evt.abspath.src"),
            Ok(vec!["evt.abspath".into(), "evt.abspath.src".into()])
        );
        assert_eq!(expressions("%fd.ip %fd.cnet"), Ok(vec!["fd.ip".into(), "fd.cnet".into()]));
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(expressions(""), Err("empty formatting token".into()));
        assert_eq!(expressions("x %"), Err("invalid formatting syntax: formatting cannot end with a %".into()));
        assert_eq!(expressions("x %12"), Err("invalid formatting syntax: formatting cannot end with a number".into()));
        for bad in ["%not_a_real_field", "%proc.nosuch", "100% x", "%%", "%é"] {
            assert_eq!(expressions(bad), Err("unknown filter: unexpected token after '".into()), "{bad}");
        }
    }
}

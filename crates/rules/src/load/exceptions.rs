//! Exceptions of rules: reading their columns, completing and merging them, and turning them into condition text.

use super::context::{Context, EXCEPTION, EXCEPTION_VALUE, EXCEPTION_VALUES, EXCEPTIONS};
use super::decode::Element;
use super::fault::{Fault, Outcome, Report};
use super::item::{Cell, Column, ExceptionItem};
use super::lists::quoted;
use super::report::WarningCode;
use super::yaml::Node;
use crate::check::resolve_field;
use crate::lang::ast::{Modifier, Op, Operand};
use crate::lang::parse_operand_prefix;
use event::Catalogue;
use std::rc::Rc;

/// Reads the `exceptions` of a rule element; `None` when there are none.
pub fn read(element: Element<'_>) -> Outcome<Option<Vec<ExceptionItem>>> {
    let Some(node) = element.node.get("exceptions") else { return Ok(None) };
    let context = element.context.child(node, EXCEPTIONS, "");
    let Some(items) = node.sequence() else { return Fault::structure("Rule exceptions must be a sequence", &context) };
    items.iter().map(|item| read_one(item, &context)).collect::<Outcome<Vec<_>>>().map(Some)
}

fn read_one(node: &Node, parent: &Context) -> Outcome<ExceptionItem> {
    let unnamed = parent.child(node, EXCEPTION, "");
    if node.mapping().is_none() {
        return Fault::structure("Rule exception must be a mapping", &unnamed);
    }
    let name = Element { node, context: &unnamed }.text("name")?;
    let context = parent.child(node, EXCEPTION, name);
    let fields = read_column(node, "fields", &context)?;
    let comps = read_column(node, "comps", &context)?;
    let values = read_values(node, &context)?;
    Ok(ExceptionItem { name: name.to_owned(), fields, comps, values, context })
}

fn read_column(node: &Node, key: &str, context: &Context) -> Outcome<Option<Column>> {
    let Some(node) = node.get(key).filter(|n| !n.is_null()) else { return Ok(None) };
    if let Some(text) = node.scalar() {
        return Ok(Some(Column::Single(text.to_owned())));
    }
    let element = node.sequence().unwrap_or_default().iter().map(|n| n.scalar().map(str::to_owned));
    match (node.sequence(), element.collect::<Option<Vec<String>>>()) {
        (Some(_), Some(texts)) => Ok(Some(Column::Tuple(texts))),
        _ => Fault::structure("Value is not a scalar value", &context.child(node, EXCEPTION_VALUES, key)),
    }
}

fn read_values(node: &Node, context: &Context) -> Outcome<Option<Vec<Cell>>> {
    let Some(node) = node.get("values").filter(|n| !n.is_null()) else { return Ok(None) };
    let context = context.child(node, EXCEPTION_VALUES, "");
    let Some(items) = node.sequence() else {
        return Fault::structure("Rule exception values must be a sequence", &context);
    };
    items.iter().map(|n| read_cell(n, &context, 0)).collect::<Outcome<Vec<_>>>().map(Some)
}

fn read_cell(node: &Rc<Node>, parent: &Context, depth: usize) -> Outcome<Cell> {
    if let Some(text) = node.scalar() {
        return Ok(Cell::Text(text.to_owned()));
    }
    let context = parent.child(node, EXCEPTION_VALUE, "");
    match node.sequence() {
        Some(items) if depth < 2 => {
            let cells = items.iter().map(|n| read_cell(n, &context, depth + 1)).collect::<Outcome<Vec<_>>>()?;
            Ok(Cell::List(cells))
        }
        _ => Fault::structure("Value is not a scalar value", &context),
    }
}

/// Warns about names that occur twice in one element.
pub fn check_names(exceptions: &[ExceptionItem], report: &mut Report<'_>) {
    for (i, exception) in exceptions.iter().enumerate() {
        if exceptions[..i].iter().any(|e| e.name == exception.name) {
            let message = format!("Multiple definitions of exception '{}' in the same rule element", exception.name);
            report.warn(WarningCode::ExceptionNameNotUnique, message, &exception.context);
        }
    }
}

/// Fills in default operators and checks the columns. Fields are checked only when `source` is known.
pub fn complete(exception: &mut ExceptionItem, source: Option<&str>, catalogue: &Catalogue) -> Outcome<()> {
    let context = exception.context.clone();
    match exception.fields.clone() {
        None => Fault::objects("Rule exception must have fields property with a list of fields", &context),
        Some(Column::Tuple(fields)) => complete_tuple(exception, &fields, &context)
            .and_then(|()| fields.iter().try_for_each(|f| check_field(f, source, catalogue, &context))),
        Some(Column::Single(field)) => {
            complete_single(exception, &context)?;
            check_field(&field, source, catalogue, &context)
        }
    }
}

fn complete_tuple(exception: &mut ExceptionItem, fields: &[String], context: &Context) -> Outcome<()> {
    let comps = match exception.comps.take() {
        None => vec!["=".to_owned(); fields.len()],
        Some(Column::Tuple(comps)) => comps.iter().map(|c| c.trim().to_owned()).collect(),
        Some(Column::Single(comp)) => vec![comp.trim().to_owned()],
    };
    if comps.len() != fields.len() {
        return Fault::objects("Fields and comps lists must have equal length", context);
    }
    if let Some(comp) = comps.iter().find(|c| Op::parse(c).is_none() && !has_modifier(c)) {
        return Fault::objects(format!("'{comp}' is not a supported comparison operator"), context);
    }
    exception.comps = Some(Column::Tuple(comps));
    Ok(())
}

fn complete_single(exception: &mut ExceptionItem, context: &Context) -> Outcome<()> {
    let comp = match exception.comps.take() {
        None => "in".to_owned(),
        Some(Column::Single(comp)) => comp.trim().to_owned(),
        Some(Column::Tuple(_)) => {
            return Fault::objects("Rule exception has one field, so comps must be one operator", context);
        }
    };
    if !takes_list(&comp) {
        return Fault::objects(format!("'{comp}' is not a supported comparison operator"), context);
    }
    exception.comps = Some(Column::Single(comp));
    Ok(())
}

/// `startswith oneof` and its like.
fn has_modifier(comp: &str) -> bool {
    let mut words = comp.split_whitespace();
    let op = words.next().and_then(Op::parse).is_some_and(Op::is_text);
    let modifier = words.next().and_then(Modifier::parse).is_some();
    op && modifier && words.next().is_none()
}

fn takes_list(comp: &str) -> bool {
    Op::parse(comp).is_some_and(Op::is_list) || has_modifier(comp)
}

fn check_field(field: &str, source: Option<&str>, catalogue: &Catalogue, context: &Context) -> Outcome<()> {
    let Some(source) = source else { return Ok(()) };
    let known = match parse_operand_prefix(field) {
        Ok(Operand::Field { name, arg, .. }) => resolve_field(&name, arg.as_deref(), source, catalogue).is_ok(),
        Ok(call @ Operand::Call { .. }) => crate::check::typed_operand(&call, source, catalogue).is_ok(),
        Err(_) => false,
    };
    if known { Ok(()) } else { Fault::objects(format!("'{field}' is not a supported filter field"), context) }
}

/// Appends `added` to the exceptions of a rule, by name.
pub fn merge(
    exceptions: &mut Vec<ExceptionItem>,
    added: Vec<ExceptionItem>,
    source: Option<&str>,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> Outcome<()> {
    for mut exception in added {
        let context = exception.context.clone();
        match exceptions.iter_mut().find(|e| e.name == exception.name) {
            Some(existing) => append_values(existing, exception, report)?,
            None => {
                complete(&mut exception, source, catalogue)?;
                if exception.values.is_none() {
                    return Fault::objects("Rule exception must have values property with a list of values", &context);
                }
                exceptions.push(exception);
            }
        }
    }
    Ok(())
}

fn append_values(existing: &mut ExceptionItem, added: ExceptionItem, report: &mut Report<'_>) -> Outcome<()> {
    if added.fields.is_some() {
        let message = "Can not append exception fields to existing exception, only values";
        return Fault::objects(message, &added.context);
    }
    if added.comps.is_some() {
        let message = "Can not append exception comps to existing exception, only values";
        return Fault::objects(message, &added.context);
    }
    match added.values {
        Some(values) => existing.values.get_or_insert_default().extend(values),
        None => {
            let message = "Overriding/appending exception with no values";
            report.warn(WarningCode::AppendNoValues, message, &added.context);
        }
    }
    Ok(())
}

/// The condition with its exceptions appended as text.
pub fn apply(condition: &str, exceptions: &[ExceptionItem]) -> Outcome<String> {
    if exceptions.is_empty() {
        return Ok(condition.to_owned());
    }
    let mut out = format!("({condition})");
    for exception in exceptions {
        if let Some(text) = text_of(exception)? {
            out.push_str(" and not ");
            out.push_str(&text);
        }
    }
    Ok(out)
}

fn text_of(exception: &ExceptionItem) -> Outcome<Option<String>> {
    let values = exception.values.as_deref().unwrap_or_default();
    let missing =
        || Fault::objects("Rule exception must have fields property with a list of fields", &exception.context);
    match (&exception.fields, &exception.comps) {
        (None, _) => missing(),
        _ if values.is_empty() => Ok(None),
        (Some(Column::Single(field)), comps) => {
            let comp = match comps {
                Some(Column::Single(comp)) => comp,
                _ => "in",
            };
            single_text(field, comp, values, &exception.context).map(Some)
        }
        (Some(Column::Tuple(fields)), comps) => {
            let default = vec!["=".to_owned(); fields.len()];
            let comps = match comps {
                Some(Column::Tuple(comps)) => comps,
                _ => &default,
            };
            let rows = values.iter().map(|row| row_text(fields, comps, row, &exception.context));
            Ok(Some(format!("({})", rows.collect::<Outcome<Vec<_>>>()?.join(" or "))))
        }
    }
}

fn single_text(field: &str, comp: &str, values: &[Cell], context: &Context) -> Outcome<String> {
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Cell::Text(text) => texts.push(quoted(text)),
            Cell::List(_) => return Fault::objects("Expected values array to contain a list of strings", context),
        }
    }
    Ok(format!("({field} {comp} ({}))", texts.join(", ")))
}

fn row_text(fields: &[String], comps: &[String], row: &Cell, context: &Context) -> Outcome<String> {
    let Cell::List(cells) = row else {
        return Fault::objects("Expected values array to contain a list of lists", context);
    };
    if cells.len() != fields.len() {
        return Fault::objects("Fields and values lists must have equal length", context);
    }
    let checks = fields
        .iter()
        .zip(comps)
        .zip(cells)
        .map(|((field, comp), cell)| Ok(format!("{field} {comp} {}", cell_text(comp, cell, context)?)));
    Ok(format!("({})", checks.collect::<Outcome<Vec<_>>>()?.join(" and ")))
}

fn cell_text(comp: &str, cell: &Cell, context: &Context) -> Outcome<String> {
    match cell {
        Cell::Text(text) if takes_list(comp) && !text.starts_with('(') => Ok(format!("({})", quoted(text))),
        Cell::Text(text) if takes_list(comp) => Ok(text.clone()),
        Cell::Text(text) => Ok(quoted(text)),
        Cell::List(cells) => {
            let mut texts = Vec::with_capacity(cells.len());
            for cell in cells {
                match cell {
                    Cell::Text(text) => texts.push(quoted(text)),
                    Cell::List(_) => {
                        return Fault::objects("Expected values array to contain a list of strings", context);
                    }
                }
            }
            Ok(format!("({})", texts.join(", ")))
        }
    }
}

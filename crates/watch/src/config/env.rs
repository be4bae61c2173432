//! Environment references in configuration values: text with `${VAR}` comes in, text with values goes out. Only what is
//! written as `${...}` is touched; keys, rules files and command-line options never come here.

/// Replaces `${VAR}` by its value, or by nothing when unset. `$${X}` stands for a literal `${X}`; an unclosed `${` stays.
/// Inserted values are not scanned again.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let Some(end) = from.find('}') else { break };
        match before.strip_suffix('$') {
            Some(before) => {
                out.push_str(before);
                out.push_str(&from[..=end]);
            }
            None => {
                out.push_str(before);
                out.push_str(&lookup(&from[2..end]).unwrap_or_default());
            }
        }
        rest = &from[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_only_what_is_written_so() {
        let lookup = |name: &str| (name == "A").then(|| "1$B${A}".to_owned());
        let check = |text: &str, want: &str| assert_eq!(expand(text, &lookup), want, "{text}");
        check("x${A}y", "x1$B${A}y");
        check("${UNSET}", "");
        check("$${A}", "${A}");
        check("$A ${A", "$A ${A");
        check("a$${A}b${A}", "a${A}b1$B${A}");
    }
}

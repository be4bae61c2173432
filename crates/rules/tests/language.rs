//! Runs `language.md`: every condition in it is loaded as a rule and evaluated on the event above it, by the program,
//! by the explainer and by the coverage counter, which all have to agree.

mod fake;

use bumpalo::Bump;
use event::{Catalogue, Kind, tables};
use fake::{FakeEvent, Owned};
use rules::{Coverage, LoadResult, Loader, Matching, RuleSet, Setup};

const TEXT: &str = include_str!("language.md");

#[test]
fn conditions_mean_what_the_text_says() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    let mut event = (Kind::SYSCALL_OPENAT_2_X, FakeEvent::default());
    for (title, lines) in blocks(TEXT) {
        match title {
            "event" => event = read_event(&lines),
            "conditions" => {
                for line in lines {
                    checked += 1;
                    if let Err(difference) = check(line, &event) {
                        wrong.push(difference);
                    }
                }
            }
            _ => {}
        }
    }
    assert!(checked > 150, "only {checked} conditions");
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Fenced blocks with their title.
fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut out = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("```") {
            out.push((title, lines.by_ref().take_while(|l| *l != "```").filter(|l| !l.trim().is_empty()).collect()));
        }
    }
    out
}

fn read_event(lines: &[&str]) -> (Kind, FakeEvent) {
    let catalogue = Catalogue::builtin();
    let mut event = FakeEvent::default();
    let mut kind = Kind::SYSCALL_OPENAT_2_X;
    for line in lines {
        let (field, value) = line.split_once(": ").expect("field: value");
        if field == "evt.type" {
            let name = value.trim_matches('"');
            let row = tables::events().iter().rfind(|e| e.name == name && !e.is_enter);
            kind = row.map_or(Kind::GENERIC_X, |e| e.kind);
        }
        if let Some(host) = field.strip_prefix("host ") {
            let addresses = value.split(' ').map(|a| a.parse().expect("an address")).collect();
            event.hosts.insert(host.to_owned(), addresses);
        } else if let Some(field) = field.strip_prefix("candidates ") {
            let Owned::List(values) = read_value(field, value, &catalogue) else { panic!("a list: {line}") };
            event.candidates.insert(field.to_owned(), values);
        } else {
            event.values.insert(field.to_owned(), read_value(field, value, &catalogue));
        }
    }
    (kind, event)
}

fn read_value(field: &str, text: &str, catalogue: &Catalogue) -> Owned {
    if let Some(items) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let items = items.split(", ").filter(|i| !i.is_empty());
        return Owned::List(items.map(|i| read_value(field, i, catalogue)).collect());
    }
    if let Some(text) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        return Owned::Str(
            text.replace("\\n", "\n")
                .replace("\\xff", "\u{1}")
                .bytes()
                .map(|b| if b == 1 { 0xff } else { b })
                .collect(),
        );
    }
    if let Some(text) = text.strip_prefix("bytes ") {
        return Owned::Bytes(text.as_bytes().to_vec());
    }
    let name = field.split('[').next().unwrap_or(field);
    let ty = catalogue.find(name, "syscall").map(|f| format!("{:?}", f.ty)).unwrap_or_default();
    match text {
        "true" | "false" => Owned::Bool(text == "true"),
        _ if ty == "Double" => Owned::Double(text.parse().expect("a double")),
        _ if text.contains(['.', ':']) => Owned::Ip(text.parse().expect("an address")),
        _ if ty.starts_with("Int") => Owned::Int(text.parse().expect("a number")),
        _ => Owned::Uint(text.parse().expect("a number")),
    }
}

fn check(line: &str, (kind, event): &(Kind, FakeEvent)) -> Result<(), String> {
    let (expected, rest) = line.split_once(char::is_whitespace).expect("a verdict and a condition");
    let (condition, message) = rest.split_once("  => ").unwrap_or((rest, ""));
    let condition = condition.trim();
    let (loader, result) = load(condition);
    let observed = match result.errors.first() {
        Some(error) => format!("error {}", error.message),
        None => verdict(loader.rule_set(), *kind, event)?.to_string(),
    };
    let wanted = if expected == "error" { format!("error {message}") } else { expected.to_owned() };
    if expected == "error" && message.is_empty() && observed.starts_with("error ") {
        return Ok(());
    }
    if observed == wanted {
        Ok(())
    } else {
        Err(format!("{condition}\n    wanted   {wanted}\n    observed {observed}"))
    }
}

fn load(condition: &str) -> (Loader, LoadResult) {
    let mut loader = Loader::new(Setup::builtin());
    let condition = serde_json::to_string(condition).expect("JSON");
    let text = format!("- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: {condition}\n");
    let result = loader.load("r.yaml", &text);
    (loader, result)
}

fn verdict(rules: &RuleSet, kind: Kind, event: &FakeEvent) -> Result<bool, String> {
    let arena = Bump::new();
    let program = rules.program(Matching::First);
    let source = program.source("syscall").ok_or("no syscall rules")?;
    let mut matched = Vec::new();
    program.evaluate(source, kind, event, &arena, &mut matched);
    let rule = &rules.rules()[0];
    let trace = rules.explain(rule.id, event, &arena).ok_or("no trace")?;
    let mut coverage = Coverage::new(rule);
    let recorded = coverage.record(rule, event, &arena);
    if recorded != trace.value {
        return Err(format!("{}: coverage says {recorded}, trace says {}", rule.condition, trace.value));
    }
    let program_says = !matched.is_empty();
    if rule.runs_on(kind) && program_says != trace.value {
        return Err(format!("{}: program says {program_says}, trace says {}", rule.condition, trace.value));
    }
    Ok(program_says)
}

#[test]
fn fields_are_extracted_once_and_lazily() {
    let mut loader = Loader::new(Setup::builtin());
    let rule = |name: &str, condition: &str| {
        format!("- rule: {name}\n  desc: d\n  output: o\n  priority: INFO\n  condition: {condition}\n")
    };
    let text = [
        rule("a", "evt.type = openat and proc.name = cat and fd.name startswith /etc"),
        rule("b", "evt.type = openat and proc.name in (dog, cat) and not fd.name startswith /etc"),
        rule("c", "evt.type = openat and proc.name = dog and proc.cmdline contains x"),
        rule("d", "evt.type = close and proc.cwd = /"),
    ];
    assert!(loader.load("x.yaml", &text.concat()).successful());
    let event = read_event(&["proc.name: \"cat\"", "fd.name: \"/etc/passwd\"", "proc.cmdline: \"x\""]).1;
    for (matching, expected) in [(Matching::First, vec!["a"]), (Matching::All, vec!["a"])] {
        event.extractions.set(0);
        let program = loader.rule_set().program(matching);
        let source = program.source("syscall").expect("a source");
        let mut matched = Vec::new();
        program.evaluate(source, Kind::SYSCALL_OPENAT_2_X, &event, &Bump::new(), &mut matched);
        let names: Vec<_> =
            matched.iter().map(|id| loader.rule_set().rule(*id).expect("a rule").name.as_str()).collect();
        assert_eq!(names, expected);
        assert_eq!(event.extractions.get(), 2, "proc.name and fd.name, each once");
    }
}

#[test]
fn many_rules_cost_one_look_up() {
    let mut loader = Loader::new(Setup::builtin());
    let rule = |i: usize| {
        let condition = format!("evt.type = openat and fd.name contains x{i} and proc.name in (p{i}, q{i})");
        format!("- rule: r{i}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
    };
    assert!(loader.load("x.yaml", &(0..500).map(rule).collect::<String>()).successful());
    let program = loader.rule_set().program(Matching::First);
    let source = program.source("syscall").expect("a source");
    let evaluate = |name: &str| {
        let event = read_event(&[&format!("proc.name: \"{name}\""), "fd.name: \"x77 x300\""]).1;
        let mut matched = Vec::new();
        program.evaluate(source, Kind::SYSCALL_OPENAT_2_X, &event, &Bump::new(), &mut matched);
        (matched.iter().map(|id| id.0).collect::<Vec<_>>(), event.extractions.get())
    };
    assert_eq!(evaluate("cat"), (vec![], 1), "no rule demands this name, so nothing else is looked at");
    assert_eq!(evaluate("q77"), (vec![77], 2));
    assert_eq!(evaluate("p78"), (vec![], 2));
}

//! What loading rule files answers: each case is one or more files, and the errors or warnings of the last one.

use rules::load::LoadResult;
use rules::{Loader, Matching, Priority, Setup};

const RULE: &str = "- {rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO}\n";

fn load_all(files: &[&str]) -> (Loader, LoadResult) {
    let mut loader = Loader::new(Setup::builtin());
    let mut last = LoadResult::default();
    for (number, text) in files.iter().enumerate() {
        last = loader.load(&format!("{number}.yaml"), text);
    }
    (loader, last)
}

fn error(files: &[&str]) -> String {
    let result = load_all(files).1;
    result.errors.first().map_or("none".to_owned(), |e| format!("{}: {}", e.code.code(), e.message))
}

fn warnings(files: &[&str]) -> Vec<String> {
    let result = load_all(files).1;
    assert!(result.successful(), "{}", result.verbose());
    result.warnings.iter().map(|w| format!("{}: {}", w.code.code(), w.message)).collect()
}

fn condition(files: &[&str]) -> String {
    let (loader, result) = load_all(files);
    assert!(result.successful(), "{}", result.verbose());
    let described = loader.describe_rule("r").expect("rule r");
    described["rules"][0]["details"]["condition_compiled"].as_str().expect("a condition").to_owned()
}

/// Files followed by the error that the last one gives.
#[test]
fn structure_errors() {
    let yaml = |message: &str| format!("LOAD_ERR_YAML_VALIDATE: {message}");
    for (text, expected) in [
        ("foo", "Rules content is not yaml"),
        ("a: b", "Rules content is not yaml array of objects"),
        ("- [a]", "Unexpected element type. Each element should be a yaml associative array."),
        ("- rule:", "Mapping for key 'rule' is empty"),
        ("- rule: [a]", "Value is not a scalar value"),
        ("- rule: ''", "Value must be non-empty"),
        ("- list: a", "Item has no mapping for key 'items'"),
        ("- {list: a, items: b}", "Value is not a sequence"),
        ("- {list: a, items: ~}", "Value is not a sequence"),
        ("- {list: a, items: [[b]]}", "sequence value is not scalar"),
        ("- macro: a", "Item has no mapping for key 'condition'"),
        ("- {rule: r, desc: d, condition: c, priority: INFO}", "Item has no mapping for key 'output'"),
        ("- {rule: r, desc: d, condition: c, output: o}", "Item has no mapping for key 'priority'"),
        ("- {rule: r, desc: d, condition: c, output: o, priority: LOUD}", "Invalid priority"),
        ("- {rule: r, tags: [a]}", "Item has no mapping for key 'enabled'"),
        ("- {rule: r, enabled: maybe}", "Can't decode YAML scalar value"),
        ("- {rule: r, desc: d, condition: c, output: o, priority: INFO, source: ''}", "Value must be non-empty"),
        (
            "- {rule: r, desc: d, condition: c, output: o, priority: INFO, capture_duration: -1}",
            "Can't decode YAML scalar value",
        ),
        ("- {rule: r, desc: d, condition: c, output: o, priority: INFO, tags: x}", "Value is not a sequence"),
        (
            "- required_engine_version: x",
            "Unable to parse engine version 'x' as a semver string. Expected \"x.y.z\" semver format.",
        ),
        ("- required_plugin_versions: x", "Value of required_plugin_versions must be a sequence"),
        ("- required_plugin_versions: [x]", "Plugin version must be a mapping"),
        (
            "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: x}]",
            "Value of plugin version alternatives must be a sequence",
        ),
        (
            "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [x]}]",
            "Plugin version alternative must be a mapping",
        ),
    ] {
        assert_eq!(error(&[text]), yaml(expected), "{text}");
    }
    assert_eq!(error(&["- {rule: a, b: : c}"]).split(':').next(), Some("LOAD_ERR_YAML_PARSE"));
}

#[test]
fn object_errors() {
    let cases: &[(&[&str], &str)] = &[
        (&["- required_engine_version: 0.64.0"], "Rules require engine version 0.64.0, but engine version is 0.63.0"),
        (&["- required_engine_version: 1.0.0"], "Rules require engine version 1.0.0, but engine version is 0.63.0"),
        (&["- required_plugin_versions: [{name: a, version: x}]"], "Invalid required version 'x' for plugin 'a'"),
        (
            &["- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: a, version: 1.0.0}]}]"],
            "Defined multiple alternative version requirements for plugin 'a'",
        ),
        (
            &["- {list: a, items: [b], append: true}"],
            "List uses 'append' or 'override.items: append' but no list by that name already exists",
        ),
        (
            &["- {macro: a, condition: b, append: true}"],
            "Macro uses 'append' or 'override.condition: append' but no macro by that name already exists",
        ),
        (
            &["- {rule: a, condition: b, append: true}"],
            "Rule uses 'append' or 'override.<key>: append' but no rule by that name already exists",
        ),
        (
            &["- {rule: a, desc: b, override: {desc: replace}}"],
            "An 'override.<key>: replace' to a rule was requested but no rule by that name already exists",
        ),
        (&["- {rule: a, enabled: false}"], "Rule has 'enabled' key but no rule by that name already exists"),
        (
            &[RULE, "- {rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, source: other}"],
            "Rule has been re-defined with a different source",
        ),
        (&["- {rule: r, append: true}"], "Appended rule must have exceptions or condition property"),
        (&["- {macro: a, condition: b}"], "Undefined macro 'b' used in filter."),
        (
            &["- {macro: a, condition: evt.type=open}\n- {macro: b, condition: a}\n- {macro: a, condition: b}"],
            "reference loop in macro 'a'",
        ),
        (
            &["- {macro: a, condition: b}\n- {macro: b, condition: evt.type=open}"],
            "Undefined macro 'b' used in filter.",
        ),
    ];
    for (files, expected) in cases {
        assert_eq!(error(files), format!("LOAD_ERR_VALIDATE: {expected}"), "{files:?}");
    }
    assert_eq!(
        error(&[
            "- {list: a, items: [b]}\n- {list: b, items: [a]}\n- {list: a, items: [b]}\n- {rule: r, desc: d, condition: evt.type in (a), output: o, priority: INFO}"
        ]),
        "LOAD_ERR_COMPILE_CONDITION: unknown event type a"
    );
}

#[test]
fn override_errors() {
    for (element, expected) in [
        (
            "{rule: r, priority: INFO, override: {priority: append}}",
            "Key 'priority' cannot be appended to, use 'replace' instead",
        ),
        ("{rule: r, source: x, override: {source: replace}}", "Key 'source' cannot be replaced"),
        (
            "{rule: r, desc: x, override: {desc: prepend}}",
            "Invalid override operation for key 'desc': 'prepend'. Allowed values are: append replace ",
        ),
        (
            "{rule: r, enabled: true, override: {enabled: prepend}}",
            "Invalid override operation for key 'enabled': 'prepend'. Allowed values are: replace ",
        ),
        (
            "{rule: r, override: {desc: append}}",
            "An append override for 'desc' was specified but 'desc' is not defined",
        ),
        (
            "{rule: r, override: {desc: replace}}",
            "An replace override for 'desc' was specified but 'desc' is not defined",
        ),
        (
            "{rule: r, desc: x, output: y, override: {desc: replace}}",
            "Unexpected key 'output': no corresponding entry under 'override' is defined.",
        ),
    ] {
        assert_eq!(
            error(&[RULE, &format!("- {element}\n")]),
            format!("LOAD_ERR_YAML_VALIDATE: {expected}"),
            "{element}"
        );
    }
    let both = error(&[RULE, "- {rule: r, desc: x, append: true, override: {desc: append}}"]);
    assert!(both.contains("Keys 'override' and 'append: true' cannot be used together."), "{both}");
}

#[test]
fn exception_errors() {
    for (exception, expected) in [
        ("{fields: [proc.name]}", "LOAD_ERR_YAML_VALIDATE: Item has no mapping for key 'name'"),
        ("{name: e}", "LOAD_ERR_VALIDATE: Rule exception must have fields property with a list of fields"),
        ("{name: e, fields: [no.such]}", "LOAD_ERR_VALIDATE: 'no.such' is not a supported filter field"),
        (
            "{name: e, fields: [proc.name, fd.name], comps: [=]}",
            "LOAD_ERR_VALIDATE: Fields and comps lists must have equal length",
        ),
        (
            "{name: e, fields: [proc.name], comps: [no-comp]}",
            "LOAD_ERR_VALIDATE: 'no-comp' is not a supported comparison operator",
        ),
        (
            "{name: e, fields: [proc.name, fd.name], values: [[a]]}",
            "LOAD_ERR_VALIDATE: Fields and values lists must have equal length",
        ),
        (
            "{name: e, fields: proc.name, values: [[a]]}",
            "LOAD_ERR_VALIDATE: Expected values array to contain a list of strings",
        ),
        (
            "{name: e, fields: proc.name, comps: '=', values: [a]}",
            "LOAD_ERR_VALIDATE: '=' is not a supported comparison operator",
        ),
    ] {
        let rule = format!(
            "- {{rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, exceptions: [{exception}]}}"
        );
        assert_eq!(error(&[&rule]), expected, "{exception}");
    }
    let base = "- {rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, exceptions: [{name: e, fields: [proc.name]}]}\n";
    let append = |e: &str| error(&[base, &format!("- {{rule: r, append: true, exceptions: [{e}]}}")]);
    assert_eq!(
        append("{name: e, fields: [fd.name], values: [[a]]}"),
        "LOAD_ERR_VALIDATE: Can not append exception fields to existing exception, only values"
    );
    assert_eq!(
        append("{name: f, values: [[a]]}"),
        "LOAD_ERR_VALIDATE: Rule exception must have fields property with a list of fields"
    );
}

#[test]
fn exceptions_become_conditions() {
    let rule = |exceptions: &str| {
        format!(
            "- {{rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, exceptions: {exceptions}}}\n"
        )
    };
    assert_eq!(
        condition(&[&rule(
            "[{name: e, fields: [proc.name, fd.name], comps: [in, startswith], values: [[[a, b], /x], [c, d e]]}]"
        )]),
        "(evt.type = open and not ((proc.name in (a, b) and fd.name startswith /x) or (proc.name in (c) and fd.name startswith \"d e\")))"
    );
    assert_eq!(
        condition(&[&rule("[{name: e, fields: proc.name, values: [a, b c]}]")]),
        "(evt.type = open and not proc.name in (a, \"b c\"))"
    );
    assert_eq!(
        condition(&[&rule("[{name: e, fields: fd.name, comps: startswith oneof, values: [/a, '/b b']}]")]),
        "(evt.type = open and not fd.name startswith oneof (/a, \"/b b\"))"
    );
    assert_eq!(
        condition(&[
            &rule("[{name: e, fields: [proc.name]}]"),
            "- {rule: r, append: true, exceptions: [{name: e, values: [[x]]}]}"
        ]),
        "(evt.type = open and not proc.name = x)"
    );
    assert_eq!(condition(&[&rule("[{name: e, fields: [proc.name]}]")]), "evt.type = open");
}

#[test]
fn warnings_name_what_deserves_a_look() {
    let warn = |element: &str| warnings(&[&format!("{RULE}- {element}\n")]);
    assert_eq!(warn("{foo: bar}"), ["LOAD_UNKNOWN_ITEM: Unknown top level item"]);
    assert_eq!(
        warn("{list: l, items: [], x: 1}"),
        [
            "LOAD_UNKNOWN_KEY: Unknown key 'x'. The key will be ignored.",
            "LOAD_UNUSED_LIST: List not referred to by any other rule/macro"
        ]
    );
    assert_eq!(
        warn("{macro: m, condition: evt.type=open}"),
        ["LOAD_UNUSED_MACRO: Macro not referred to by any other rule/macro"]
    );
    assert!(warn("{macro: 1m, condition: evt.type=open}")[0].starts_with("LOAD_INVALID_MACRO_NAME: "));
    assert!(warn("{list: 'a b', items: []}")[0].starts_with("LOAD_INVALID_LIST_NAME: "));
    assert!(warn("{rule: r, enabled: false}")[0].starts_with("LOAD_DEPRECATED_ITEM: "));
    let rule = |condition: &str, output: &str| {
        warnings(&[&format!("- {{rule: r, desc: d, condition: '{condition}', output: '{output}', priority: INFO}}")])
    };
    assert_eq!(
        rule("proc.name=a", "o"),
        ["LOAD_NO_EVTTYPE: Rule matches too many evt.type values. This has a significant performance penalty."]
    );
    assert_eq!(rule("evt.type=open and evt.dir=<", "o").len(), 1);
    assert_eq!(
        rule("evt.type=open", "%evt.dir x"),
        ["LOAD_DEPRECATED_ITEM: usage of deprecated field 'evt.dir' has been detected in the rule output"]
    );
    assert_eq!(rule("evt.type=open", "x %container.info y").len(), 1);
    assert_eq!(
        rule("evt.type=open and fd.name=proc.name", "o"),
        ["LOAD_COMPILE_CONDITION: 'proc.name' may be a valid field misused as a const string value"]
    );
    assert_eq!(rule("evt.type=open and fd.name regex \"^/etc/passwd$\"", "o").len(), 1);
    let unknown = warnings(&["- {rule: r, desc: d, condition: evt.type=x, output: o, priority: INFO, source: s}"]);
    assert_eq!(unknown, ["LOAD_UNKNOWN_SOURCE: Unknown source s, skipping"]);
}

#[test]
fn appends_and_replacements_merge() {
    let (loader, result) = load_all(&[
        "- {rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, tags: [b]}\n- {list: l, items: [x]}\n- {macro: m, condition: proc.name=a}\n",
        "- {rule: r, condition: and m, desc: e, tags: [a], output: p, override: {condition: append, desc: append, tags: append, output: replace}}\n\
         - {list: l, items: [y], override: {items: append}}\n\
         - {macro: m, condition: or proc.name in (l), override: {condition: append}}\n\
         - {rule: r, priority: ERROR, enabled: no, override: {priority: replace, enabled: replace}}\n",
    ]);
    assert!(result.successful(), "{}", result.verbose());
    assert!(!result.has_warnings(), "{}", result.verbose());
    let rule = &loader.rule_set().rules()[0];
    assert_eq!((rule.description.as_str(), rule.output_text.as_str(), rule.priority), ("d e", "p", Priority::Error));
    assert_eq!(rule.tags, ["a", "b"]);
    assert_eq!(rule.condition, "evt.type=open and m");
    assert!(!rule.enabled && !loader.rule_set().is_enabled(rule.id));
    let compiled = loader.describe_rule("r").expect("rule r")["rules"][0]["details"]["condition_compiled"].clone();
    assert_eq!(compiled, "(evt.type = open and (proc.name = a or proc.name in (x, y)))");
}

#[test]
fn lists_expand_one_level_only() {
    let lists = "- {list: l1, items: [a]}\n- {list: l2, items: [l1, c]}\n- {list: l3, items: [l2, d]}\n";
    let rule = "- {rule: r, desc: d, condition: 'evt.type=open and proc.name in (l3)', output: o, priority: INFO}\n";
    assert_eq!(condition(&[&format!("{lists}{rule}")]), "(evt.type = open and proc.name in (l1, c, d))");
    let later = "- {list: l2, items: [l1, c]}\n- {list: l3, items: [l2, d]}\n- {list: l1, items: [a]}\n";
    assert_eq!(condition(&[&format!("{later}{rule}")]), "(evt.type = open and proc.name in (a, c, d))");
}

#[test]
fn selection_follows_priority_names_and_tags() {
    let text = ["a1", "a2", "b1"].map(|name| {
        let priority = if name == "a2" { "DEBUG" } else { "ERROR" };
        format!("- {{rule: {name}, desc: d, condition: evt.type=open, output: o, priority: {priority}, tags: [{name}, all]}}\n")
    });
    let mut loader = Loader::new(Setup { min_priority: Priority::Notice, ..Setup::builtin() });
    assert!(loader.load("x.yaml", &text.concat()).successful());
    let mut rules = loader.rule_set().clone();
    let names = |rules: &rules::RuleSet| rules.enabled().map(|r| r.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&rules), ["a1", "b1"]);
    assert_eq!(rules.select_by_name("a*", false), 2);
    assert_eq!(names(&rules), ["b1"]);
    assert_eq!(rules.select_by_tag("a2", true), 1);
    rules.select_by_name("a1", true);
    assert_eq!(names(&rules), ["b1", "a2", "a1"]);
    rules.select_by_tag("all", false);
    let program = rules.program(Matching::All);
    assert_eq!(program.source("syscall"), None);
    assert_eq!(program.needed_kinds().count(), 0);
}

#[test]
fn providers_are_checked_after_loading() {
    let check = |requirement: &str| {
        let (loader, result) = load_all(&[&format!("- required_plugin_versions: [{requirement}]")]);
        assert!(result.successful(), "{}", result.verbose());
        loader.check_providers()
    };
    assert_eq!(check("{name: container, version: 0.4.0}"), Ok(()));
    assert_eq!(check("{name: json, version: 0.1.0, alternatives: [{name: container, version: 0.7.0}]}"), Ok(()));
    assert_eq!(
        check("{name: container, version: 0.9.0}"),
        Err("Plugin 'container' version '0.7.1' is not compatible with required plugin version '0.9.0'".to_owned())
    );
    assert_eq!(
        check("{name: a, version: 0.1.0, alternatives: [{name: b, version: 0.2.0}]}"),
        Err("Plugin requirement not satisfied, must load one of: a (>= 0.1.0), b (>= 0.2.0)".to_owned())
    );
}

#[test]
fn results_render_as_text_and_json() {
    let text = "- rule: r\n  desc: d\n  condition: evt.type=open and proc.nosuch=cat\n  output: o\n  priority: info\n";
    let (_, result) = load_all(&[text]);
    let expected = "0.yaml: Invalid\n\
        3 Schema warnings:\n\
        ------\n\
        <root>[0][priority]: Failed to match against any enum values.\n\
        ------\n\
        <root>[0]: Failed to validate against schema associated with property name 'priority'.\n\
        ------\n\
        <root>: Failed to validate item #0 in array.\n\
        ------\n\
        1 Errors:\n\
        In rules content: (0.yaml:0:0)\n    rule 'r': (0.yaml:0:2)\n    rule condition: (0.yaml:2:13)\n    \
        condition expression: (\"evt.type=open and...\":3:32)\n\
        ------\n\
        evt.type=open and proc.nosuch=cat\n                  ^\n\
        ------\n\
        LOAD_ERR_COMPILE_CONDITION (Error compiling condition): filter_check called with nonexistent field proc.nosuch\n";
    assert_eq!(result.verbose(), expected);
    assert!(result.summary().ends_with(" 1 errors: [LOAD_ERR_COMPILE_CONDITION (Error compiling condition)]"));
    let json = result.to_json();
    assert_eq!(json["errors"][0]["context"]["locations"][1]["item_name"], "r");
    assert_eq!(json["errors"][0]["context"]["locations"][1]["position"]["offset"], 2);
    assert_eq!(json["errors"][0]["codedesc"], "Error compiling condition");
    let finding = &result.findings()[0];
    assert_eq!((finding.id.as_str(), finding.subject.as_str()), ("LOAD_ERR_COMPILE_CONDITION", "rule `r`"));
    assert_eq!(finding.span.as_ref().map(ToString::to_string), Some("0.yaml:3:32".to_owned()));
    assert_eq!((&json["successful"], &json["schema_valid"]), (&false.into(), &false.into()));
}

#[test]
fn descriptions_name_what_rules_use() {
    let (loader, _) = load_all(&["- {list: l, items: [a]}\n- {macro: m, condition: 'proc.name in (l)'}\n\
        - {rule: r, desc: a long description, condition: evt.type=open and m, output: 'x %fd.name', priority: INFO}\n"]);
    let all = loader.describe();
    let details = &all["rules"][0]["details"];
    assert_eq!(details["macros"], serde_json::json!(["m"]));
    assert_eq!(details["condition_operators"], serde_json::json!(["=", "in"]));
    assert_eq!(details["condition_fields"], serde_json::json!(["evt.type", "proc.name"]));
    assert_eq!(details["output_fields"], serde_json::json!(["fd.name"]));
    assert_eq!(details["events"], serde_json::json!(["asyncevent", "open"]));
    assert_eq!(all["macros"][0]["details"]["used"], true);
    assert_eq!(all["lists"][0]["details"]["items_compiled"], serde_json::json!(["a"]));
    let text = loader.describe_text(Some("r")).expect("rule r");
    assert!(text.contains(&format!("{:<50} a long description\n\n", "r")), "{text}");
    assert_eq!(loader.describe_text(Some("nosuch")), None);
}

#[test]
fn programs_say_what_they_need() {
    let program = |condition: &str| {
        let text = format!("- {{rule: r, desc: d, condition: '{condition}', output: o, priority: INFO}}\n");
        let (loader, result) = load_all(&[&text]);
        assert!(result.successful(), "{}", result.verbose());
        loader.rule_set().program(Matching::First)
    };
    let names = |program: &rules::Program| {
        program.needed_syscalls().iter().filter_map(|sc| sc.name()).map(str::to_owned).collect::<Vec<_>>()
    };
    let some = program("evt.type in (openat, madvise) and fd.sip.name in (b.example, a.example)");
    assert_eq!(names(&some), ["madvise", "openat"]);
    assert_eq!(some.host_names(), ["a.example", "b.example"]);
    let source = some.source("syscall").expect("a source");
    assert!(some.wants(source, event::Kind::SYSCALL_OPENAT_2_X) && some.wants(source, event::Kind::GENERIC_X));
    assert!(some.wants(source, event::Kind::ASYNCEVENT_E) && !some.wants(source, event::Kind::SYSCALL_CLOSE_X));
    assert_eq!(names(&program("proc.name = a")).len(), event::Sc::all().count());
    let never = program("evt.type = openat and evt.num = 0");
    assert_eq!((never.needed_kinds().count(), names(&never).len()), (0, 0));
    assert!(names(&program("evt.type = procexit")).contains(&"sched_process_exit".to_owned()));
}

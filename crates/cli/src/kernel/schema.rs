//! `--jsonschema`: in, the command table (or any clap command); out, draft 2020-12 schemas of what a command takes. The same
//! objects are the input schemas of the MCP tools.

use super::command::{COMMANDS, Command, Flag, ROOT_LONG, Value};
use super::output::Json;

/// The schema of one command, or of the program itself.
pub fn node(program: &str, command: Option<&Command>, native: bool) -> Json {
    let (title, about, flags): (String, &str, Vec<&Flag>) = match command {
        Some(command) => (format!("{program} {}", command.name), command.long, command.flags(native).collect()),
        None => (program.to_owned(), ROOT_LONG, Vec::new()),
    };
    let mut pairs = head(&title, about);
    if !flags.is_empty() {
        let properties = flags.iter().map(|flag| (flag.name.to_owned(), property(flag, native))).collect();
        pairs.push(("properties".into(), Json::Object(properties)));
    }
    let required: Vec<Json> =
        flags.iter().filter(|flag| flag.required && !native).map(|flag| flag.name.into()).collect();
    if !required.is_empty() {
        pairs.push(("required".into(), Json::Array(required)));
    }
    if command.is_none() {
        pairs.push((
            "x-structcli-subcommands".into(),
            Json::Array(super::args::AVAILABLE.iter().map(|n| (*n).into()).collect()),
        ));
    }
    Json::Object(pairs)
}

/// All commands, depth first, children in alphabetical order.
pub fn tree(program: &str, native: bool) -> Json {
    let mut all = vec![node(program, None, native)];
    for name in ["check", "completion", "config", "help", "probe", "version"] {
        match (name, COMMANDS.iter().find(|command| command.name == name)) {
            (_, Some(command)) => all.push(node(program, Some(command), native)),
            ("completion", None) => all.extend(completion(program)),
            _ => all.push(Json::Object(head(
                &format!("{program} help"),
                "Help provides help for any command in the application.",
            ))),
        }
    }
    Json::Array(all)
}

fn completion(program: &str) -> Vec<Json> {
    let shells = ["bash", "fish", "powershell", "zsh"];
    let mut parent =
        head(&format!("{program} completion"), "Generate the autocompletion script for the specified shell");
    parent.push(("x-structcli-subcommands".into(), Json::Array(shells.iter().map(|shell| (*shell).into()).collect())));
    let leaf = |shell: &&str| {
        let mut pairs =
            head(&format!("{program} completion {shell}"), &format!("Generate the autocompletion script for {shell}"));
        let switch = Json::object([
            ("type", "boolean".into()),
            ("default", false.into()),
            ("description", "disable completion descriptions".into()),
        ]);
        pairs.push(("properties".into(), Json::object([("no-descriptions", switch)])));
        Json::Object(pairs)
    };
    std::iter::once(Json::Object(parent)).chain(shells.iter().map(leaf)).collect()
}

fn head(title: &str, about: &str) -> Vec<(String, Json)> {
    vec![
        ("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into()),
        ("title".into(), title.into()),
        ("description".into(), about.into()),
        ("type".into(), "object".into()),
    ]
}

fn property(flag: &Flag, native: bool) -> Json {
    let mut pairs: Vec<(String, Json)> = Vec::new();
    match flag.value {
        Value::Bool => pairs.extend([("type".into(), "boolean".into()), ("default".into(), false.into())]),
        Value::Choice(words) => {
            let words = Json::Array(words.iter().map(|word| (*word).into()).collect());
            pairs.extend([("type".into(), "string".into()), ("enum".into(), words)]);
        }
        Value::Features | Value::Text(_) if native => {
            let item = Json::object([("type", "string".into())]);
            pairs.extend([("type".into(), Json::Array(vec!["string".into(), "array".into()])), ("items".into(), item)]);
        }
        Value::Features | Value::Text(_) => pairs.push(("type".into(), "string".into())),
    }
    pairs.push(("description".into(), flag.help.into()));
    if let Some(letter) = flag.short {
        pairs.push(("x-structcli-shorthand".into(), letter.to_string().into()));
    }
    pairs.push(("x-structcli-field-path".into(), flag.name.into()));
    Json::Object(pairs)
}

//! Help, completion candidates and completion scripts as `kfeatures`. In: the command table; out: text. The words that the
//! reference's users and their scripts look for are kept; under our own name help looks as that of our other tools.

use super::args::feature_names;
use super::command::{self, COMMANDS, Command, Flag, ROOT_LONG, Value};
use std::fmt::Write;

/// Help of the program or of one command.
pub fn help(program: &str, command: Option<&Command>) -> String {
    match command {
        Some(command) => of_command(program, command),
        None => of_root(program),
    }
}

fn of_root(program: &str) -> String {
    let mut out = format!("{ROOT_LONG}\n\nUsage:\n  {program} [flags]\n  {program} [command]\n\nAvailable Commands:\n");
    for (name, about) in listed() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {name:<11} {about}");
    }
    out.push_str("\nFlags:\n  -h, --help                        help for kfeatures\n");
    out.push_str(GLOBAL);
    let _ = write!(out, "\nUse \"{program} [command] --help\" for more information about a command.\n");
    out
}

fn of_command(program: &str, command: &Command) -> String {
    let mut out = format!("{}\n", command.long);
    if command.name == "check" {
        out.push_str("\nAvailable features:\n");
        feature_names().for_each(|name| _ = writeln!(out, "  {name}"));
    }
    let _ = write!(out, "\nUsage:\n  {program} {} [flags]\n", command.name);
    out.push_str("\nFlags:\n");
    for flag in command.flags(false) {
        let _ = writeln!(out, "{}", flag_line(flag));
    }
    let _ = writeln!(out, "  -h, --help{:20}help for {}", "", command.name);
    let _ = write!(out, "\nGlobal Flags:\n{GLOBAL}");
    out
}

fn flag_line(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
    let words = match flag.value {
        Value::Choice(words) => format!(" ({})", words.join(", ")),
        _ => String::new(),
    };
    let left = format!("  {short}--{} {}", flag.name, flag.word());
    format!("{left:<32}{}{words}", flag.help)
}

fn listed() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = COMMANDS.iter().map(|command| (command.name, command.short)).collect();
    all.push(("completion", "Generate the autocompletion script for the specified shell"));
    all.push(("help", "Help about any command"));
    all.sort_unstable();
    all
}

/// Candidates for the last word, with the directive line that completion scripts expect.
pub fn complete(words: &[String], descriptions: bool) -> String {
    let (partial, before) = words.split_last().map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let command = before.iter().find_map(|word| command::find(word));
    let (candidates, directive) = candidates(command, before, partial);
    let mut out = String::new();
    for (name, about) in candidates {
        let _ =
            if descriptions && !about.is_empty() { writeln!(out, "{name}\t{about}") } else { writeln!(out, "{name}") };
    }
    let _ = writeln!(out, ":{directive}");
    out
}

fn candidates(command: Option<&'static Command>, before: &[String], partial: &str) -> (Vec<(String, String)>, u8) {
    let wants_feature = before.last().is_some_and(|word| word == "--require" || word == "-r");
    if command.is_some_and(|c| c.name == "check") && wants_feature {
        return (features(partial, ""), NO_SPACE_NO_FILES);
    }
    if let Some(value) = partial.strip_prefix("--require=").filter(|_| command.is_some_and(|c| c.name == "check")) {
        return (features(value, "--require="), NO_SPACE_NO_FILES);
    }
    match command {
        None if before.iter().all(|word| word.starts_with('-')) && !partial.starts_with('-') => {
            let all = listed().into_iter().filter(|(name, _)| name.starts_with(partial));
            (all.map(|(n, a)| (n.to_owned(), a.to_owned())).collect(), NO_FILES)
        }
        Some(command) if partial.starts_with('-') => (flags(command, before, partial), NO_FILES),
        _ => (Vec::new(), NO_FILES),
    }
}

/// A required flag hides the others until it is given.
fn flags(command: &'static Command, before: &[String], partial: &str) -> Vec<(String, String)> {
    let given = |flag: &Flag| {
        before
            .iter()
            .any(|word| *word == format!("--{}", flag.name) || flag.short.is_some_and(|c| *word == format!("-{c}")))
    };
    let missing: Vec<_> = command.flags(false).filter(|flag| flag.required && !given(flag)).collect();
    let offered: Vec<&Flag> = if missing.is_empty() { command.flags(false).collect() } else { missing };
    let shown = offered.into_iter().map(|flag| (format!("--{}", flag.name), flag.help.to_owned()));
    shown.filter(|(name, _)| name.starts_with(partial)).collect()
}

fn features(typed: &str, prefix: &str) -> Vec<(String, String)> {
    let (head, part) = typed.rfind(',').map_or(("", typed), |at| typed.split_at(at + 1));
    let taken: Vec<String> = head.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let part = part.to_ascii_lowercase();
    let free = feature_names().filter(|name| name.starts_with(&part) && !taken.iter().any(|t| t == name));
    free.map(|name| (format!("{prefix}{head}{name}"), String::new())).collect()
}

/// A completion script that asks the program itself; `None` for an unknown shell.
pub fn script(program: &str, shell: &str, descriptions: bool) -> Option<String> {
    let ask = if descriptions { "__complete" } else { "__completeNoDesc" };
    let template = match shell {
        "bash" => BASH,
        "zsh" => ZSH,
        "fish" => FISH,
        "powershell" => POWERSHELL,
        _ => return None,
    };
    Some(template.replace("@PROGRAM@", program).replace("@ASK@", ask))
}

const GLOBAL: &str =
    "      --jsonschema string[=\"true\"]   print the JSON schema of the command (tree for all commands)
      --mcp                          serve MCP over stdio
";
const NO_FILES: u8 = 4;
const NO_SPACE_NO_FILES: u8 = 6;

const BASH: &str = r#"# bash completion for @PROGRAM@
__@PROGRAM@_complete() {
    local out line directive
    out=$("${COMP_WORDS[0]}" @ASK@ "${COMP_WORDS[@]:1:$COMP_CWORD}" 2>/dev/null) || return
    directive=${out##*:}
    COMPREPLY=()
    while IFS= read -r line; do
        [ -n "$line" ] && [ "${line:0:1}" != ":" ] && COMPREPLY+=("${line%%$'\t'*}")
    done <<<"$out"
    [ $((directive & 2)) -ne 0 ] && compopt -o nospace
    return 0
}
complete -F __@PROGRAM@_complete @PROGRAM@
"#;
const ZSH: &str = r#"#compdef @PROGRAM@
_@PROGRAM@() {
    local -a candidates
    local line
    while IFS= read -r line; do
        [[ -n $line && $line != :* ]] && candidates+=("${line%%$'\t'*}")
    done < <("${words[1]}" @ASK@ "${(@)words[2,$CURRENT]}" 2>/dev/null)
    compadd -a candidates
}
compdef _@PROGRAM@ @PROGRAM@
"#;
const FISH: &str = r#"# fish completion for @PROGRAM@
function __@PROGRAM@_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] @ASK@ $words[2..-1] 2>/dev/null | string match -v -r '^:'
end
complete -c @PROGRAM@ -f -a '(__@PROGRAM@_complete)'
"#;
const POWERSHELL: &str = r#"# powershell completion for @PROGRAM@
Register-ArgumentCompleter -CommandName '@PROGRAM@' -ScriptBlock {
    param($word, $ast)
    $words = $ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" }
    if (-not $word) { $words += '' }
    & '@PROGRAM@' @ASK@ @words 2>$null | Where-Object { $_ -notmatch '^:' } | ForEach-Object {
        $name = ($_ -split "`t")[0]
        [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $name)
    }
}
"#;

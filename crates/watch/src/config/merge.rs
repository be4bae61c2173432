//! From files and `-o` options to one tree: the main file, then `config_files` in order with their strategies, then the
//! options. What was loaded, and whether it fits the schema, is reported per file. Reading files is the only I/O here.

use super::node::{Data, Node, ParseError, Place};
use super::{env, schema};
use std::io;
use std::path::{Path, PathBuf};

/// A merged tree and where it came from.
#[derive(Debug)]
pub struct Loaded {
    pub tree: Node,
    pub files: Vec<LoadedFile>,
    /// Directories named by `config_files`; new files there change the configuration.
    pub directories: Vec<PathBuf>,
    /// What does not fit the schema in options, one line each.
    pub odd_options: Vec<String>,
}

/// One file that took part.
#[derive(Debug, Clone)]
pub struct LoadedFile {
    pub path: PathBuf,
    /// The first thing that does not fit the schema.
    pub misfit: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("Could not find configuration file at {0}")]
    Missing(String),
    #[error("configuration file `{path}`: {cause}")]
    Read { path: String, cause: io::Error },
    #[error("configuration: {0}")]
    Parse(#[from] ParseError),
    #[error("Config error: 'config_files' directive in included config file {0}.")]
    NestedInclude(String),
    #[error("Config error: 'config_files' directive tried to recursively include main config file: {0}.")]
    Recursive(String),
    #[error(
        "Config error: 'config_files' entry at {place}: unknown strategy `{strategy}`--must be one of append, override, add-only"
    )]
    Strategy { place: Place, strategy: String },
    #[error("Error parsing config option \"{0}\". Must be of the form key=val or key.subkey=val")]
    Option(String),
    #[error("Config error at key \"{key}\": Parsing error: {reason}")]
    Key { key: String, reason: String },
}

/// Reads `main` (or nothing), merges what its `config_files` name, applies `options`.
///
/// # Errors
/// See [`LoadError`].
pub fn load(main: Option<&Path>, options: &[String]) -> Result<Loaded, LoadError> {
    let mut loaded =
        Loaded { tree: empty(), files: Vec::new(), directories: Vec::new(), odd_options: misfits(options) };
    if let Some(path) = main {
        if !path.exists() {
            return Err(LoadError::Missing(path.display().to_string()));
        }
        loaded.tree = read_file(path, &mut loaded.files)?;
    }
    let (early, late): (Vec<&String>, Vec<&String>) = options.iter().partition(|o| o.starts_with("config_files"));
    early.into_iter().try_for_each(|option| apply_option(&mut loaded.tree, option))?;
    include(&mut loaded, main)?;
    late.into_iter().try_for_each(|option| apply_option(&mut loaded.tree, option))?;
    Ok(loaded)
}

/// As [`load`] with the text of a main file; other files are not looked at.
pub fn load_text(name: &str, text: &str, options: &[String]) -> Result<Loaded, LoadError> {
    let tree = parse(name, text)?;
    let mut loaded = Loaded { tree, files: Vec::new(), directories: Vec::new(), odd_options: misfits(options) };
    options.iter().try_for_each(|option| apply_option(&mut loaded.tree, option))?;
    Ok(loaded)
}

fn read_file(path: &Path, files: &mut Vec<LoadedFile>) -> Result<Node, LoadError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|cause| LoadError::Read { path: name.clone(), cause })?;
    let tree = parse(&name, &String::from_utf8_lossy(&bytes))?;
    files.push(LoadedFile { path: path.to_owned(), misfit: schema::misfit(&tree) });
    Ok(tree)
}

/// A tree of keys with environment references expanded.
fn parse(name: &str, text: &str) -> Result<Node, LoadError> {
    let mut tree = Node::parse(name, text)?;
    tree.for_each_scalar(&mut |value| {
        if value.contains("${") {
            *value = env::expand(value, &|name| std::env::var(name).ok());
        }
    });
    if !matches!(tree.data, Data::Map(_) | Data::Null) {
        return Err(
            ParseError { place: tree.place, reason: "a configuration file must be a map of keys".into() }.into()
        );
    }
    Ok(tree)
}

#[derive(Clone, Copy, PartialEq)]
enum Strategy {
    Append,
    Override,
    AddOnly,
}

fn include(loaded: &mut Loaded, main: Option<&Path>) -> Result<(), LoadError> {
    let entries: Vec<Node> = loaded.tree.get("config_files").map(|n| n.elements().to_vec()).unwrap_or_default();
    for entry in entries {
        let (path, strategy) = entry_of(&entry)?;
        if path.is_dir() {
            loaded.directories.push(path.clone());
        }
        for file in files_of(&path) {
            if main.is_some_and(|main| same_file(main, &file)) {
                return Err(LoadError::Recursive(file.display().to_string()));
            }
            let tree = read_file(&file, &mut loaded.files)?;
            if tree.get("config_files").is_some() {
                return Err(LoadError::NestedInclude(file.display().to_string()));
            }
            merge(&mut loaded.tree, tree, strategy);
        }
    }
    Ok(())
}

fn entry_of(entry: &Node) -> Result<(PathBuf, Strategy), LoadError> {
    let path = entry.text().or_else(|| entry.get("path").and_then(Node::text)).unwrap_or_default();
    let strategy = match entry.get("strategy").and_then(Node::text).unwrap_or("append") {
        "append" => Strategy::Append,
        "override" => Strategy::Override,
        "add-only" => Strategy::AddOnly,
        other => return Err(LoadError::Strategy { place: entry.place.clone(), strategy: other.to_owned() }),
    };
    Ok((PathBuf::from(path), strategy))
}

/// The file itself, or the regular files of a directory by name. What does not exist is skipped.
fn files_of(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
        .unwrap_or_default();
    files.sort();
    files
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Merges the top-level keys of `from` into `into`.
fn merge(into: &mut Node, from: Node, strategy: Strategy) {
    let Data::Map(entries) = from.data else { return };
    for (key, value) in entries {
        let Data::Map(existing) = &mut into.data else { continue };
        let old = existing.iter_mut().find(|(name, _)| *name == key).map(|(_, node)| node);
        match (old, value.data) {
            (Some(_), _) if strategy == Strategy::AddOnly => {}
            (Some(Node { data: Data::List(items), .. }), Data::List(more)) if strategy == Strategy::Append => {
                items.extend(more);
            }
            (Some(old), data) => *old = Node { data, place: value.place },
            (None, data) => existing.push((key, Node { data, place: value.place })),
        }
    }
}

fn empty() -> Node {
    Node { data: Data::Map(Vec::new()), place: Place { file: "built-in defaults".into(), line: 0, column: 0 } }
}

/// One step of an option's path.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
    Append,
}

/// Sets `key.sub[0].sub=value` in `tree`.
fn apply_option(tree: &mut Node, option: &str) -> Result<(), LoadError> {
    let (key, value) = option.split_once('=').ok_or_else(|| LoadError::Option(option.to_owned()))?;
    let place = Place { file: format!("option `-o {key}`").into(), line: 0, column: 0 };
    let wrong = |reason: String| LoadError::Key { key: key.to_owned(), reason };
    let steps = steps(key).map_err(&wrong)?;
    let value = value.trim();
    let node = if value.starts_with('{') && value.ends_with('}') {
        Node::parse(&place.file, value).map_err(|e| wrong(e.to_string()))?
    } else {
        Node::scalar(value, place.clone())
    };
    *descend(tree, &steps, &place).map_err(wrong)? = node;
    Ok(())
}

/// What does not fit the schema in each option taken alone. An index that only exists in a file is not looked at.
fn misfits(options: &[String]) -> Vec<String> {
    let misfit = |option: &String| {
        let mut tree = empty();
        apply_option(&mut tree, option).ok()?;
        schema::misfit(&tree)
    };
    options.iter().filter_map(misfit).collect()
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut chars = path.trim().chars().enumerate();
    let mut after_index = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => {
                match (name.is_empty(), after_index) {
                    (false, _) => steps.push(Step::Key(std::mem::take(&mut name))),
                    (true, true) => {}
                    (true, false) => return Err(format!("unexpected '{c}' at position {at}")),
                }
                after_index = c == '[';
                if c == '[' {
                    let rest: String = chars.clone().map(|(_, c)| c).collect();
                    let (inside, _) =
                        rest.split_once(']').ok_or_else(|| format!("'[' at position {at} is never closed"))?;
                    steps.push(index_step(inside)?);
                    chars.by_ref().find(|(_, c)| *c == ']');
                }
            }
            ']' => return Err(format!("unexpected ']' at position {at}")),
            _ => name.push(c),
        }
    }
    if !name.is_empty() {
        steps.push(Step::Key(name));
    }
    if steps.is_empty() { Err("empty key".into()) } else { Ok(steps) }
}

fn index_step(inside: &str) -> Result<Step, String> {
    match inside {
        "" => Ok(Step::Append),
        digits => digits.parse().map(Step::Index).map_err(|_| format!("'{digits}' is not an index")),
    }
}

/// The node that `steps` name, made on the way where it does not exist.
fn descend<'n>(tree: &'n mut Node, steps: &[Step], place: &Place) -> Result<&'n mut Node, String> {
    let mut node = tree;
    for step in steps {
        node = match step {
            Step::Key(key) => {
                if node.get(key).is_none() {
                    node.set(key, Node { data: Data::Null, place: place.clone() });
                }
                let Data::Map(entries) = &mut node.data else { return Err(format!("'{key}' has no parent map")) };
                let found = entries.iter_mut().find(|(name, _)| name == key);
                found.map(|(_, node)| node).ok_or_else(|| format!("'{key}' cannot be set"))?
            }
            Step::Index(index) => element(node, *index, place)?,
            Step::Append => {
                let end = if let Data::List(items) = &node.data { items.len() } else { 0 };
                element(node, end, place)?
            }
        };
    }
    Ok(node)
}

/// Element `index` of a list; one past the end makes a new one, and a node that is no list becomes one.
fn element<'n>(node: &'n mut Node, index: usize, place: &Place) -> Result<&'n mut Node, String> {
    if !matches!(node.data, Data::List(_)) {
        node.data = Data::List(Vec::new());
    }
    let Data::List(items) = &mut node.data else { return Err("not a list".into()) };
    let len = items.len();
    if index == len {
        items.push(Node { data: Data::Null, place: place.clone() });
    }
    items.get_mut(index).ok_or_else(|| format!("index {index} is out of range: the list has {len} elements"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &[&str]) -> Result<Node, LoadError> {
        let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        load(None, &options).map(|loaded| loaded.tree)
    }

    #[test]
    fn options_set_nested_values() {
        let tree =
            with(&["a.b=1", "l[]=x", "l[]=y", "l[0]=z", "rules[].disable.rule=*", "m={k: [1, 2]}", "e\\.f=g"]).unwrap();
        assert_eq!(tree.at("a.b").and_then(Node::text), Some("1"));
        assert_eq!(tree.get("l").map(Node::to_json), Some(serde_json::json!(["z", "y"])));
        assert_eq!(tree.get("rules").map(Node::to_json), Some(serde_json::json!([{"disable": {"rule": "*"}}])));
        assert_eq!(tree.at("m.k").map(|n| n.elements().len()), Some(2));
        assert_eq!(tree.get("e.f").and_then(Node::text), Some("g"));
    }

    #[test]
    fn wrong_options_say_what_is_expected() {
        let text = |options: &[&str]| with(options).unwrap_err().to_string();
        assert_eq!(text(&["x"]), "Error parsing config option \"x\". Must be of the form key=val or key.subkey=val");
        assert!(text(&["a[x]=1"]).starts_with("Config error at key \"a[x]\": Parsing error: "));
        assert!(text(&["a[3]=1"]).contains("out of range"));
        assert!(text(&["=1"]).contains("empty key"));
        assert!(text(&["a[=1"]).contains("'[' at position 1 is never closed"));
    }

    #[test]
    fn options_that_do_not_fit_are_named() {
        let options = ["webserver.enabld=true", "json_output=true", "rules[].disable.rule=*", "output_timeout=x"];
        let odd = load(None, &options.map(str::to_owned)).unwrap().odd_options;
        let [unknown, number] = odd.as_slice() else { panic!("{odd:?}") };
        assert!(
            unknown.contains("unknown key `enabld`, did you mean `enabled`? (option `-o webserver.enabld`"),
            "{unknown}"
        );
        assert!(number.contains("not a number from 0") && number.contains("-o output_timeout"), "{number}");
    }

    #[test]
    fn files_merge_by_strategy() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("d")).unwrap();
        std::fs::write(path("d/1.yaml"), "l: [b]\ns: 2\nm: {y: 1}\n").unwrap();
        std::fs::write(path("add.conf"), "s: 3\nn: 4\n").unwrap();
        std::fs::write(path("over.yaml"), "l: [c]\n").unwrap();
        let main = path("main.yaml");
        let entries = |last: &str| {
            format!(
                "l: [a]\ns: 1\nm: {{x: 1}}\nconfig_files: ['{0}/d', {{path: '{0}/add.conf', strategy: add-only}}, '{0}/none'{last}]\n",
                dir.path().display()
            )
        };
        std::fs::write(&main, entries("")).unwrap();
        let tree = load(Some(&main), &[]).unwrap().tree;
        assert_eq!(tree.get("l").map(Node::to_json), Some(serde_json::json!(["a", "b"])));
        assert_eq!(tree.get("s").and_then(Node::text), Some("2"));
        assert_eq!(tree.get("m").map(Node::to_json), Some(serde_json::json!({"y": 1})));
        assert_eq!(tree.get("n").and_then(Node::text), Some("4"));
        std::fs::write(
            &main,
            entries(&format!(", {{path: '{}/over.yaml', strategy: override}}", dir.path().display())),
        )
        .unwrap();
        assert_eq!(load(Some(&main), &[]).unwrap().tree.get("l").map(Node::to_json), Some(serde_json::json!(["c"])));
        std::fs::write(&main, entries(&format!(", '{}'", main.display()))).unwrap();
        assert!(matches!(load(Some(&main), &[]), Err(LoadError::Recursive(_))));
    }
}

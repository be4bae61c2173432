//! Packet programs of users: an object file with a `hawkbell_judge` function and a line of metadata comes in
//! (bpf/hawkbell_program.h), a row like those of the catalogue and an object that holds the program goes out. Nothing
//! reaches the kernel here. What the metadata lacks or misspells is said all at once.

use crate::catalogue::{self, InputKind, Layer, Program};
use load::Loader;
use std::path::Path;

/// A user's program, linked into a copy of the catalogue's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserProgram {
    /// Its row. Lives as long as the process, as those of the catalogue do.
    pub program: &'static Program,
    /// A frame that the program is unsure about passes.
    pub fails_open: bool,
    object: Vec<u8>,
}

/// Why a file is no packet program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("program file `{path}`: {error}")]
    File { path: String, error: std::io::Error },
    #[error("program file `{path}`: is no BPF object (compile it with `clang -O2 -g -target bpf -c`)")]
    NoObject { path: String },
    #[error("program file `{path}`: {error}")]
    Object { path: String, error: load::Error },
    #[error(
        "program file `{path}`: says nothing about itself (add HAWKBELL_PROGRAM(\"name=...\") from `hawkbell traffic header`, and compile with -g)"
    )]
    NoMetadata { path: String },
    #[error("program file `{path}`: HAWKBELL_PROGRAM: {}", .problems.join("; "))]
    Metadata { path: String, problems: Vec<String> },
}

impl UserProgram {
    /// # Errors
    /// The file cannot be read, is no BPF object, or its metadata is wrong.
    pub fn read(path: &Path) -> Result<UserProgram, Error> {
        let path_text = || path.display().to_string();
        let object = std::fs::read(path).map_err(|error| Error::File { path: path_text(), error })?;
        UserProgram::of(&path_text(), &object)
    }

    fn of(path: &str, object: &[u8]) -> Result<UserProgram, Error> {
        let wrong = |error| match error {
            load::Error::Open { .. } => Error::NoObject { path: path.to_owned() },
            error => Error::Object { path: path.to_owned(), error },
        };
        let text = Loader::new("user", object).initial_value(METADATA).map_err(wrong)?;
        let text = text.ok_or_else(|| Error::NoMetadata { path: path.to_owned() })?;
        let (program, fails_open) =
            parse(&text).map_err(|problems| Error::Metadata { path: path.to_owned(), problems })?;
        let linked = load::link(&program.name, &[OBJECT, object]).map_err(wrong)?;
        let name: &'static str = Box::leak(program.name.into_boxed_str());
        let row = Program { number: NUMBER, name, input: program.input, layer: program.layer };
        Ok(UserProgram { program: Box::leak(Box::new(row)), fails_open, object: linked })
    }

    /// The object to load: the catalogue's programs with this one among them.
    pub fn object(&self) -> &[u8] {
        &self.object
    }
}

struct Metadata {
    name: String,
    input: InputKind,
    layer: Option<Layer>,
}

/// `name=odd_ports input=port layer=l4 fail=closed`, up to the first zero byte.
fn parse(bytes: &[u8]) -> Result<(Metadata, bool), Vec<String>> {
    let text = String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
    let mut metadata = Metadata { name: String::new(), input: InputKind::None, layer: None };
    let (mut fails_open, mut problems) = (false, Vec::new());
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let done = match key {
            "name" => name(value).map(|name| metadata.name = name),
            "input" => choose(value, &INPUTS).map(|input| metadata.input = input),
            "layer" => choose(value, &LAYERS).map(|layer| metadata.layer = layer),
            "fail" => choose(value, &FAILURES).map(|open| fails_open = open),
            _ => Err("there is no such key (name, input, layer, fail)".to_owned()),
        };
        problems.extend(done.err().map(|why| format!("`{word}`: {why}")));
    }
    if metadata.name.is_empty() && problems.is_empty() {
        problems.push("`name=` is missing".to_owned());
    }
    if problems.is_empty() { Ok((metadata, fails_open)) } else { Err(problems) }
}

fn name(value: &str) -> Result<String, String> {
    let is_name = value.starts_with(|c: char| c.is_ascii_lowercase())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_name || value.len() > MAX_NAME_BYTES {
        return Err(format!("a name is a letter, then letters, digits and `_`, at most {MAX_NAME_BYTES}"));
    }
    match catalogue::find(value) {
        Some(_) => Err("a program of the catalogue has that name".to_owned()),
        None => Ok(value.to_owned()),
    }
}

fn choose<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == value);
    let names = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    found.map(|(_, meaning)| *meaning).ok_or_else(|| format!("one of {} is wanted", names()))
}

/// What `hawkbell traffic header` prints.
pub const HEADER: &str = include_str!("../bpf/hawkbell_program.h");
/// `USER_PROGRAM` in bpf/user.h.
const NUMBER: u32 = 1000;
const METADATA: &str = "hawkbell_program";
const MAX_NAME_BYTES: usize = 32;
static OBJECT: &[u8] = include!(concat!(env!("OUT_DIR"), "/user.bpf.rs"));
const INPUTS: [(&str, InputKind); 5] = [
    ("none", InputKind::None),
    ("address", InputKind::Address),
    ("port", InputKind::Port),
    ("ethertypes", InputKind::EtherTypes),
    ("protocols", InputKind::Protocols),
];
const LAYERS: [(&str, Option<Layer>); 4] =
    [("none", None), ("l2", Some(Layer::L2)), ("l3", Some(Layer::L3)), ("l4", Some(Layer::L4))];
const FAILURES: [(&str, bool); 2] = [("closed", false), ("open", true)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_up_to_the_zero() {
        let (metadata, fails_open) = parse(b"name=odd_ports input=port\nlayer=l4 fail=open\0junk").unwrap();
        assert_eq!((metadata.name.as_str(), metadata.input), ("odd_ports", InputKind::Port));
        assert_eq!((metadata.layer, fails_open), (Some(Layer::L4), true));
        let (metadata, fails_open) = parse(b"name=a").unwrap();
        assert_eq!((metadata.input, metadata.layer, fails_open), (InputKind::None, None, false));
    }

    #[test]
    fn every_mistake_is_named() {
        let check = |text: &str, problems: &[&str]| {
            let found = parse(text.as_bytes()).map(|_| ()).unwrap_err();
            assert_eq!(found, problems, "{text}");
        };
        check("", &["`name=` is missing"]);
        check("name=nop", &["`name=nop`: a program of the catalogue has that name"]);
        check(
            "name=Odd input=ports colour=red",
            &[
                "`name=Odd`: a name is a letter, then letters, digits and `_`, at most 32",
                "`input=ports`: one of none, address, port, ethertypes, protocols is wanted",
                "`colour=red`: there is no such key (name, input, layer, fail)",
            ],
        );
    }

    #[test]
    fn junk_is_no_program() {
        let error = UserProgram::of("junk.o", b"junk").unwrap_err().to_string();
        assert!(error.starts_with("program file `junk.o`: is no BPF object"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn any_metadata_is_answered(bytes in proptest::collection::vec(0u8.., 0..80)) {
            let _ = parse(&bytes);
        }
    }
}

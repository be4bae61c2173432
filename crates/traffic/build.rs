//! Compiles bpf/*.bpf.c and turns the rows of bpf/catalogue.def into a Rust table and a list of C includes.
//! A row that cannot be read stops the build with its text.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = write_tables() {
        println!("cargo::error={error}");
        return ExitCode::FAILURE;
    }
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    for source in ["bpf/programs.bpf.c", "bpf/user.bpf.c", "bpf/policy.bpf.c", "benches/bare.bpf.c"] {
        let built = bpf_build::Object::new(source).include("bpf").include(&out).build();
        if built != ExitCode::SUCCESS {
            return built;
        }
    }
    ExitCode::SUCCESS
}

fn write_tables() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=bpf");
    let text = std::fs::read_to_string("bpf/catalogue.def")?;
    let rows = text.lines().filter(|l| l.starts_with("PROGRAM(")).map(Row::parse).collect::<Result<Vec<_>, _>>()?;
    write_rows(&rows, &out)
}

struct Row {
    number: u32,
    name: String,
    input: &'static str,
    layer: &'static str,
}

impl Row {
    fn parse(line: &str) -> Result<Row, String> {
        let refuse = |what: &str| format!("bpf/catalogue.def: `{line}`: {what}");
        let inner = line.trim().strip_prefix("PROGRAM(").and_then(|l| l.strip_suffix(')'));
        let fields: Vec<&str> = inner.ok_or_else(|| refuse("not PROGRAM(...)"))?.split(',').map(str::trim).collect();
        let [number, name, input, layer] = fields[..] else { return Err(refuse("four columns wanted")) };
        let number = number.parse().map_err(|_| refuse("number wanted in column 1"))?;
        let input = word(&INPUTS, input).ok_or_else(|| refuse("unknown input kind"))?;
        let layer = word(&LAYERS, layer).ok_or_else(|| refuse("unknown layer"))?;
        Ok(Row { number, name: name.to_owned(), input, layer })
    }
}

fn word(words: &[(&str, &'static str)], text: &str) -> Option<&'static str> {
    words.iter().find(|(name, _)| *name == text).map(|(_, code)| *code)
}

fn write_rows(rows: &[Row], out: &Path) -> Result<(), Box<dyn Error>> {
    let (mut rust, mut c) = (String::from("[\n"), String::new());
    for Row { number, name, input, layer } in rows {
        writeln!(rust, "Program {{ number: {number}, name: \"{name}\", input: {input}, layer: {layer} }},")?;
        writeln!(c, "#include \"programs/{name}.h\"")?;
    }
    rust.push(']');
    std::fs::write(out.join("catalogue_rows.rs"), rust)?;
    std::fs::write(out.join("catalogue_files.h"), c)?;
    Ok(())
}

const INPUTS: [(&str, &str); 5] = [
    ("none", "InputKind::None"),
    ("address", "InputKind::Address"),
    ("port", "InputKind::Port"),
    ("ethertypes", "InputKind::EtherTypes"),
    ("protocols", "InputKind::Protocols"),
];
const LAYERS: [(&str, &str); 4] =
    [("none", "None"), ("l2", "Some(Layer::L2)"), ("l3", "Some(Layer::L3)"), ("l4", "Some(Layer::L4)")];

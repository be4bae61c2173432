//! The measured verdicts of the catalogue programs (shared corpus) against the reference written in Rust.
//! Skips with a printed reason when the corpus is absent.

use traffic::catalogue;
use traffic::chain::Stage;
use traffic::input::Input;
use traffic::reference::{Reading, stage_passes};

#[test]
fn reference_agrees_with_the_measured_verdicts() {
    let Some(corpus) = Corpus::read() else { return };
    let mut judged = 0;
    for (name, frame, verdicts) in &corpus.frames {
        for (column, expected) in verdicts {
            let (stage, chained) = corpus.column(column);
            let passed = stage_passes(&stage, Reading { chained, strict_vlan: false }, frame);
            assert_eq!(passed, expected != "shot", "{name}: {column}");
            judged += 1;
        }
    }
    assert!(judged > 2000, "{judged}");
}

struct Corpus {
    inputs: serde_json::Value,
    frames: Vec<(String, Vec<u8>, Vec<(String, String)>)>,
}

impl Corpus {
    fn read() -> Option<Corpus> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/traffic/vectors.json");
        let Ok(text) = std::fs::read(path) else {
            println!("skipped: no shared corpus");
            return None;
        };
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let frames = value["vectors"].as_array().unwrap().iter().map(frame).collect();
        Some(Corpus { inputs: value["inputs"].clone(), frames })
    }

    fn column(&self, column: &str) -> (Stage, bool) {
        let (name, mode) = column.split_once('/').unwrap();
        let program = catalogue::find(name).unwrap();
        let input = self.inputs[name].as_str().map_or(Input::None, |text| Input::parse(program.input, text).unwrap());
        (Stage { program, input }, mode == "chained")
    }
}

fn frame(vector: &serde_json::Value) -> (String, Vec<u8>, Vec<(String, String)>) {
    let hex = vector["hex"].as_str().unwrap();
    let bytes = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let verdicts = vector["verdict"].as_object().unwrap().iter();
    let verdicts = verdicts.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
    (vector["name"].as_str().unwrap().to_owned(), bytes, verdicts)
}

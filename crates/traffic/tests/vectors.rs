//! The measured verdicts of the catalogue programs (shared corpus) against the reference written in Rust and against the
//! programs in the kernel (BPF_PROG_TEST_RUN).
//! Skips with a printed reason when the corpus is absent.

#![allow(clippy::print_stdout)] // reasons for skips and what was compared belong in the output

mod common;

use traffic::catalogue;
use traffic::chain::{Selection, Stage};
use traffic::input::Input;
use traffic::kernel::LoadedPrograms;
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

#[test]
fn kernel_agrees_with_the_measured_verdicts() {
    let Some(corpus) = Corpus::read().filter(|_| common::may_load()) else { return };
    let columns: Vec<String> = corpus.frames[0].2.iter().map(|(column, _)| column.clone()).collect();
    let (mut judged, mut refused) = (0, 0);
    for column in &columns {
        let (stage, chained) = corpus.column(column);
        let selection = if chained { Selection::Chain(vec![stage]) } else { Selection::Single(stage) };
        let program = LoadedPrograms::load(&selection, false, 0).unwrap();
        for (name, frame, verdicts) in &corpus.frames {
            let expected = &verdicts.iter().find(|(c, _)| c == column).unwrap().1;
            match program.run(frame, 1) {
                Ok((passed, _)) => assert_eq!(passed, expected != "shot", "{name}: {column}"),
                Err(error) => {
                    assert_eq!(error.errno(), Some(22), "{name}: {column}: {error}");
                    refused += 1;
                }
            }
            judged += 1;
        }
    }
    println!("{judged} verdicts, {refused} frames refused by the kernel (judged by the reference alone)");
    assert!(judged > 2000 && refused * 10 < judged, "{judged} {refused}");
}

/// Chains: the kernel's fused program against the reference, frame by frame, in both readings of VLAN tags.
#[test]
fn fused_chains_agree_with_the_reference() {
    let Some(corpus) = Corpus::read().filter(|_| common::may_load()) else { return };
    for text in [
        "allow_ethertype:ipv4+arp,allow_ipv4:10.0.0.10,allow_proto:tcp+udp,allow_port:443",
        "allow_ethertype:ipv4+ipv6,allow_dns:10.0.0.53",
        "allow_ethertype:vlan+qinq+ipv4",
        "allow_ethertype:ipv4,allow_proto:tcp,allow_proto:tcp+icmp,allow_port:443,allow_port:443,allow_dns:10.0.0.10",
    ] {
        let selection = Selection::Chain(traffic::chain::parse(text).unwrap());
        for strict in [false, true] {
            let program = LoadedPrograms::load(&selection, strict, -1).unwrap();
            for (name, frame, _) in &corpus.frames {
                if let Ok((passed, _)) = program.run(frame, 1) {
                    assert_eq!(
                        passed,
                        traffic::reference::passes(&selection, strict, frame),
                        "{text} {strict}: {name}"
                    );
                }
            }
        }
    }
}

/// Random and mutated frames through every program, alone, in both readings.
#[test]
fn programs_agree_with_the_reference_on_random_frames() {
    if !common::may_load() {
        return;
    }
    let mut random = common::Random::new(7);
    for (name, input) in [
        ("nop", ""),
        ("allow_dns", "10.0.0.53"),
        ("allow_ethertype", "ipv4+vlan"),
        ("allow_ipv4", "10.0.0.53"),
        ("allow_port", "443"),
        ("allow_proto", "tcp+17"),
        ("block_ipv4", "10.0.0.53"),
        ("block_port", "443"),
        ("block_private_ipv4", ""),
    ] {
        let program = catalogue::find(name).unwrap();
        let input = if input.is_empty() { Input::None } else { Input::parse(program.input, input).unwrap() };
        let selection = Selection::Single(Stage { program, input });
        for strict in [false, true] {
            let loaded = LoadedPrograms::load(&selection, strict, 0).unwrap();
            for _ in 0..3000 {
                let frame = common::frames::random(&mut random);
                if let Ok((passed, _)) = loaded.run(&frame, 1) {
                    assert_eq!(
                        passed,
                        traffic::reference::passes(&selection, strict, &frame),
                        "{name} {strict} {frame:02x?}"
                    );
                }
            }
        }
    }
}

/// Name, bytes, and verdict per column.
type Vector = (String, Vec<u8>, Vec<(String, String)>);

struct Corpus {
    inputs: serde_json::Value,
    frames: Vec<Vector>,
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

fn frame(vector: &serde_json::Value) -> Vector {
    let hex = vector["hex"].as_str().unwrap();
    let bytes = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    let verdicts = vector["verdict"].as_object().unwrap().iter();
    let verdicts = verdicts.map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
    (vector["name"].as_str().unwrap().to_owned(), bytes, verdicts)
}

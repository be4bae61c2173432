//! Catalogue programs in the kernel: one program alone or a chain fused into one. Comes in: a selection. Goes out: a
//! loaded program that can be attached or run on frames. The layout of the input is bpf/frame.h.

use super::Error;
use crate::chain::{MAX_STAGES, Selection, Stage};
use crate::user::UserProgram;
use load::{LoadedProgram, Loader, Map, Object, PacketInput};
use std::os::fd::OwnedFd;

/// A selection whose program is loaded but not attached.
#[derive(Debug)]
pub struct LoadedPrograms {
    object: Object,
    program: &'static str,
    filter_name: String,
}

impl LoadedPrograms {
    /// `pass_verdict` is what the kernel is answered for packets that pass: 0 ends classification, -1 leaves them to
    /// later filters.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn load(selection: &Selection, strict_vlan: bool, pass_verdict: i32) -> Result<LoadedPrograms, Error> {
        LoadedPrograms::load_with(None, selection, strict_vlan, pass_verdict)
    }

    /// The same with a user's program, which the selection may name.
    ///
    /// # Errors
    /// The kernel refused, which may be the user's program's fault: its verifier log is in the error.
    pub fn load_with(
        user: Option<&UserProgram>,
        selection: &Selection,
        strict_vlan: bool,
        pass_verdict: i32,
    ) -> Result<LoadedPrograms, Error> {
        let stages = selection.stages();
        let (program, filter_name) = match selection {
            Selection::Single(stage) if user.is_some_and(|u| u.program == stage.program) => (USER, stage.program.name),
            Selection::Single(stage) => (stage.program.name, stage.program.name),
            Selection::Chain(_) => (DISPATCHER, DISPATCHER),
        };
        let count = u32::try_from(stages.len()).unwrap_or(u32::MAX);
        let mut loader = Loader::new("hawkbell", user.map_or(OBJECT, UserProgram::object));
        if let Some(user) = user {
            loader = loader.global("user_fails_open", &u32::from(user.fails_open).to_ne_bytes());
        }
        let object = loader
            .global("stages", &stage_bytes(stages))
            .global("stage_count", &count.to_ne_bytes())
            .global("pass_verdict", &pass_verdict.to_ne_bytes())
            .global("strict_vlan", &u32::from(strict_vlan).to_ne_bytes())
            .only([program])
            .load()?;
        Ok(LoadedPrograms { object, program, filter_name: filter_name.to_owned() })
    }

    /// Runs the program on a frame `repeat` times: whether it passes, and the mean nanoseconds of one run.
    ///
    /// # Errors
    /// EINVAL for frames that the kernel does not run.
    pub fn run(&self, frame: &[u8], repeat: u32) -> Result<(bool, u64), Error> {
        let run = self.object.run_packet(self.program, &PacketInput { frame, tstamp: 0, repeat })?;
        Ok((run.value != TC_ACT_SHOT, run.nanos))
    }

    /// Gives the filter another name than the program's.
    #[must_use]
    pub fn named(mut self, filter: &str) -> LoadedPrograms {
        filter.clone_into(&mut self.filter_name);
        self
    }

    /// The name its filter gets.
    pub fn filter_name(&self) -> &str {
        &self.filter_name
    }

    /// Its name, also as the kernel shows it.
    pub fn name(&self) -> &'static str {
        self.program
    }

    /// The loaded program.
    ///
    /// # Errors
    /// EMFILE when no descriptor is left.
    pub fn program(&self) -> Result<OwnedFd, Error> {
        Ok(self.object.program_fd(self.program)?)
    }

    /// Packets and bytes dropped per stage, and passed (last).
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn verdicts(&self) -> Result<Vec<(u64, u64)>, Error> {
        read_verdicts(&self.object.map("verdicts")?)
    }

    /// The same for a program that is attached, by its id.
    ///
    /// # Errors
    /// There is no such program, or it is none of ours.
    pub fn verdicts_of(program_id: u32) -> Result<Vec<(u64, u64)>, Error> {
        read_verdicts(&LoadedProgram::by_id(program_id)?.map("verdicts")?)
    }
}

fn read_verdicts(map: &Map) -> Result<Vec<(u64, u64)>, Error> {
    let rows = u32::try_from(MAX_STAGES).unwrap_or(0) + 1;
    (0..rows).map(|row| Ok(sum(&map.lookup_per_cpu(&row.to_ne_bytes())?.unwrap_or_default()))).collect()
}

fn sum(per_cpu: &[Vec<u8>]) -> (u64, u64) {
    per_cpu.iter().fold((0, 0), |(packets, bytes), value| (packets + word(value, 0), bytes + word(value, 8)))
}

fn word(value: &[u8], at: usize) -> u64 {
    value.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// `struct stage` for all slots.
fn stage_bytes(stages: &[Stage]) -> Vec<u8> {
    let mut words = Vec::with_capacity(MAX_STAGES * STAGE_WORDS);
    for stage in stages {
        let values = stage.input.values();
        words.extend([stage.program.number, u32::try_from(values.len()).unwrap_or(0)]);
        words.extend(values);
        words.resize(words.len().next_multiple_of(STAGE_WORDS), 0);
    }
    words.resize(MAX_STAGES * STAGE_WORDS, 0);
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

static OBJECT: &[u8] = include!(concat!(env!("OUT_DIR"), "/programs.bpf.rs"));
const DISPATCHER: &str = "dispatcher";
const USER: &str = "hawkbell_user";
const TC_ACT_SHOT: u32 = 2;
/// Program, count and eight values.
const STAGE_WORDS: usize = 10;

//! Finding the sidecar of a build: named on the command line, in the directories of `HAWKBELL_COVER_PATH`, in the working
//! directory, or where `cover cc` recorded it. A file counts only if its content has the identity that is looked for.

use crate::exit::Failure;
use anyhow::{Context, Result};
use coverage::layout::BuildId;
use coverage::sidecar::Sidecar;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Known sidecar files by the build they explain.
pub struct Sidecars {
    known: HashMap<BuildId, PathBuf>,
}

impl Sidecars {
    /// Looks at the given files and directories, then at the search path.
    pub fn search(named: &[PathBuf]) -> Result<Sidecars> {
        let mut found = Sidecars { known: HashMap::new() };
        for path in named {
            found.add(path).with_context(|| format!("sidecar `{}`", path.display()))?;
        }
        for directory in env::var_os(PATH_VARIABLE).iter().flat_map(env::split_paths) {
            // A directory of the search path need not exist.
            let _ = found.add(&directory);
        }
        // Where a build was done by another user, this is where its sidecars are.
        let _ = found.add(Path::new("."));
        Ok(found)
    }

    /// The sidecar of `build`.
    ///
    /// # Errors
    /// It is nowhere: says whether others are in its place.
    pub fn find(&self, build: BuildId) -> Result<(PathBuf, Sidecar), Failure> {
        let recorded = fs::read_to_string(record(build)).ok().map(PathBuf::from);
        for path in self.known.get(&build).into_iter().chain(&recorded) {
            let Ok(bytes) = fs::read(path) else { continue };
            if BuildId::of(&bytes) == build {
                let sidecar = Sidecar::parse(&bytes).with_context(|| format!("sidecar `{}`", path.display()))?;
                return Ok((path.clone(), sidecar));
            }
        }
        Err(self.unknown(build, recorded.filter(|path| path.exists()).as_deref()))
    }

    fn unknown(&self, build: BuildId, recorded: Option<&Path>) -> Failure {
        let tag = build.tag();
        match (recorded, self.known.len()) {
            (Some(path), _) => {
                Failure::message(format!("build {tag}: its sidecar `{}` is now that of another build", path.display()))
                    .help("run what was built last, or let --sidecar-dir of `cover cc` keep sidecars apart")
            }
            (None, 0) => Failure::message(format!("build {tag}: its sidecar is not known")).help(
                "name the .covobj file that `cover cc` wrote with --object, or its directory in HAWKBELL_COVER_PATH",
            ),
            (None, others) => {
                Failure::message(format!("build {tag}: of {others} sidecars none is its own: other builds, or damaged"))
                    .help("name the .covobj file that `cover cc` wrote beside the object that was loaded with --object")
            }
        }
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            self.known.insert(BuildId::of(&fs::read(path)?), path.to_owned());
            return Ok(());
        }
        for entry in fs::read_dir(path)?.flatten() {
            if entry.path().extension().is_some_and(|e| e == "covobj") {
                self.known.insert(BuildId::of(&fs::read(entry.path())?), entry.path());
            }
        }
        Ok(())
    }
}

/// Remembers where the sidecar of a build lies, so that reports find it without being told.
pub fn remember(build: BuildId, sidecar: &Path) {
    let record = record(build);
    let place = sidecar.canonicalize().unwrap_or_else(|_| sidecar.to_owned());
    // Only a convenience: a read-only home must not break a build.
    let _ = record.parent().map(fs::create_dir_all);
    let _ = fs::write(record, place.to_string_lossy().as_bytes());
}

fn record(build: BuildId) -> PathBuf {
    let home = || env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from).join(".local/state");
    let state = env::var_os("XDG_STATE_HOME").map_or_else(home, PathBuf::from);
    let name: String = build.0.iter().map(|b| format!("{b:02x}")).collect();
    state.join("hawkbell/cover").join(name)
}

const PATH_VARIABLE: &str = "HAWKBELL_COVER_PATH";

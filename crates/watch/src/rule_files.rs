//! Which rules files are loaded and what they hold: `-r` options or configuration come in, named texts go out, in load
//! order. Without any file the shipped rules that are part of the program are used. Loading them is the `rules` crate's.

use rules::matches_wildcard;
use std::io;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/shipped_rules.rs"));

/// One rules file.
#[derive(Debug, Clone)]
pub struct RuleText {
    /// Path, or `shipped:NAME`.
    pub name: String,
    pub text: String,
    /// `None` for a shipped file.
    pub path: Option<PathBuf>,
}

/// Rules files and the directories they were found in.
#[derive(Debug, Clone, Default)]
pub struct RuleTexts {
    pub files: Vec<RuleText>,
    pub directories: Vec<PathBuf>,
}

/// Why rules files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("Could not open file {path} for reading: {cause}")]
    Open { path: String, cause: io::Error },
    #[error("directory `{path}`: no *.yaml or *.yml file in it")]
    EmptyDirectory { path: String },
    #[error("You must specify at least one rules file/directory via -r or a rules_file entry in falco.yaml")]
    None,
}

/// Reads `paths`; a directory stands for the YAML files directly in it, by name.
///
/// # Errors
/// There is no path, or one cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<RuleTexts, ReadError> {
    let mut texts = RuleTexts::default();
    for path in paths {
        if path.is_dir() {
            texts.directories.push(path.clone());
            let found = directory(path)?;
            found.iter().try_for_each(|file| texts.files.push_file(file))?;
        } else {
            texts.files.push_file(path)?;
        }
    }
    if texts.files.is_empty() {
        return Err(match texts.directories.first() {
            Some(directory) => ReadError::EmptyDirectory { path: directory.display().to_string() },
            None => ReadError::None,
        });
    }
    Ok(texts)
}

/// The rules that come with the program.
pub fn shipped() -> RuleTexts {
    let file = |(name, text): &(&str, &str)| RuleText {
        name: format!("shipped:{name}"),
        text: (*text).to_owned(),
        path: None,
    };
    RuleTexts { files: FILES.iter().map(file).collect(), directories: Vec::new() }
}

trait PushFile {
    fn push_file(&mut self, path: &Path) -> Result<(), ReadError>;
}

impl PushFile for Vec<RuleText> {
    fn push_file(&mut self, path: &Path) -> Result<(), ReadError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|cause| ReadError::Open { path: name.clone(), cause })?;
        self.push(RuleText { name, text: String::from_utf8_lossy(&bytes).into_owned(), path: Some(path.to_owned()) });
        Ok(())
    }
}

/// The regular files of a directory whose path matches `*.yaml` or `*.yml` (symbolic links followed).
fn directory(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let entries =
        std::fs::read_dir(path).map_err(|cause| ReadError::Open { path: path.display().to_string(), cause })?;
    let is_rules = |file: &PathBuf| {
        let name = file.to_string_lossy();
        file.is_file() && (matches_wildcard("*.yaml", &name) || matches_wildcard("*.yml", &name))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_rules).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_give_their_yaml_files_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yaml", "c.txt"] {
            std::fs::write(dir.path().join(name), "[]").unwrap();
        }
        std::fs::create_dir(dir.path().join("d.yaml")).unwrap();
        let texts = read(&[dir.path().to_owned()]).unwrap();
        let names: Vec<_> = texts.files.iter().map(|f| f.name.rsplit('/').next().unwrap_or_default()).collect();
        assert_eq!(names, ["a.yaml", "b.yml"]);
        assert!(matches!(read(&[]), Err(ReadError::None)));
        assert!(matches!(read(&["/does/not/exist.yaml".into()]), Err(ReadError::Open { .. })));
    }

    #[test]
    fn shipped_rules_are_there() {
        assert!(!shipped().files.is_empty());
        assert!(FILES.is_sorted_by_key(|(name, _)| name));
    }
}

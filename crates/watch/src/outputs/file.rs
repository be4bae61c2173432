//! Alerts appended to a file, one line each. With `keep_alive` the file stays open until told to reopen; without, it is
//! opened for every batch, so that it may be moved away at any time. A full disk is tried again and then counted.

use super::lines::Lines;
use super::{Channel, Delivery, Message, Trouble};
use crate::config::FileOutput;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct FileChannel {
    path: PathBuf,
    keep_alive: bool,
    file: Option<File>,
    lines: Lines,
}

impl FileChannel {
    /// Opens the file once, so that an unwritable one is known at the start.
    pub fn open(config: &FileOutput) -> Result<Self, String> {
        let file = append(&config.filename).map_err(|e| format!("file `{}`: {e}", config.filename.display()))?;
        let (path, keep_alive) = (config.filename.clone(), config.keep_alive);
        Ok(FileChannel { path, keep_alive, file: keep_alive.then_some(file), lines: Lines::default() })
    }

    fn write(&mut self, batch: &VecDeque<Arc<Message>>) -> (usize, Option<io::Error>) {
        let mut file = match self.file.take().map_or_else(|| append(&self.path), Ok) {
            Ok(file) => file,
            Err(error) => return (0, Some(error)),
        };
        let result = self.lines.write(batch, &mut file);
        self.file = self.keep_alive.then_some(file);
        result
    }
}

impl Channel for FileChannel {
    fn name(&self) -> &'static str {
        "file"
    }

    fn deliver(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        let (done, error) = self.write(batch);
        let trouble = error.map(|error| Trouble::Again(format!("file `{}`: {error}", self.path.display())));
        Delivery { done, trouble }
    }

    fn give_up(&mut self) {
        self.lines.give_up();
    }

    fn reopen(&mut self) {
        self.file = None;
        self.lines.restart();
        if self.keep_alive {
            // A failure shows with the next alert, which opens again.
            self.file = append(&self.path).ok();
        }
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

//! The file that holds this process's id while it runs: a path comes in, the number goes into it (without newline), and the
//! file goes away with the run.

use std::path::{Path, PathBuf};

/// Removed when dropped.
#[derive(Debug)]
pub struct Pidfile(PathBuf);

impl Pidfile {
    /// Writes the id of this process to `path`.
    ///
    /// # Errors
    /// The text users of `-P` know.
    pub fn write(path: &Path) -> Result<Pidfile, String> {
        let text = |cause| format!("Could not write pid to pidfile {}. Exiting. ({cause})", path.display());
        std::fs::write(path, std::process::id().to_string()).map_err(text)?;
        Ok(Pidfile(path.to_owned()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

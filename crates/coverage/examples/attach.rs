//! Loads an object, attaches each of its programs where their sections say, makes the kernel call what watches files, and
//! ends: a loader as small as they come, for guests of `cargo xtask kernels`. `attach OBJECT`; needs root.

use load::Loader;
use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: attach OBJECT")?;
    let object = Loader::new("attach", &fs::read(&path)?).load()?;
    let links = object.programs().iter().map(|program| object.attach(program)).collect::<Result<Vec<_>, _>>()?;
    let file = std::env::temp_dir().join(format!("attach-{}", std::process::id()));
    fs::write(&file, "seen")?;
    fs::remove_file(&file)?;
    drop(links);
    Ok(())
}

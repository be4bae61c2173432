//! The conditions of a function as it uses them: those in its own text, then those of the macros it expands, each on the line of
//! the function that leads to them. The order is llvm-cov's. Hostile mappings may expand in circles: no file comes twice.

use super::{Branch, branch};
use crate::count::Counted;
use crate::mapping::{FunctionMap, Position, RegionKind};
use std::rc::Rc;

/// All conditions of `map`, whose text is in file `main`; those of macros with the file and place where they stand.
pub fn of(map: &FunctionMap, counted: &Counted, main: u32) -> Vec<(Branch, Option<Origin>)> {
    let mut walk = Walk { map, counted, seen: vec![false; map.files.len()], found: Vec::new() };
    walk.own(main, None);
    walk.expansions(main, None, 0);
    walk.found
}

/// A place in a macro.
pub type Origin = (Rc<str>, Position);

struct Walk<'a> {
    map: &'a FunctionMap,
    counted: &'a Counted,
    seen: Vec<bool>,
    found: Vec<(Branch, Option<Origin>)>,
}

impl Walk<'_> {
    /// Conditions in `file` itself, moved to `line`.
    fn own(&mut self, file: u32, line: Option<u32>) {
        let here = self.map.regions.iter().zip(&self.counted.regions).filter(|(region, _)| region.file == file);
        for (region, value) in here {
            if let Some(mut branch) = branch(region, *value) {
                let path = self.map.files.get(file as usize).filter(|_| line.is_some());
                let origin = path.map(|path| (path.clone(), branch.start));
                branch.start.line = line.unwrap_or(branch.start.line);
                self.found.push((branch, origin));
            }
        }
    }

    fn expansions(&mut self, file: u32, line: Option<u32>, depth: usize) {
        let seen = self.seen.get_mut(file as usize).is_none_or(|seen| std::mem::replace(seen, true));
        if seen || depth > MAX_DEPTH {
            return;
        }
        for region in self.map.regions.iter().filter(|region| region.file == file) {
            if let RegionKind::Expansion(inner) = region.kind {
                let line = line.or(Some(region.start.line));
                self.expansions(inner, line, depth + 1);
                self.own(inner, line);
            }
        }
    }
}

/// Macros in macros: far more than compilers accept in practice.
const MAX_DEPTH: usize = 200;

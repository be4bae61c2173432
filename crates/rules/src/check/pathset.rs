//! `pmatch`: is a path below, or equal to, any path of a set? Paths compare component by component; components with
//! wildcards are matched as globs. Duplicate slashes count once.

use super::glob::glob;
use std::collections::HashMap;

/// A tree of path components.
#[derive(Clone, Debug, Default)]
pub struct PathSet {
    root: Node,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// A path of the set ends here.
    is_end: bool,
    literal: HashMap<Box<[u8]>, Node>,
    globs: Vec<(Box<[u8]>, Node)>,
}

impl PathSet {
    /// Whether a path of the set is an ancestor of `path`, or `path` itself.
    pub fn covers(&self, path: &[u8]) -> bool {
        self.root.covers(path)
    }
}

impl<'p> FromIterator<&'p [u8]> for PathSet {
    fn from_iter<I: IntoIterator<Item = &'p [u8]>>(paths: I) -> Self {
        let mut set = PathSet::default();
        for path in paths.into_iter().filter(|p| components(p).count() <= MAX_COMPONENTS) {
            let end = components(path).fold(&mut set.root, |node, part| node.child(part));
            end.is_end = true;
        }
        set
    }
}

impl Node {
    fn child(&mut self, part: &[u8]) -> &mut Node {
        if !part.iter().any(|b| matches!(b, b'?' | b'*' | b'[')) {
            return self.literal.entry(part.into()).or_default();
        }
        let at = self.globs.iter().position(|(pattern, _)| **pattern == *part).unwrap_or(self.globs.len());
        if at == self.globs.len() {
            self.globs.push((part.into(), Node::default()));
        }
        &mut self.globs[at].1
    }

    fn covers(&self, path: &[u8]) -> bool {
        if self.is_end {
            return true;
        }
        let Some((part, rest)) = first_component(path) else { return false };
        self.literal.get(part).is_some_and(|n| n.covers(rest))
            || self.globs.iter().any(|(pattern, n)| glob(pattern, part, false) && n.covers(rest))
    }
}

/// No path of the kernel (`PATH_MAX` is 4096 bytes) has more components, so longer ones cover nothing.
const MAX_COMPONENTS: usize = 2048;

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty())
}

fn first_component(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|b| *b != b'/')?;
    let path = &path[start..];
    let end = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
    Some(path.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_components() {
        let set: PathSet = [&b"/var/run"[..], b"/etc//ssh/", b"/home/*/.ssh"].into_iter().collect();
        for (path, expected) in [
            ("/var/run", true),
            ("/var/run/x", true),
            ("/var//run/x", true),
            ("/var/running", false),
            ("/var", false),
            ("/etc/ssh/key", true),
            ("/home/bob/.ssh/id", true),
            ("/home/bob/.sshd", false),
            ("", false),
        ] {
            assert_eq!(set.covers(path.as_bytes()), expected, "{path}");
        }
        let everything: PathSet = [&b"/"[..]].into_iter().collect();
        assert!(everything.covers(b"/x"));
    }
}

//! Joining of paths. In: a base directory and a name, both bytes of foreign origin. Out: the name made absolute, with
//! `.`, `..` and repeated slashes removed by text alone. It must never touch a file system or follow a link, and it
//! must agree byte for byte with what rules were written against.

use std::borrow::Cow;

/// The `dirfd` that stands for the working directory.
pub const AT_FDCWD: i64 = -100;
/// What stands in front of a name whose directory is not known.
pub const UNKNOWN_DIR: &[u8] = b"<UNKNOWN>";
/// The result when base and name together are too long.
pub const TOO_LONG: &[u8] = b"/DIR_TOO_LONG/FILENAME_TOO_LONG";
/// Base, name and one more byte must fit into this many bytes.
const PATH_BYTES: usize = 1024;

/// `name` seen from `base`. The base is taken as it is and not normalised; an absolute or empty name ignores it.
pub fn join(base: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(base.len() + name.len() + 1);
    join_into(&mut out, base, name);
    out
}

/// A byte buffer that a path is built in.
pub trait Buffer: std::ops::Deref<Target = [u8]> {
    fn push(&mut self, byte: u8);
    fn extend_from_slice(&mut self, bytes: &[u8]);
    fn truncate(&mut self, len: usize);
}

impl Buffer for Vec<u8> {
    fn push(&mut self, byte: u8) {
        Vec::push(self, byte);
    }

    fn extend_from_slice(&mut self, bytes: &[u8]) {
        Vec::extend_from_slice(self, bytes);
    }

    fn truncate(&mut self, len: usize) {
        Vec::truncate(self, len);
    }
}

impl Buffer for bumpalo::collections::Vec<'_, u8> {
    fn push(&mut self, byte: u8) {
        bumpalo::collections::Vec::push(self, byte);
    }

    fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice_copy(bytes);
    }

    fn truncate(&mut self, len: usize) {
        bumpalo::collections::Vec::truncate(self, len);
    }
}

/// [`join`] into a buffer that is cleared first.
pub fn join_into(out: &mut impl Buffer, base: &[u8], name: &[u8]) {
    out.truncate(0);
    if base.len() + name.len() + 1 > PATH_BYTES {
        out.extend_from_slice(TOO_LONG);
        return;
    }
    if name.first().is_none_or(|c| *c == b'/') {
        append(out, name);
    } else {
        out.extend_from_slice(base);
        append(out, name);
    }
}

/// A directory name that ends with a slash.
pub fn with_slash(dir: &[u8]) -> Cow<'_, [u8]> {
    if dir.last() == Some(&b'/') {
        return Cow::Borrowed(dir);
    }
    Cow::Owned([dir, b"/"].concat())
}

/// Normalises `name` behind what `out` holds, component by component.
fn append(out: &mut impl Buffer, name: &[u8]) {
    let has_base = !out.is_empty();
    let mut rewound = false;
    let mut rest = name;
    while let Some((&byte, tail)) = rest.split_first() {
        let starts = out.last().is_none_or(|last| *last == b'/');
        rest = match byte {
            b'.' if starts && ends_component(tail) => tail.get(1..).unwrap_or_default(),
            b'.' if starts && tail.first() == Some(&b'.') && ends_component(&tail[1..]) => {
                rewind(out);
                rewound = out.is_empty();
                tail.get(2..).unwrap_or_default()
            }
            b'/' if out.last() == Some(&b'/') || (rewound && has_base && out.is_empty()) => tail,
            b'/' => {
                out.push(byte);
                tail
            }
            _ => {
                let (component, rest) = rest.split_at(memchr::memchr(b'/', rest).unwrap_or(rest.len()));
                out.extend_from_slice(component);
                rest
            }
        };
    }
    if out.len() > 1 && out.last() == Some(&b'/') {
        out.truncate(out.len() - 1);
    }
}

fn ends_component(rest: &[u8]) -> bool {
    rest.first().is_none_or(|c| *c == b'/')
}

/// Removes the last component; a leading slash stays.
fn rewind(out: &mut impl Buffer) {
    let end = out.len().saturating_sub(1);
    let keep = match memchr::memrchr(b'/', out.get(..end).unwrap_or_default()) {
        Some(at) => at + 1,
        None => usize::from(out.first() == Some(&b'/')),
    };
    out.truncate(keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_as_rules_expect() {
        let cases: &[(&str, &str, &str)] = &[
            ("x", "", ""),
            ("/root", "..", "/root.."),
            ("/root", "../foo", "/root../foo"),
            ("app", "custom/term", "appcustom/term"),
            ("/tmp/x/../y/", "a", "/tmp/x/../y/a"),
            ("/root/", "tmp/./filename.txt", "/root/tmp/filename.txt"),
            ("", "...", "..."),
            ("", "/tmp/random/dir.../..//../filename.txt", "/tmp/filename.txt"),
            ("<UNKNOWN>", "foo", "<UNKNOWN>foo"),
        ];
        for (base, name, expected) in cases {
            let joined = join(base.as_bytes(), name.as_bytes());
            assert_eq!(String::from_utf8_lossy(&joined), *expected, "{base:?} + {name:?}");
        }
    }

    #[test]
    fn a_long_path_is_named_as_such() {
        assert_eq!(join(&[b'a'; 512], &[b'b'; 512]), TOO_LONG);
        assert_eq!(join(&[b'a'; 511], &[b'b'; 512]).len(), 1023);
    }
}

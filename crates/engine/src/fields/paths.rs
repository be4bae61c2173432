//! Paths that calls name. In: a call's directory descriptor and path. Out: the absolute path, by text alone; and the
//! `fs.path.*` and `evt.abspath*` fields, which exist only for calls that name paths. Links are never followed.

use super::builtin::Builtin;
use super::text::{Text, c_string, valid};
use crate::context::Context;
use crate::state::Thread;
use crate::state::path::{self, AT_FDCWD};
use bumpalo::Bump;
use event::{FieldArg, Kind, Value};

/// The directory descriptor of calls without one.
pub(super) const CWD: i64 = AT_FDCWD;

/// Which parameters of a call are paths. A path is given by its own index and that of its directory descriptor.
#[derive(Clone, Copy, Debug)]
enum Shape {
    One(Named),
    Two { source: Named, target: Named },
}

#[derive(Clone, Copy, Debug)]
struct Named {
    path: usize,
    base: Base,
}

/// What a relative path is relative to.
#[derive(Clone, Copy, Debug)]
enum Base {
    Cwd,
    /// The descriptor in this parameter.
    Dirfd(usize),
    /// Nothing says so.
    Unknown,
}

pub(super) fn extract<'a>(ctx: &'a Context<'a>, field: Builtin, arena: &'a Bump) -> Option<Value<'a>> {
    use Builtin as B;
    if !succeeded(ctx) {
        return None;
    }
    if let Some(name) = descriptor_path(ctx, field, arena) {
        return Some(name);
    }
    let raw = matches!(field, B::FsPathNameraw | B::FsPathSourceraw | B::FsPathTargetraw);
    let named = match (field, shape(ctx.event.kind)?) {
        (B::FsPathName | B::FsPathNameraw, Shape::One(name)) => name,
        (B::FsPathSource | B::FsPathSourceraw, Shape::Two { source, .. }) => source,
        (B::FsPathTarget | B::FsPathTargetraw, Shape::Two { target, .. }) => target,
        _ => return None,
    };
    let path = c_string(ctx.event.param(named.path)?);
    if raw {
        return Some(Value::Str(valid(path, arena)));
    }
    Some(Value::Str(match named.base {
        Base::Cwd => resolve(ctx, CWD, path, arena),
        Base::Dirfd(index) => resolve(ctx, ctx.event.i64(index)?, path, arena),
        Base::Unknown => resolve(ctx, NO_FD, path, arena),
    }))
}

/// `evt.abspath`, `.src` and `.dst`: the path or paths of a call that takes a directory descriptor.
pub(super) fn absolute<'a>(ctx: &'a Context<'a>, arg: Option<&FieldArg>, arena: &'a Bump) -> Option<Value<'a>> {
    let second = matches!(arg, Some(FieldArg::Key(key)) if key.trim_start_matches('.') == "dst");
    let (dirfd, path) = match ctx.event.kind {
        Kind::SYSCALL_RENAMEAT_X | Kind::SYSCALL_RENAMEAT2_X | Kind::SYSCALL_LINKAT_2_X if second => (3, 4),
        Kind::SYSCALL_RENAMEAT_X | Kind::SYSCALL_RENAMEAT2_X | Kind::SYSCALL_LINKAT_2_X => (1, 2),
        Kind::SYSCALL_SYMLINKAT_X => (2, 3),
        Kind::SYSCALL_OPENAT_2_X
        | Kind::SYSCALL_OPENAT2_X
        | Kind::SYSCALL_UNLINKAT_2_X
        | Kind::SYSCALL_MKDIRAT_X
        | Kind::SYSCALL_FCHMODAT_X
        | Kind::SYSCALL_FCHOWNAT_X => (1, 2),
        Kind::SYSCALL_OPEN_BY_HANDLE_AT_X => return opened_by_handle(ctx, arena),
        _ => return None,
    };
    let path = c_string(ctx.event.param(path)?);
    Some(Value::Str(resolve(ctx, ctx.event.i64(dirfd)?, path, arena)))
}

/// `path` as a call of the event's thread with `dirfd` means it.
pub(super) fn resolve<'a>(ctx: &Context<'a>, dirfd: i64, path: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if is_normal(path) {
        return valid(path, arena);
    }
    let Some(thread) = ctx.thread else { return valid(path, arena) };
    let mut joined = bumpalo::collections::Vec::with_capacity_in(MAX_PATH_BYTES, arena);
    let base = if path.starts_with(b"/") { b"." } else { base(ctx, thread, dirfd, arena) };
    path::join_into(&mut joined, base, path);
    valid(joined.into_bump_slice(), arena)
}

/// The directory that a relative path starts from, with a trailing slash if it is known.
fn base<'a>(ctx: &Context<'a>, thread: &'a Thread, dirfd: i64, arena: &'a Bump) -> &'a [u8] {
    if dirfd == AT_FDCWD {
        return ctx.state.cwd_of(thread);
    }
    match ctx.state.fd(thread, dirfd) {
        Some(entry) if entry.name.ends_with(b"/") => &entry.name,
        Some(entry) => {
            let mut slashed = Text::new(arena);
            slashed.push(&entry.name);
            slashed.push(b"/");
            slashed.finish()
        }
        None => path::UNKNOWN_DIR,
    }
}

/// Up to the last slash; the root for names without one.
pub(super) fn directory(name: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', name) {
        None | Some(0) => b"/",
        Some(slash) => name.get(..slash).unwrap_or(name),
    }
}

/// `path` with runs of slashes made one.
pub(super) fn without_double_slashes<'a>(path: &'a [u8], arena: &'a Bump) -> &'a [u8] {
    if memchr::memmem::find(path, b"//").is_none() {
        return valid(path, arena);
    }
    let mut text = Text::new(arena);
    let mut last = 0;
    for byte in path {
        if *byte != b'/' || last != b'/' {
            text.push(&[*byte]);
        }
        last = *byte;
    }
    valid(text.finish(), arena)
}

/// Absolute, and nothing in it that normalising would change.
fn is_normal(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else { return false };
    let changes = |part: &[u8]| matches!(part, b"" | b"." | b"..");
    path.len() < MAX_PATH_BYTES && (rest.is_empty() || !rest.split(|b| *b == b'/').any(changes))
}

/// `fs.path.*` of a failed call are absent. The open family yields them for every result but -1, as rules expect.
fn succeeded(ctx: &Context<'_>) -> bool {
    let result = ctx.event.i64(0);
    match ctx.event.kind {
        Kind::SYSCALL_OPEN_X | Kind::SYSCALL_OPENAT_2_X | Kind::SYSCALL_OPENAT2_X => result.is_some_and(|fd| fd != -1),
        _ => result == Some(0),
    }
}

/// Calls that name a file by descriptor only.
fn descriptor_path<'a>(ctx: &'a Context<'a>, field: Builtin, arena: &'a Bump) -> Option<Value<'a>> {
    if !matches!(ctx.event.kind, Kind::SYSCALL_FCHMOD_X | Kind::SYSCALL_FCHOWN_X) {
        return None;
    }
    match field {
        Builtin::FsPathName => Some(Value::Str(valid(&ctx.fd?.name, arena))),
        Builtin::FsPathNameraw => Some(Value::Str(valid(&ctx.fd?.name_raw, arena))),
        _ => None,
    }
}

fn opened_by_handle<'a>(ctx: &'a Context<'a>, arena: &'a Bump) -> Option<Value<'a>> {
    let opened = ctx.event.i64(0).is_some_and(|fd| fd > 0);
    opened.then(|| ctx.event.param(3).map(|path| Value::Str(valid(c_string(path), arena))))?
}

fn shape(kind: Kind) -> Option<Shape> {
    let cwd = |path| Named { path, base: Base::Cwd };
    let at = |dirfd| Named { path: dirfd + 1, base: Base::Dirfd(dirfd) };
    let two = |source, target| Shape::Two { source, target };
    Some(match kind {
        Kind::SYSCALL_MKDIR_2_X
        | Kind::SYSCALL_RMDIR_2_X
        | Kind::SYSCALL_UNLINK_2_X
        | Kind::SYSCALL_OPEN_X
        | Kind::SYSCALL_CHMOD_X
        | Kind::SYSCALL_CHOWN_X
        | Kind::SYSCALL_LCHOWN_X
        | Kind::SYSCALL_QUOTACTL_X
        | Kind::SYSCALL_UMOUNT_1_X
        | Kind::SYSCALL_UMOUNT2_X => Shape::One(cwd(1)),
        Kind::SYSCALL_MKDIRAT_X
        | Kind::SYSCALL_UNLINKAT_2_X
        | Kind::SYSCALL_OPENAT_2_X
        | Kind::SYSCALL_OPENAT2_X
        | Kind::SYSCALL_FCHMODAT_X
        | Kind::SYSCALL_FCHOWNAT_X => Shape::One(at(1)),
        Kind::SYSCALL_RENAME_X => two(cwd(1), cwd(2)),
        Kind::SYSCALL_RENAMEAT_X | Kind::SYSCALL_RENAMEAT2_X => two(at(1), at(3)),
        Kind::SYSCALL_LINK_2_X => two(cwd(2), cwd(1)),
        Kind::SYSCALL_LINKAT_2_X => two(at(3), at(1)),
        Kind::SYSCALL_SYMLINK_X => two(cwd(2), cwd(1)),
        Kind::SYSCALL_SYMLINKAT_X => two(at(2), Named { path: 1, base: Base::Unknown }),
        Kind::SYSCALL_MOUNT_X => two(cwd(1), cwd(2)),
        _ => return None,
    })
}

/// A descriptor that no process has.
const NO_FD: i64 = -1;
/// Longer paths are for the joining rule to refuse.
const MAX_PATH_BYTES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_paths_need_no_work() {
        for path in ["/", "/etc/passwd", "/a/b..c", "/.hidden"] {
            assert!(is_normal(path.as_bytes()), "{path}");
        }
        for path in ["", "a", "/a/", "/a//b", "/a/../b", "/a/."] {
            assert!(!is_normal(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn directories_of_names() {
        let cases = [("/etc/passwd", "/etc"), ("/passwd", "/"), ("wl.log", "/"), ("", "/"), ("/a/", "/a")];
        for (name, expect) in cases {
            assert_eq!(directory(name.as_bytes()), expect.as_bytes(), "{name}");
        }
    }

    #[test]
    fn double_slashes_become_one() {
        let arena = Bump::new();
        assert_eq!(without_double_slashes(b"//a///b/", &arena), b"/a/b/");
    }
}

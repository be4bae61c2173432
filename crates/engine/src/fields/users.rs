//! User and group fields. In: the ids of the thread and the accounts of its container. Out: ids and names. An unknown
//! account prints as `<NA>`; user 0 is `root` even where nothing else is known.

use super::builtin::Builtin;
use super::text::valid;
use crate::context::Context;
use bumpalo::Bump;
use event::Value;
use event::snapshot::User;

/// What an unset id (0xffffffff) prints as.
pub(crate) const UNSET_ID: &[u8] = b"<NONE>";
/// What an unknown account prints as.
const UNKNOWN: &[u8] = b"<NA>";

pub(super) fn extract<'a>(ctx: &'a Context<'a>, field: Builtin, arena: &'a Bump) -> Option<Value<'a>> {
    let thread = ctx.thread?;
    let text = |bytes: &'a [u8]| Some(Value::Str(valid(bytes, arena)));
    match field {
        Builtin::UserUid => Some(Value::Uint(u64::from(thread.uid))),
        Builtin::UserName => text(user_name(ctx, thread.uid).unwrap_or(UNKNOWN)),
        Builtin::UserHomedir => text(user(ctx, thread.uid).map_or(root_or(thread.uid, b"/root"), |u| &u.homedir)),
        Builtin::UserShell => text(user(ctx, thread.uid).map_or(UNKNOWN, |u| &u.shell)),
        Builtin::UserLoginuid => {
            Some(Value::Int(if thread.loginuid == u32::MAX { -1 } else { thread.loginuid.into() }))
        }
        Builtin::UserLoginname => text(user_name(ctx, thread.loginuid).unwrap_or(UNKNOWN)),
        Builtin::GroupGid => Some(Value::Uint(u64::from(thread.gid))),
        Builtin::GroupName => text(group_name(ctx, thread.gid).unwrap_or(UNKNOWN)),
        _ => None,
    }
}

/// The name of user `uid` in the container of the event's thread; `None` = the id is unset.
pub(crate) fn user_name<'a>(ctx: &'a Context<'a>, uid: u32) -> Option<&'a [u8]> {
    (uid != u32::MAX).then(|| user(ctx, uid).map_or(root_or(uid, b"root"), |u| &u.name))
}

/// The name of group `gid` in the container of the event's thread; `None` = the id is unset.
pub(crate) fn group_name<'a>(ctx: &'a Context<'a>, gid: u32) -> Option<&'a [u8]> {
    let known = || ctx.state.accounts.group(container_of(ctx), gid);
    (gid != u32::MAX).then(|| known().map_or(root_or(gid, b"root"), |g| &g.name))
}

fn user<'a>(ctx: &'a Context<'a>, uid: u32) -> Option<&'a User> {
    ctx.state.accounts.user(container_of(ctx), uid)
}

fn container_of<'a>(ctx: &'a Context<'a>) -> &'a [u8] {
    ctx.thread.map_or(b"", |t| &t.container_id)
}

fn root_or(uid: u32, root: &'static [u8]) -> &'static [u8] {
    if uid == 0 { root } else { UNKNOWN }
}

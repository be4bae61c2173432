//! Users and groups that come and go while events run. In: the user and group events of captures, and the accounts of
//! a container at its first process. Out: the account tables. Events of other kinds never reach this.

use super::Step;
use crate::proc_source::ProcSource;
use crate::state::{State, Str};
use event::Event;
use event::snapshot::{Group, User};

pub(super) fn user_added(state: &mut State, event: &Event<'_>, _: &mut Step<'_>) {
    let (Some(uid), Some(gid)) = (event.u32(0), event.u32(1)) else { return };
    let text = |at: usize| event.text(at).unwrap_or_default().to_vec();
    let user = User { uid, gid, name: text(2), homedir: text(3), shell: text(4) };
    state.accounts.add_user(event.text(5).unwrap_or_default(), user);
}

pub(super) fn user_deleted(state: &mut State, event: &Event<'_>, _: &mut Step<'_>) {
    if let Some(uid) = event.u32(0) {
        state.accounts.remove_user(event.text(5).unwrap_or_default(), uid);
    }
}

pub(super) fn group_added(state: &mut State, event: &Event<'_>, _: &mut Step<'_>) {
    if let Some(gid) = event.u32(0) {
        let name = event.text(1).unwrap_or_default().to_vec();
        state.accounts.add_group(event.text(2).unwrap_or_default(), Group { gid, name });
    }
}

pub(super) fn group_deleted(state: &mut State, event: &Event<'_>, _: &mut Step<'_>) {
    if let Some(gid) = event.u32(0) {
        state.accounts.remove_group(event.text(2).unwrap_or_default(), gid);
    }
}

/// Asks once per container who its users are, when somebody can tell.
pub(super) fn learn_accounts(state: &mut State, source: &mut dyn ProcSource, tid: i64, container: &Str) {
    if state.accounts.knows(container) {
        return;
    }
    let (users, groups) = source.accounts(tid).unwrap_or_default();
    if state.accounts.is_due_for_sweep() {
        state.forget_gone_containers();
    }
    state.accounts.learn(container, users, groups);
}

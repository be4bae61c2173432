//! Which events rules get to see. In: a kind. Out: yes or no. Events that only feed the state tables must never match a
//! rule: a call would raise its alert twice, once as it begins and once as it ends.

use event::{EventFlags, EventInfo, Kind, tables};
use std::sync::LazyLock;

/// Whether rules see events of `kind`. Enter events exist to remember arguments for the exit event; accounts, container
/// descriptions and the rows of iterators come without anything having happened.
#[inline]
pub fn is_judged(kind: Kind) -> bool {
    JUDGED.get(usize::from(kind.0)).copied().unwrap_or(false)
}

static JUDGED: LazyLock<Vec<bool>> = LazyLock::new(|| tables::events().iter().map(judge).collect());

fn judge(info: &EventInfo) -> bool {
    let is_enter_of_call = info.is_enter && info.origin.ends_with("SYSCALL");
    let is_account =
        matches!(info.kind, Kind::USER_ADDED_E | Kind::USER_DELETED_E | Kind::GROUP_ADDED_E | Kind::GROUP_DELETED_E);
    let is_container = matches!(info.kind, Kind::CONTAINER_E | Kind::CONTAINER_JSON_E | Kind::CONTAINER_JSON_2_E);
    !is_enter_of_call && !is_account && !is_container && info.origin != "ITER" && !info.flags.has(EventFlags::UNUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_and_tracepoints_are_judged_and_enters_are_not() {
        let judged = [Kind::SYSCALL_OPEN_X, Kind::PROCEXIT_1_E, Kind::SCHEDSWITCH_6_E, Kind::ASYNCEVENT_E];
        let silent = [Kind::SYSCALL_OPEN_E, Kind::SOCKET_CONNECT_E, Kind::USER_ADDED_E, Kind::ITER_TASK_E];
        assert!(judged.into_iter().all(is_judged));
        assert!(!silent.into_iter().any(is_judged));
    }
}

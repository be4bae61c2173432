//! The clsact queueing discipline: how traffic programs attach on kernels without tcx (before 6.6).
//! Comes in: an interface index and a loaded program. Goes out: a filter with a handle and a priority.
//! What is attached here stays attached after the process is gone.

use crate::error::Error;
use crate::object::Object;
use libbpf_rs::{TC_EGRESS, TC_INGRESS, TcHook};
use std::os::fd::AsFd;

/// Which packets of an interface a program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Packets that the interface receives.
    Ingress,
    /// Packets that the interface sends.
    Egress,
}

/// One filter slot on an interface: direction, handle and priority identify it.
#[derive(Debug, Clone, Copy)]
pub struct Clsact {
    pub ifindex: i32,
    pub direction: Direction,
    /// 0 lets the kernel choose when attaching.
    pub handle: u32,
    /// 0 lets the kernel choose when attaching.
    pub priority: u32,
}

impl Clsact {
    /// Attaches `program`, adding the qdisc when the interface has none; `replace` takes an occupied slot over.
    /// Goes out: the slot with handle and priority as the kernel chose them.
    ///
    /// # Errors
    /// EEXIST when the slot is taken and `replace` is false, ENODEV without such an interface.
    pub fn attach(self, object: &Object, program: &str, replace: bool) -> Result<Clsact, Error> {
        let loaded = object.program(program)?;
        let mut hook = self.hook(TcHook::new(loaded.as_fd()));
        hook.replace(replace);
        hook.create().map_err(|e| Error::call("add clsact for program", program, &e))?;
        let attached = hook.attach().map_err(|e| Error::call("attach program", program, &e))?;
        Ok(Clsact { handle: attached.get_handle(), priority: attached.get_priority(), ..self })
    }

    /// Id of the program in the slot.
    ///
    /// # Errors
    /// ENOENT when the slot is empty.
    pub fn program_id(self) -> Result<u32, Error> {
        self.anonymous().query().map_err(|e| self.failed("query clsact of interface", &e))
    }

    /// Removes the filter in the slot; the qdisc stays.
    ///
    /// # Errors
    /// ENOENT when the slot is empty.
    pub fn detach(self) -> Result<(), Error> {
        self.anonymous().detach().map_err(|e| self.failed("detach from clsact of interface", &e))
    }

    /// Removes the qdisc with every filter in both directions, whoever put it there.
    ///
    /// # Errors
    /// ENOENT when there is none.
    pub fn destroy(self) -> Result<(), Error> {
        let mut hook = self.anonymous();
        hook.attach_point(TC_INGRESS | TC_EGRESS);
        hook.destroy().map_err(|e| self.failed("remove clsact of interface", &e))
    }

    fn anonymous(self) -> TcHook {
        // querying and detaching look at the slot alone; the descriptor is not used
        self.hook(TcHook::new(std::io::stdin().as_fd()))
    }

    fn hook(self, mut hook: TcHook) -> TcHook {
        let point = if self.direction == Direction::Ingress { TC_INGRESS } else { TC_EGRESS };
        hook.ifindex(self.ifindex).attach_point(point).handle(self.handle).priority(self.priority);
        hook
    }

    fn failed(self, what: &'static str, error: &libbpf_rs::Error) -> Error {
        Error::call(what, &self.ifindex.to_string(), error)
    }
}

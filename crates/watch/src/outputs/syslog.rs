//! Alerts to syslog: facility user, severity as the rule's priority, text as it prints.

use super::{Channel, Delivery, Message, Trouble};
use crate::syslog::{Syslog, severity};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) struct SyslogChannel {
    syslog: Syslog,
    path: PathBuf,
}

impl SyslogChannel {
    pub fn new(ident: &str, path: &Path) -> Self {
        SyslogChannel { syslog: Syslog::new(ident, path), path: path.to_owned() }
    }
}

impl Channel for SyslogChannel {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn deliver(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        for (done, message) in batch.iter().enumerate() {
            if let Err(error) = self.syslog.send(severity(message.priority), &message.line) {
                let text = format!("socket `{}`: {error}", self.path.display());
                // EMSGSIZE: a datagram socket takes no more than its send buffer in one message.
                let too_long = error.raw_os_error() == Some(nix::errno::Errno::EMSGSIZE as i32);
                let trouble = if too_long { Trouble::Refused(text) } else { Trouble::Again(text) };
                return Delivery { done, trouble: Some(trouble) };
            }
        }
        Delivery { done: batch.len(), trouble: None }
    }

    fn reopen(&mut self) {
        self.syslog.close();
    }
}

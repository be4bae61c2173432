//! Filters on interfaces: loaded programs come in, attachments that outlive the process go out. Policies sit on tcx links
//! pinned under a stable identity, or on clsact filters with a fixed place where tcx or pins are missing; updates swap the
//! program in place. Must never happen here: a change to a filter, link or qdisc that is not ours.

mod meta;
mod pins;
mod policies;
mod programs;

pub use meta::{CniAttachment, Meta, identity};
pub use pins::{are_hidden, existing_folder, folder};
pub use policies::{
    Applied, Attached, Attachment, Mechanism, Options, Place, apply, apply_on_trial, detach, list, rollback,
};
pub use programs::{ProgramAttachment, remove_empty_clsact};

pub use load::net::Direction as HookDirection;
pub use load::tc::{Hook, Place as FilterPlace, device};
pub use load::{Ring, netns};

use crate::kernel;

/// Why something could not be attached, found or detached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    #[error(
        "interface `{interface}`: has a qdisc `ingress`, which leaves no room for egress filters (remove it with `tc qdisc del dev {interface} ingress`, or filter at ingress)"
    )]
    LegacyIngress { interface: String },
    #[error("interface `{0}`: no such device in this network namespace")]
    NoInterface(String),
    #[error("{0}")]
    Place(String),
    #[error("{what} `{path}`: {error}")]
    File { what: &'static str, path: String, error: std::io::Error },
}

impl From<load::Error> for Error {
    fn from(error: load::Error) -> Self {
        Error::Kernel(kernel::Error::Load(error))
    }
}

impl Error {
    /// The errno behind it, when there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Kernel(error) => error.errno(),
            Error::LegacyIngress { .. } => Some(22),
            Error::NoInterface(_) => Some(19),
            Error::Place(_) => None,
            Error::File { error, .. } => error.raw_os_error(),
        }
    }
}

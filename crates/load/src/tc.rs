//! The clsact queueing discipline through netlink: which qdiscs and filters an interface has, adding and replacing a
//! filter of our own, removing exactly that one. Comes in: an interface index of the thread's network namespace.
//! Must never happen here: a change to a filter that the caller did not name by priority and handle.
//! Kernel interface: linux/pkt_sched.h, linux/pkt_cls.h.

use crate::error::Error;
use crate::net::Direction;
use std::os::fd::{AsRawFd, BorrowedFd};
use sys::netlink::{self, CREATE, DUMP, EXCLUSIVE, Message, REPLACE, Socket};

/// The hook of one interface and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    pub ifindex: i32,
    pub direction: Direction,
}

/// A filter on a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub priority: u16,
    pub handle: u32,
    /// `bpf` for ours.
    pub kind: String,
    /// Name given when attaching, of `bpf` filters.
    pub name: Option<String>,
    pub program_id: Option<u32>,
}

impl Hook {
    /// The kinds of qdisc on the ingress slot that clsact and the older `ingress` share.
    ///
    /// # Errors
    /// ENODEV when the interface is gone.
    pub fn slot(self) -> Result<Option<String>, Error> {
        let answers = self.request("list qdiscs of interface", GETQDISC, DUMP, &tcmsg(self.ifindex, 0, 0, 0))?;
        let ours = answers.iter().filter(|m| i32_at(&m.payload, 4) == Some(self.ifindex));
        let at_slot = ours.filter(|m| {
            u32_at(&m.payload, 12).is_some_and(|parent| parent & 0xffff_fff0 == 0xffff_fff0 && parent != ROOT)
        });
        Ok(at_slot.filter_map(|m| text(netlink::find(attributes(m), KIND)?)).next())
    }

    /// Adds clsact; false when it is there already (or the older `ingress` is).
    ///
    /// # Errors
    /// EPERM without CAP_NET_ADMIN, ENOENT or EOPNOTSUPP when the kernel has no clsact.
    pub fn add_clsact(self) -> Result<bool, Error> {
        let mut message = tcmsg(self.ifindex, CLSACT_HANDLE, CLSACT_PARENT, 0);
        netlink::put(&mut message, KIND, b"clsact\0");
        match self.request("add clsact to interface", NEWQDISC, CREATE | EXCLUSIVE, &message) {
            Ok(_) => Ok(true),
            Err(e) if e.errno() == Some(EEXIST) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes clsact with everything on it.
    ///
    /// # Errors
    /// ENOENT or EINVAL when there is none.
    pub fn remove_clsact(self) -> Result<(), Error> {
        let mut message = tcmsg(self.ifindex, CLSACT_HANDLE, CLSACT_PARENT, 0);
        netlink::put(&mut message, KIND, b"clsact\0");
        self.request("remove clsact from interface", DELQDISC, 0, &message).map(drop)
    }

    /// All filters on this hook, in the order in which they run.
    ///
    /// # Errors
    /// ENODEV when the interface is gone; no qdisc is no error.
    pub fn filters(self) -> Result<Vec<Filter>, Error> {
        let message = tcmsg(self.ifindex, 0, self.parent(), 0);
        match self.request("list filters of interface", GETTFILTER, DUMP, &message) {
            Ok(answers) => Ok(answers.iter().filter_map(filter).collect()),
            Err(e) if matches!(e.errno(), Some(EINVAL | ENOENT)) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Adds a direct-action filter with handle `handle`; the kernel chooses the priority when it is 0. With `replace`
    /// an occupied place gets the new program without a moment in between.
    ///
    /// # Errors
    /// EEXIST when the place is taken and `replace` is false, EINVAL without clsact.
    pub fn add_filter(self, program: BorrowedFd<'_>, name: &str, place: Place, replace: bool) -> Result<(), Error> {
        let mut options = Vec::new();
        netlink::put(&mut options, BPF_FD, &program.as_raw_fd().to_ne_bytes());
        netlink::put(&mut options, BPF_NAME, &[name.as_bytes(), b"\0"].concat());
        netlink::put(&mut options, BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes());
        let mut message = tcmsg(self.ifindex, place.handle, self.parent(), info(place.priority));
        netlink::put(&mut message, KIND, b"bpf\0");
        netlink::put(&mut message, OPTIONS, &options);
        let flags = CREATE | if replace { REPLACE } else { EXCLUSIVE };
        self.request("attach filter to interface", NEWTFILTER, flags, &message).map(drop)
    }

    /// Removes the `bpf` filter at this place.
    ///
    /// # Errors
    /// ENOENT when there is none, ENODEV when the interface is gone.
    pub fn remove_filter(self, place: Place) -> Result<(), Error> {
        let mut message = tcmsg(self.ifindex, place.handle, self.parent(), info(place.priority));
        netlink::put(&mut message, KIND, b"bpf\0");
        self.request("detach filter from interface", DELTFILTER, 0, &message).map(drop)
    }

    fn parent(self) -> u32 {
        match self.direction {
            Direction::Ingress => CLSACT_PARENT & 0xffff_0000 | 0xfff2,
            Direction::Egress => CLSACT_PARENT & 0xffff_0000 | 0xfff3,
        }
    }

    fn request(self, what: &'static str, kind: u16, flags: u16, message: &[u8]) -> Result<Vec<Message>, Error> {
        let answer = Socket::open().and_then(|mut socket| socket.request(kind, flags, message));
        answer.map_err(|errno| Error::Call { what, name: self.ifindex.to_string(), errno: errno as i32 })
    }
}

/// A network device as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub ifindex: i32,
    pub name: String,
    /// ARPHRD number (linux/if_arp.h).
    pub hardware: u16,
    /// `veth`, `macvlan`, ...; `None` for physical devices and the loopback.
    pub kind: Option<String>,
    /// Index of the device this one hangs on: the other end of a veth, the parent of a macvlan.
    pub lower: Option<i32>,
    /// The lower device is in another network namespace.
    pub lower_is_elsewhere: bool,
}

impl Device {
    /// Whether packets of the device begin with an Ethernet header.
    pub fn has_ethernet_header(&self) -> bool {
        matches!(self.hardware, ARPHRD_ETHER | ARPHRD_LOOPBACK)
    }
}

/// The device with this index in the thread's network namespace.
///
/// # Errors
/// ENODEV when there is none.
pub fn device(ifindex: i32) -> Result<Device, Error> {
    let mut message = vec![0; IFINFO_BYTES];
    message.splice(4..8, ifindex.to_ne_bytes());
    let failed = |errno: i32| Error::Call { what: "ask about interface", name: ifindex.to_string(), errno };
    let answer = Socket::open().and_then(|mut socket| socket.request(GETLINK, 0, &message));
    let answers = answer.map_err(|errno| failed(errno as i32))?;
    answers.first().and_then(device_of).ok_or_else(|| failed(ENODEV))
}

fn device_of(message: &Message) -> Option<Device> {
    let attributes = message.payload.get(IFINFO_BYTES..)?;
    let info = netlink::find(attributes, IFLA_LINKINFO);
    Some(Device {
        ifindex: i32_at(&message.payload, 4)?,
        name: text(netlink::find(attributes, IFLA_IFNAME)?)?,
        hardware: message.payload.get(2..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))?,
        kind: info.and_then(|info| text(netlink::find(info, IFLA_INFO_KIND)?)),
        lower: netlink::find(attributes, IFLA_LINK).and_then(|index| i32_at(index, 0)),
        lower_is_elsewhere: netlink::find(attributes, IFLA_LINK_NETNSID).is_some(),
    })
}

/// Where a filter sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub priority: u16,
    pub handle: u32,
}

fn filter(message: &Message) -> Option<Filter> {
    let attributes = attributes(message);
    let kind = text(netlink::find(attributes, KIND)?)?;
    let options = netlink::find(attributes, OPTIONS)?;
    let handle = u32_at(&message.payload, 8)?;
    let priority = u16::try_from(u32_at(&message.payload, 16)? >> 16).ok()?;
    let name = netlink::find(options, BPF_NAME).and_then(text);
    let program_id = netlink::find(options, BPF_ID).and_then(|id| u32_at(id, 0));
    // a dump also lists each priority once as a whole, without a handle
    (handle != 0).then_some(Filter { priority, handle, kind, name, program_id })
}

/// `struct tcmsg` (linux/rtnetlink.h).
fn tcmsg(ifindex: i32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(ifindex.to_ne_bytes());
    for field in [handle, parent, info] {
        bytes.extend(field.to_ne_bytes());
    }
    bytes
}

/// Priority above, protocol (all, in network byte order) below.
fn info(priority: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(ETH_P_ALL.to_be())
}

fn attributes(message: &Message) -> &[u8] {
    message.payload.get(TCMSG_BYTES..).unwrap_or_default()
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|b| *b == 0).next()?;
    String::from_utf8(text.to_vec()).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|b| i32::from_ne_bytes(*b))
}

const NEWQDISC: u16 = 36;
const DELQDISC: u16 = 37;
const GETQDISC: u16 = 38;
const NEWTFILTER: u16 = 44;
const DELTFILTER: u16 = 45;
const GETTFILTER: u16 = 46;
const GETLINK: u16 = 18;
const IFINFO_BYTES: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;
const ENODEV: i32 = 19;
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const BPF_FD: u16 = 6;
const BPF_NAME: u16 = 7;
const BPF_FLAGS: u16 = 8;
const BPF_ID: u16 = 11;
const DIRECT_ACTION: u32 = 1;
const ETH_P_ALL: u16 = 3;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_PARENT: u32 = 0xffff_fff1;
const ROOT: u32 = 0xffff_ffff;
const TCMSG_BYTES: usize = 20;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ENOENT: i32 = 2;

//! Telling systemd how the service is doing: a state comes in, one datagram to the socket named by `NOTIFY_SOCKET` goes
//! out. Without that variable nothing happens. See sd_notify(3).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// `READY=1` with a status text.
pub fn ready(status: &str) {
    notify(&format!("READY=1\nSTATUS={status}"));
}

/// `RELOADING=1`; to be followed by [`ready`].
pub fn reloading() {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from);
    let micros = now.map_or(0, |now| now.as_micros());
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// `STOPPING=1`.
pub fn stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    // A service manager that does not listen is no reason to fail.
    let _ = send(state);
}

fn send(state: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

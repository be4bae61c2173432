//! The local syslog socket: a severity and a text come in, one message in the classic format goes out. Connects when
//! needed and again after the daemon behind the socket was restarted. Blocks only as long as the socket's buffer is full.

use jiff::Zoned;
use rules::Priority;
use std::io::{self, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A connection to syslog.
#[derive(Debug)]
pub struct Syslog {
    ident: String,
    path: PathBuf,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Datagram(UnixDatagram),
    /// Messages end with a NUL byte.
    Stream(UnixStream),
}

impl Syslog {
    pub fn new(ident: &str, path: &Path) -> Self {
        Syslog { ident: ident.to_owned(), path: path.to_owned(), socket: None }
    }

    /// Sends `text` with facility `user`. A connection that fails is opened once more.
    ///
    /// # Errors
    /// The socket does not exist, nobody listens, or its buffer stays full for a second.
    pub fn send(&mut self, severity: u8, text: &str) -> io::Result<()> {
        let now = Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        let message = format!("<{}>{now} {}: {text}", FACILITY_USER | severity, self.ident);
        if self.socket.is_some() && self.try_send(&message).is_ok() {
            return Ok(());
        }
        self.socket = Some(connect(&self.path)?);
        self.try_send(&message)
    }

    /// Forgets the connection; the next message opens it again.
    pub fn close(&mut self) {
        self.socket = None;
    }

    fn try_send(&mut self, message: &str) -> io::Result<()> {
        match &mut self.socket {
            Some(Socket::Datagram(socket)) => socket.send(message.as_bytes()).map(|_| ()),
            Some(Socket::Stream(socket)) => socket.write_all(message.as_bytes()).and_then(|()| socket.write_all(&[0])),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// The number syslog has for a priority, which is the priority's own.
pub fn severity(priority: Priority) -> u8 {
    priority as u8
}

fn connect(path: &Path) -> io::Result<Socket> {
    let timeout = Some(Duration::from_secs(1));
    let datagram = UnixDatagram::unbound()?;
    match datagram.connect(path) {
        Ok(()) => {
            datagram.set_write_timeout(timeout)?;
            Ok(Socket::Datagram(datagram))
        }
        // EPROTOTYPE: the socket at that path is a stream socket.
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EPROTOTYPE as i32) => {
            let stream = UnixStream::connect(path)?;
            stream.set_write_timeout(timeout)?;
            Ok(Socket::Stream(stream))
        }
        Err(error) => Err(error),
    }
}

/// `LOG_USER` of syslog(3).
const FACILITY_USER: u8 = 1 << 3;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    #[test]
    fn reaches_datagram_sockets_and_reconnects() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::new("falco", &path);
        assert!(syslog.send(4, "x").is_err());
        for _restart in 0..2 {
            let server = UnixDatagram::bind(&path).unwrap();
            syslog.send(4, "hello").unwrap();
            let mut buffer = [0; 200];
            let len = server.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            assert!(text.starts_with("<12>") && text.ends_with(" falco: hello"), "{text}");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn reaches_stream_sockets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let server = UnixListener::bind(&path).unwrap();
        Syslog::new("falco", &path).send(2, "hello").unwrap();
        let mut text = String::new();
        server.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("<10>") && text.ends_with(" falco: hello\0"), "{text}");
    }
}

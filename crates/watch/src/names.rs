//! Addresses of the host names that rules compare with (`fd.sip.name`): names come in, addresses go out, looked up on a
//! thread of its own and again every minute. Name servers may take their time; events never wait for them.

use crossbeam_channel::{Receiver, bounded};
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

/// Names with their addresses.
pub type Addresses = Vec<(String, Vec<IpAddr>)>;

/// Looks names up until dropped.
pub struct Resolver {
    news: Option<Receiver<Addresses>>,
}

impl Resolver {
    /// Starts looking up `names`; does nothing without any.
    pub fn start(names: &[String]) -> Resolver {
        if names.is_empty() {
            return Resolver { news: None };
        }
        let (found, news) = bounded(1);
        let names = names.to_vec();
        let work = move || {
            // Ends when nobody listens any more.
            while found.send(names.iter().map(|name| (name.clone(), look_up(name))).collect()).is_ok() {
                std::thread::sleep(AGAIN);
            }
        };
        // Without the thread no name has an address, and checks on them are false.
        let _ = std::thread::Builder::new().name("names".into()).spawn(work);
        Resolver { news: Some(news) }
    }

    /// What was found since the last call.
    pub fn news(&self) -> Option<Addresses> {
        self.news.as_ref()?.try_recv().ok()
    }

    /// The first answers, if they come within `patience`.
    pub fn first(&self, patience: Duration) -> Option<Addresses> {
        self.news.as_ref()?.recv_timeout(patience).ok()
    }
}

fn look_up(name: &str) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        (name, 0).to_socket_addrs().into_iter().flatten().map(|socket| socket.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

const AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_own_host() {
        assert!(Resolver::start(&[]).first(Duration::ZERO).is_none());
        let resolver = Resolver::start(&["localhost".to_owned()]);
        let found = resolver.first(Duration::from_secs(10)).unwrap();
        assert!(found[0].1.iter().all(IpAddr::is_loopback) && !found[0].1.is_empty());
    }
}

//! A small web server for health, versions and metrics: a bound address comes in, answers to three GET paths go out, over
//! HTTP or HTTPS. It runs on threads of its own and only reads what the event loop published, so no request can hold up
//! events. Requests are bounded in size, time and number.

use crate::config::WebServer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What the server tells.
pub trait Pages: Send + Sync {
    /// JSON with versions.
    fn versions(&self) -> String;

    /// Prometheus text; `None` when metrics are not offered.
    fn metrics(&self) -> Option<String>;
}

/// A running server. Stops when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("web server address `{address}`: {cause} (webserver.listen_address, webserver.listen_port)")]
    Bind { address: SocketAddr, cause: io::Error },
    #[error(
        "web server certificate `{path}`: {cause} (webserver.ssl_certificate: one PEM file with certificate and key)"
    )]
    Certificate { path: String, cause: String },
    #[error("web server thread: {0}")]
    Thread(io::Error),
}

impl Server {
    /// Binds and starts serving.
    ///
    /// # Errors
    /// The address is taken or not ours; the certificate cannot be used.
    pub fn start(config: &WebServer, pages: Arc<dyn Pages>) -> Result<Server, WebError> {
        let tls = config.certificate.as_deref().map(tls).transpose()?;
        let address = SocketAddr::new(config.address, config.port);
        let listener = TcpListener::bind(address).map_err(|cause| WebError::Bind { address, cause })?;
        let stop = Arc::new(AtomicBool::new(false));
        let site = Arc::new(Site { health_path: config.health_path.clone(), pages, tls });
        let (flag, most) = (stop.clone(), connections(config.threads));
        let accept = move || accept_loop(&listener, &site, &flag, most);
        std::thread::Builder::new().name("web".into()).spawn(accept).map_err(WebError::Thread)?;
        Ok(Server { address, stop })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // A connection wakes the accepting thread, which then sees the flag and closes the port.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_millis(200));
    }
}

struct Site {
    health_path: String,
    pages: Arc<dyn Pages>,
    tls: Option<Arc<ServerConfig>>,
}

fn connections(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

fn accept_loop(listener: &TcpListener, site: &Arc<Site>, stop: &AtomicBool, most: usize) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        while open.load(Ordering::Acquire) >= most && !stop.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
        open.fetch_add(1, Ordering::AcqRel);
        let (site, counter) = (site.clone(), open.clone());
        let serve = move || {
            // A client that breaks off is its own business.
            let _ = site.serve(stream);
            counter.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().name("web-client".into()).spawn(serve).is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Site {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
        stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
        match &self.tls {
            None => self.talk(stream),
            Some(config) => {
                let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(connection, stream);
                self.talk(&mut stream)?;
                stream.conn.send_close_notify();
                stream.flush()
            }
        }
    }

    fn talk(&self, mut stream: impl Read + Write) -> io::Result<()> {
        let request = read_head(&mut stream)?;
        let (status, kind, body) = self.answer(&request);
        let is_head = request.starts_with("HEAD ");
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        if !is_head {
            stream.write_all(body.as_bytes())?;
        }
        stream.flush()
    }

    fn answer(&self, request: &str) -> (&'static str, &'static str, String) {
        let mut words = request.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if !matches!(method, "GET" | "HEAD") {
            return ("405 Method Not Allowed", TEXT, "only GET is answered here\n".into());
        }
        if path == self.health_path {
            return ("200 OK", JSON, "{\"status\": \"ok\"}".into());
        }
        match path {
            "/versions" => ("200 OK", JSON, self.pages.versions()),
            "/metrics" => match self.pages.metrics() {
                Some(text) => ("200 OK", PROMETHEUS, text),
                None => NOT_FOUND.answer(),
            },
            _ => NOT_FOUND.answer(),
        }
    }
}

struct Fixed(&'static str, &'static str);

impl Fixed {
    fn answer(&self) -> (&'static str, &'static str, String) {
        (self.0, TEXT, self.1.to_owned())
    }
}

/// The request line and headers, at most 8 KiB of them.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let count = stream.read(&mut chunk)?;
        head.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if count == 0 || head.len() > MAX_HEAD_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn tls(path: &Path) -> Result<Arc<ServerConfig>, WebError> {
    let wrong = |cause: String| WebError::Certificate { path: path.display().to_string(), cause };
    let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
    if chain.is_empty() {
        return Err(wrong("no PEM certificate in it".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| wrong(format!("private key: {e}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| wrong(e.to_string()))?;
    Ok(Arc::new(config))
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const PROMETHEUS: &str = "text/plain; version=0.0.4";
const NOT_FOUND: Fixed = Fixed("404 Not Found", "nothing here\n");
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HEAD_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Pages for Fake {
        fn versions(&self) -> String {
            "{}".into()
        }

        fn metrics(&self) -> Option<String> {
            Some("a 1\n".into())
        }
    }

    fn config(port: u16) -> WebServer {
        WebServer {
            threads: 2,
            address: [127, 0, 0, 1].into(),
            port,
            health_path: "/healthz".into(),
            prometheus: true,
            certificate: None,
        }
    }

    fn get(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn answers_and_gives_the_port_back() {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
        let server = Server::start(&config(port), Arc::new(Fake)).unwrap();
        assert!(get(port, "GET /healthz").ends_with("\r\n\r\n{\"status\": \"ok\"}"));
        assert!(get(port, "GET /metrics?x=1").contains("version=0.0.4"));
        assert!(get(port, "GET /other").starts_with("HTTP/1.1 404"));
        assert!(get(port, "POST /healthz").starts_with("HTTP/1.1 405"));
        assert!(matches!(Server::start(&config(port), Arc::new(Fake)), Err(WebError::Bind { .. })));
        drop(server);
    }

    #[test]
    fn a_missing_certificate_is_named() {
        let config = WebServer { certificate: Some("/no/such.pem".into()), ..config(1) };
        let error = Server::start(&config, Arc::new(Fake)).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("`/no/such.pem`"), "{error}");
    }
}

//! Alerts over HTTPS: a server with a certificate of a private CA, with and without client certificates, and what is said
//! when certificates do not fit. The health server speaks TLS too.

mod common;

use common::{replay, run};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

#[test]
fn a_private_ca_is_trusted_when_named() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::make(dir.path());
    for option in ["ca_cert", "ca_bundle"] {
        let server = HttpsServer::start(&pki, false);
        let ca = format!("http_output.{option}={}", pki.ca.display());
        let (_, err, _) = run(&mut replay(dir.path(), 1, &["http_output.enabled=true", &server.option(), &ca]));
        assert!(server.finish().is_some_and(|request| request.contains("opened /etc/shadow")), "{option}: {err}");
    }
    let server = HttpsServer::start(&pki, false);
    let path = format!("http_output.ca_path={}", dir.path().display());
    run(&mut replay(dir.path(), 1, &["http_output.enabled=true", &server.option(), &path]));
    assert!(server.finish().is_some(), "ca_path");
}

#[test]
fn an_unknown_ca_is_refused_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let (pki, other) = (Pki::make(dir.path()), tempfile::tempdir().unwrap());
    let wrong = format!("http_output.ca_cert={}", Pki::make(other.path()).ca.display());
    let server = HttpsServer::start(&pki, false);
    let (_, err, _) = run(&mut replay(dir.path(), 1, &["http_output.enabled=true", &server.option(), &wrong]));
    assert!(
        err.contains("output \"http\": 0 alerts delivered, 1 undeliverable")
            && err.contains("invalid peer certificate"),
        "{err}"
    );
    let server = HttpsServer::start(&pki, false);
    let options = ["http_output.enabled=true", &server.option(), &wrong, "http_output.insecure=true"];
    run(&mut replay(dir.path(), 1, &options));
    assert!(server.finish().is_some(), "insecure");
}

#[test]
fn mutual_tls_presents_the_client_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::make(dir.path());
    let ca = format!("http_output.ca_cert={}", pki.ca.display());
    let server = HttpsServer::start(&pki, true);
    let mtls = [
        "http_output.enabled=true".to_owned(),
        server.option(),
        ca.clone(),
        "http_output.mtls=true".into(),
        format!("http_output.client_cert={}", pki.client_cert.display()),
        format!("http_output.client_key={}", pki.client_key.display()),
    ];
    let (_, err, _) = run(&mut replay(dir.path(), 1, &mtls.each_ref().map(String::as_str)));
    assert!(server.finish().is_some_and(|request| request.contains("opened /etc/shadow")), "{err}");
    let server = HttpsServer::start(&pki, true);
    let (_, err, _) = run(&mut replay(dir.path(), 1, &["http_output.enabled=true", &server.option(), &ca]));
    assert!(err.contains("1 undeliverable"), "{err}");
}

#[test]
fn certificate_files_that_do_not_work_are_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::make(dir.path());
    let key = pki.client_key.display();
    for (options, want) in [
        (
            vec!["http_output.ca_cert=/no/ca.pem".to_owned()],
            "certificate `/no/ca.pem`: No such file or directory".to_owned(),
        ),
        (vec![format!("http_output.ca_cert={key}")], format!("certificate `{key}`: no PEM certificate in it")),
        (
            vec![
                format!("http_output.ca_cert={}", pki.ca.display()),
                "http_output.mtls=true".into(),
                format!("http_output.client_cert={}", pki.client_cert.display()),
                "http_output.client_key=/no/key".into(),
            ],
            "private key `/no/key`: No such file or directory".to_owned(),
        ),
    ] {
        let mut all = vec!["http_output.enabled=true".to_owned(), "http_output.url=https://localhost:1/".into()];
        all.extend(options);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let (_, err, code) = run(&mut replay(dir.path(), 1, &all));
        assert!(err.contains(&format!("error: http output: {want}")), "{err}");
        assert_eq!(code, Some(1));
    }
}

#[test]
fn the_health_server_speaks_tls() {
    if !common::may_watch() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::make(dir.path());
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port();
    let (port_option, certificate) =
        (format!("webserver.listen_port={port}"), format!("webserver.ssl_certificate={}", pki.server.display()));
    let mut command = common::hawkbell();
    command.args(["watch", "-M", "60"]);
    for option in [
        "webserver.enabled=true",
        "webserver.listen_address=127.0.0.1",
        "webserver.ssl_enabled=true",
        &port_option,
        &certificate,
    ] {
        command.args(["-o", option]);
    }
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    common::wait_for("the health server", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let answer = https_get(&pki, port, "/healthz");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.ends_with("{\"status\": \"ok\"}"), "{answer}");
}

fn https_get(pki: &Pki, port: u16, path: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&std::fs::read(&pki.ca).unwrap()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut tls = StreamOwned::new(connection, std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
    write!(tls, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    // The end of the connection is the end of the answer.
    let _ = tls.read_to_string(&mut text);
    text
}

/// A CA, a server certificate for localhost and a client certificate, as files.
struct Pki {
    ca: PathBuf,
    server: PathBuf,
    client_cert: PathBuf,
    client_key: PathBuf,
}

impl Pki {
    fn make(dir: &Path) -> Pki {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).unwrap();
            dir.join(name)
        };
        let (server_cert, server_key) = signed("localhost", &ca);
        let (client_cert, client_key) = signed("client", &ca);
        Pki {
            ca: write("ca.pem", &ca.pem()),
            server: write("server.pem", &format!("{server_cert}{server_key}")),
            client_cert: write("client.crt", &client_cert),
            client_key: write("client.key", &client_key),
        }
    }

    fn server_config(&self, wants_client: bool) -> ServerConfig {
        let pem = std::fs::read(&self.server).unwrap();
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
        let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = if wants_client {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(&std::fs::read(&self.ca).unwrap()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        builder.with_single_cert(chain, key).unwrap()
    }
}

fn signed(name: &str, ca: &Issuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Answers one request (or one failed handshake at a time) over TLS.
struct HttpsServer {
    port: u16,
    thread: JoinHandle<Option<String>>,
}

impl HttpsServer {
    fn start(pki: &Pki, wants_client: bool) -> HttpsServer {
        let config = Arc::new(pki.server_config(wants_client));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            loop {
                let (stream, _) = listener.accept().ok()?;
                let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).ok()?, stream);
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = tls.read(&mut chunk) {
                    request.extend_from_slice(&chunk[..count]);
                    if String::from_utf8_lossy(&request).contains("\r\n\r\n") && request.ends_with(b"container=host") {
                        tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
                        return Some(String::from_utf8_lossy(&request).into_owned());
                    }
                }
            }
        });
        HttpsServer { port, thread }
    }

    fn option(&self) -> String {
        format!("http_output.url=https://localhost:{}/", self.port)
    }

    fn finish(self) -> Option<String> {
        self.thread.join().unwrap()
    }
}

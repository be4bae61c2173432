//! Alerts by HTTP POST, one request each: a message comes in, a request with its line as body goes out. TLS with chosen
//! CAs, client certificates, compression and echo as configured. A timeout is tried again as often as configured; a
//! connection that fails or a server that is overloaded, a few times; a refused alert is lost and counted.

use super::{Channel, Delivery, Message, Trouble};
use crate::config::HttpOutput;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, http};

pub(super) struct HttpChannel {
    agent: Agent,
    url: String,
    content_type: &'static str,
    /// Turned off when the server does not understand compressed bodies.
    compress: bool,
    echo: bool,
}

impl HttpChannel {
    /// Reads certificates and keys; the first connection is made with the first alert.
    pub fn new(config: &HttpOutput, json: bool) -> Result<Self, String> {
        let uri: http::Uri = config.url.parse().map_err(|e| format!("url `{}`: {e}", config.url))?;
        let tls = match uri.scheme_str() {
            Some("https") => tls(config)?,
            Some("http") => TlsConfig::default(),
            _ => return Err(format!("url `{}`: it begins neither with http:// nor with https://", config.url)),
        };
        let idle = if config.keep_alive { 1 } else { 0 };
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(&config.user_agent)
            .http_status_as_error(false)
            .max_idle_connections(idle)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build()
            .new_agent();
        let content_type = if json { "application/json" } else { "text/plain" };
        Ok(HttpChannel { agent, url: config.url.clone(), content_type, compress: config.compress, echo: config.echo })
    }

    fn post(&mut self, line: &str) -> Result<(), Trouble> {
        let compressed = if self.compress { Some(gzip(line)?) } else { None };
        let mut request = self.agent.post(&self.url).header("Content-Type", self.content_type);
        if compressed.is_some() {
            request = request.header("Content-Encoding", "gzip");
        }
        let body = compressed.as_deref().unwrap_or(line.as_bytes());
        let mut response = request.send(body).map_err(|error| self.trouble(&error))?;
        let status = response.status();
        // The body is read in any case: only then can the connection be used again.
        let text = response.body_mut().with_config().limit(MAX_REPLY_BYTES).read_to_string();
        if self.echo
            && let Ok(text) = text
        {
            // A closed standard output is the stdout output's business.
            let _ = io::stdout().lock().write_all(format!("{text}\n").as_bytes());
        }
        self.judge(status, compressed.is_some(), line)
    }

    fn judge(&mut self, status: http::StatusCode, compressed: bool, line: &str) -> Result<(), Trouble> {
        let text = || format!("`{}` answered {status}", self.url);
        match status.as_u16() {
            200..=399 => Ok(()),
            400 | 415 if compressed => {
                self.compress = false;
                self.post(line)
            }
            408 | 429 | 500..=599 => Err(Trouble::Again(text())),
            _ => Err(Trouble::Refused(text())),
        }
    }

    fn trouble(&self, error: &ureq::Error) -> Trouble {
        let text = format!("failed to perform call to `{}`: {error}", self.url);
        match error {
            ureq::Error::Timeout(_) => Trouble::Timeout(text),
            ureq::Error::Io(io) if io.kind() == io::ErrorKind::TimedOut => Trouble::Timeout(text),
            ureq::Error::BadUri(_) => Trouble::Refused(text),
            _ if text.contains(BAD_CERTIFICATE) => {
                Trouble::Refused(format!("{text} (name its CA with http_output.ca_cert, or its host name in the url)"))
            }
            _ => Trouble::Again(text),
        }
    }
}

impl Channel for HttpChannel {
    fn name(&self) -> &'static str {
        "http"
    }

    /// One alert per call, so that a slow server is seen as progress.
    fn deliver(&mut self, batch: &VecDeque<Arc<Message>>) -> Delivery {
        match batch.front().map(|message| self.post(&message.line)) {
            Some(Err(trouble)) => Delivery { done: 0, trouble: Some(trouble) },
            _ => Delivery { done: 1, trouble: None },
        }
    }
}

fn gzip(line: &str) -> Result<Vec<u8>, Trouble> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let result = encoder.write_all(line.as_bytes()).and_then(|()| encoder.finish());
    result.map_err(|error| Trouble::Refused(format!("compress alert: {error}")))
}

fn tls(config: &HttpOutput) -> Result<TlsConfig, String> {
    let roots = if config.insecure { Vec::new() } else { roots(config)? };
    let client = config.client.as_ref().map(|(certificate, key)| client(certificate, key)).transpose()?;
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .client_cert(client)
        .disable_verification(config.insecure)
        .build())
}

/// The certificates of `ca_cert`, else of `ca_bundle`, else of every file below `ca_path`.
fn roots(config: &HttpOutput) -> Result<Vec<Certificate<'static>>, String> {
    if let Some(file) = config.ca_cert.as_ref().or(config.ca_bundle.as_ref()) {
        return certificates(file);
    }
    let directory = &config.ca_path;
    let files = fs::read_dir(directory)
        .map_err(|e| format!("directory `{}`: {e} (http_output.ca_path)", directory.display()))?;
    let mut found: Vec<Certificate<'static>> =
        files.flatten().filter_map(|file| certificates(&file.path()).ok()).flatten().collect();
    found.sort_by(|a, b| a.der().cmp(b.der()));
    found.dedup_by(|a, b| a.der() == b.der());
    if found.is_empty() {
        return Err(format!(
            "directory `{}`: no CA certificate found (http_output.ca_path; install ca-certificates or set ca_cert)",
            directory.display()
        ));
    }
    Ok(found)
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let pem = fs::read(path).map_err(|e| format!("certificate `{}`: {e}", path.display()))?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate.to_owned()),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        Err(format!("certificate `{}`: no PEM certificate in it", path.display()))
    } else {
        Ok(found)
    }
}

fn client(certificate: &Path, key: &Path) -> Result<ClientCert, String> {
    let chain = certificates(certificate)?;
    let pem = fs::read(key).map_err(|e| format!("private key `{}`: {e}", key.display()))?;
    let key = PrivateKey::from_pem(&pem).map_err(|e| format!("private key `{}`: {e}", key.display()))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// How rustls words that the server's certificate does not do, through every layer of errors.
const BAD_CERTIFICATE: &str = "invalid peer certificate";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of a reply.
const MAX_REPLY_BYTES: u64 = 64 << 10;

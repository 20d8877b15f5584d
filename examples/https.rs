//! HTTPS for the examples: a certificate that is made once, and an accept loop.
//!
//! TLS ends in the process that verifies: leads are personal data, and a proxy that ends it in between reads them all.

use std::convert::Infallible;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Whatever an example ends with.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// More open connections wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1024;

/// For a handshake and for a request's head, each.
const PATIENCE: Duration = Duration::from_secs(10);

/// A certificate for this machine alone, for trying things out.
pub(crate) struct SelfMade {
    pub(crate) acceptor: TlsAcceptor,
    /// What the sender has to trust.
    pub(crate) certificate_pem: String,
}

/// A key and a certificate for `localhost` and `127.0.0.1`. In production, use those of your domain.
///
/// `folder`: where both are kept (`self-made.pem`, `self-made-key.pem`), so that the sender has to be told of the certificate once
/// and not after each start.
pub(crate) fn self_made(folder: Option<&Path>) -> Result<SelfMade, Failure> {
    let (certificate_pem, key_pem) = match folder {
        Some(folder) => kept_in(folder)?,
        None => make()?,
    };
    let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())?;
    let acceptor = acceptor(vec![certificate], PrivateKeyDer::from_pem_slice(key_pem.as_bytes())?)?;
    Ok(SelfMade { acceptor, certificate_pem })
}

/// Certificate and key as PEM, made where they are not there yet.
fn kept_in(folder: &Path) -> Result<(String, String), Failure> {
    let (certificate, key) = (folder.join("self-made.pem"), folder.join("self-made-key.pem"));
    if key.exists() {
        return Ok((fs::read_to_string(certificate)?, fs::read_to_string(key)?));
    }
    let (certificate_pem, key_pem) = make()?;
    fs::write(certificate, &certificate_pem)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(key)?;
    file.write_all(key_pem.as_bytes())?;
    Ok((certificate_pem, key_pem))
}

fn make() -> Result<(String, String), Failure> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

/// The server's side of TLS 1.2 and 1.3.
pub(crate) fn acceptor(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, Failure> {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves every connection until the process ends.
pub(crate) async fn serve<S, B>(listener: TcpListener, acceptor: TlsAcceptor, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Failure>,
{
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will be closed in a moment.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            let _slot = slot;
            let Ok(Ok(tls)) = timeout(PATIENCE, acceptor.accept(tcp)).await else { return };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(tls), service);
            match connection.await {
                // A sender keeps its connection for the next event, until one of the two gives up.
                Err(error) if error.is_timeout() => {}
                Err(error) => eprintln!("a connection broke: {error}"),
                Ok(()) => {}
            }
        });
    }
}

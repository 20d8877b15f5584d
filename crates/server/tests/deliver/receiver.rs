//! A real HTTPS receiver on a free port that answers as it is told and keeps what it was sent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, mpsc};
use tokio_rustls::TlsAcceptor;

/// An authority whose certificate goes into `extra_ca`.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// One request as it came.
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) requests: mpsc::UnboundedReceiver<Received>,
    /// Connections accepted, whether or not they got as far as a request.
    pub(crate) connections: Arc<AtomicUsize>,
    /// The most requests that were there at once.
    pub(crate) most_at_once: Arc<AtomicUsize>,
}

impl Receiver {
    /// One that answers its n-th request, counted from 0, with `answers(n)`: a status and a `Location` or `Retry-After`.
    pub(crate) async fn start(
        authority: &Authority,
        name: &str,
        answers: impl Fn(usize) -> (u16, Option<(&'static str, String)>) + Send + Sync + 'static,
    ) -> Self {
        Self::start_together(authority, name, 1, answers).await
    }

    /// One that lets its requests wait until so many are there.
    pub(crate) async fn start_together(
        authority: &Authority,
        name: &str,
        together: usize,
        answers: impl Fn(usize) -> (u16, Option<(&'static str, String)>) + Send + Sync + 'static,
    ) -> Self {
        let acceptor = authority.acceptor(name);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let (answers, count, counted) =
            (Arc::new(answers), Arc::new(AtomicUsize::new(0)), Arc::clone(&connections));
        let (barrier, present) = (Arc::new(Barrier::new(together)), Arc::new(AtomicUsize::new(0)));
        let most_at_once = Arc::new(AtomicUsize::new(0));
        let most = Arc::clone(&most_at_once);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answers, count, sender) =
                    (acceptor.clone(), Arc::clone(&answers), Arc::clone(&count), sender.clone());
                let (barrier, present, most) =
                    (Arc::clone(&barrier), Arc::clone(&present), Arc::clone(&most));
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answers, count, sender) =
                            (Arc::clone(&answers), Arc::clone(&count), sender.clone());
                        let (barrier, present, most) =
                            (Arc::clone(&barrier), Arc::clone(&present), Arc::clone(&most));
                        async move {
                            most.fetch_max(present.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            barrier.wait().await;
                            present.fetch_sub(1, Ordering::SeqCst);
                            let (parts, body) = request.into_parts();
                            let body = body.collect().await?.to_bytes();
                            let _ = sender.send(Received {
                                method: parts.method,
                                path: parts.uri.to_string(),
                                headers: parts.headers,
                                body,
                            });
                            let (status, header) = answers(count.fetch_add(1, Ordering::SeqCst));
                            let mut response = http::Response::builder().status(status);
                            if let Some((name, value)) = header {
                                response = response.header(name, value);
                            }
                            Ok::<_, hyper::Error>(response.body("thank you".to_owned()).unwrap())
                        }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        Self { address, requests, connections, most_at_once }
    }

    /// One that reads a request's head, writes `head` and then `again` without end, a piece each millisecond where `slow`.
    pub(crate) async fn raw(
        authority: &Authority,
        head: &'static str,
        again: &'static str,
        slow: bool,
    ) -> SocketAddr {
        let acceptor = authority.acceptor("127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    let mut request = [0; 64 * 1024];
                    if tls.read(&mut request).await.is_err() || tls.write_all(head.as_bytes()).await.is_err()
                    {
                        return;
                    }
                    loop {
                        if slow {
                            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                        }
                        if again.is_empty() {
                            std::future::pending::<()>().await;
                        }
                        if tls.write_all(again.as_bytes()).await.is_err() || tls.flush().await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/hook?key=1", self.address)
    }

    pub(crate) async fn next(&mut self) -> Received {
        self.requests.recv().await.unwrap()
    }
}

//! Certificate and key: from files, served anew when these change.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, ServerConfig};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{ALPN_HTTP_1, ALPN_HTTP_2, self_signed};

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error("{path}: cannot be written: {error}")]
    Unwritable {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// No certificate in the file, or not PEM.
    #[error("{path}: holds no PEM certificate")]
    NoCertificate {
        /// The file.
        path: String,
    },
    /// No private key in the file, or not PEM.
    #[error("{path}: holds no unencrypted PEM private key")]
    NoKey {
        /// The file.
        path: String,
    },
    /// The key does not belong to the first certificate.
    #[error("the key in {key} does not belong to the first certificate in {cert}")]
    Mismatch {
        /// The certificate's file.
        cert: String,
        /// The key's file.
        key: String,
    },
    /// The TLS library refuses them.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(Error),
    /// A self-signed certificate could not be made.
    #[error("a self-signed certificate could not be made: {0}")]
    Making(String),
}

impl TlsError {
    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::Unreadable { path: path.display().to_string(), error }
    }

    pub(super) fn unwritable(path: &Path, error: io::Error) -> Self {
        Self::Unwritable { path: path.display().to_string(), error }
    }
}

/// Where certificate and key come from, and the pair that is served at present. Clones share it.
#[derive(Clone, Debug)]
pub struct TlsSource {
    cert: PathBuf,
    key: PathBuf,
    poll_every: Duration,
    served: Arc<Served>,
}

#[derive(Debug)]
struct Served {
    provider: Arc<CryptoProvider>,
    pair: RwLock<(Arc<CertifiedKey>, [FileStamp; 2])>,
}

impl TlsSource {
    /// Certificate chain, leaf first, and private key (PKCS#8, SEC1 or PKCS#1) from PEM files. They are read again within
    /// seconds of a change; a pair that cannot be used leaves the present one in place and is logged.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn from_files(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (cert, key) = (cert.into(), key.into());
        let provider = Arc::new(default_provider());
        let stamps = [FileStamp::of(&cert), FileStamp::of(&key)];
        let pair = RwLock::new((Arc::new(load(&cert, &key, &provider)?), stamps));
        Ok(Self {
            cert,
            key,
            poll_every: Duration::from_secs(2),
            served: Arc::new(Served { provider, pair }),
        })
    }

    /// `cert.pem` and `key.pem` in the data folder; made there, self-signed for these names and addresses (ECDSA P-256), if
    /// they are not there yet.
    ///
    /// # Errors
    /// They cannot be made, written or used.
    pub fn self_signed(data_dir: &Path, names: &[String]) -> Result<Self, TlsError> {
        let (cert, key) = (data_dir.join("cert.pem"), data_dir.join("key.pem"));
        self_signed::make(&cert, &key, names)?;
        tracing::warn!(
            certificate = %cert.display(),
            "no certificate is set; serving the data folder's own, which is for trying things out"
        );
        Self::from_files(cert, key)
    }

    /// Looks for changes that often; 2 seconds unless set.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = every;
        self
    }

    /// The certificate's file, which senders of a self-signed one need.
    pub fn certificate_path(&self) -> &Path {
        &self.cert
    }

    /// Accepts TLS 1.2 and 1.3 with the present pair, HTTP/2 before HTTP/1.1, sessions resumed by ticket, no early data.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::clone(&self.served.provider);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the provider has suites for both versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Served>::clone(&self.served));
        config.alpn_protocols = vec![ALPN_HTTP_2.to_vec(), ALPN_HTTP_1.to_vec()];
        match Ticketer::new() {
            Ok(ticketer) => config.ticketer = ticketer,
            // Sessions are then resumed from memory, the newest few hundred of them.
            Err(error) => tracing::warn!(%error, "no session tickets"),
        }
        TlsAcceptor::from(Arc::new(config))
    }

    /// Reads the files again whenever they change, until `end`.
    pub(super) async fn watch(self, end: CancellationToken) {
        let mut ticks = interval(self.poll_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let source = self.clone();
            // A file system that hangs must not hang what runs beside this task.
            tokio::task::spawn_blocking(move || source.reload_if_changed()).await.ok();
        }
    }

    /// Reads the files again if one of them has changed since they were last read. A pair of which one half is replaced and
    /// the other not yet is refused, and read again when the other is there.
    fn reload_if_changed(&self) {
        let stamps = [FileStamp::of(&self.cert), FileStamp::of(&self.key)];
        if self.served.pair.read().unwrap_or_else(PoisonError::into_inner).1 == stamps {
            return;
        }
        let loaded = load(&self.cert, &self.key, &self.served.provider);
        let mut pair = self.served.pair.write().unwrap_or_else(PoisonError::into_inner);
        pair.1 = stamps;
        match loaded {
            Ok(fresh) => {
                pair.0 = Arc::new(fresh);
                tracing::info!(path = %self.cert.display(), "serving a new certificate");
            }
            Err(error) => {
                tracing::error!(%error, "the changed certificate cannot be used; keeping the present one")
            }
        }
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

/// What changes when a file does; nothing for a file that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp(Option<(u64, u64, i64, i64)>);

impl FileStamp {
    fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|file| (file.ino(), file.len(), file.mtime(), file.mtime_nsec())))
    }
}

fn load(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let text = |path: &Path| path.display().to_string();
    let no_certificate = || TlsError::NoCertificate { path: text(cert) };
    let cert_pem = fs::read(cert).map_err(|error| TlsError::unreadable(cert, error))?;
    let key_pem = fs::read(key).map_err(|error| TlsError::unreadable(key, error))?;
    let chain: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&cert_pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(no_certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| TlsError::NoKey { path: text(key) })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { cert: text(cert), key: text(key) }
        }
        Error::InvalidCertificate(_) => no_certificate(),
        error => TlsError::Unusable(error),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::{Arc, PoisonError};

    use rustls::sign::CertifiedKey;

    use super::TlsSource;

    fn names() -> Vec<String> {
        vec!["localhost".into(), "127.0.0.1".into()]
    }

    fn served(source: &TlsSource) -> Arc<CertifiedKey> {
        Arc::clone(&source.served.pair.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    #[track_caller]
    fn check_refused(cert: &Path, key: &Path, expected: &str) {
        let error = TlsSource::from_files(cert, key).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_self_signed_certificate_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = TlsSource::self_signed(folder.path(), &names()).unwrap();
        for file in ["cert.pem", "key.pem"] {
            let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let second = TlsSource::self_signed(folder.path(), &[]).unwrap();
        assert_eq!(served(&first).cert, served(&second).cert);
        fs::remove_file(folder.path().join("cert.pem")).unwrap();
        let third = TlsSource::self_signed(folder.path(), &names()).unwrap();
        assert_ne!(served(&first).cert, served(&third).cert, "made anew, for the key that was there");
    }

    #[test]
    fn says_which_file_is_at_fault() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        TlsSource::self_signed(folder.path(), &names()).unwrap();
        TlsSource::self_signed(other.path(), &names()).unwrap();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        check_refused(&folder.path().join("none.pem"), &key, "none.pem: cannot be read");
        check_refused(&cert, &folder.path().join("none.pem"), "none.pem: cannot be read");
        check_refused(&key, &key, "key.pem: holds no PEM certificate");
        check_refused(&cert, &cert, "cert.pem: holds no unencrypted PEM private key");
        check_refused(&cert, &other.path().join("key.pem"), "does not belong");
        let broken = folder.path().join("broken.pem");
        fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        check_refused(&broken, &key, "broken.pem: holds no PEM certificate");
    }

    #[test]
    fn a_bad_new_pair_keeps_the_present_one_until_both_halves_fit() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let source = TlsSource::self_signed(folder.path(), &names()).unwrap();
        let renewed = TlsSource::self_signed(other.path(), &names()).unwrap();
        let first = served(&source);
        source.reload_if_changed();
        assert!(Arc::ptr_eq(&first, &served(&source)), "nothing has changed");
        fs::rename(other.path().join("cert.pem"), folder.path().join("cert.pem")).unwrap();
        source.reload_if_changed();
        assert!(Arc::ptr_eq(&first, &served(&source)), "the key is still the old one");
        fs::rename(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
        source.reload_if_changed();
        assert_eq!(served(&source).cert, served(&renewed).cert);
    }
}

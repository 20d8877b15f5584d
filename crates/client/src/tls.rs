//! Whom a client trusts.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

/// Who vouches for AgentFlow's certificate.
#[derive(Clone)]
pub(crate) struct Authorities {
    /// Those that browsers trust.
    pub(crate) public: bool,
    /// Further ones, each some PEM.
    pub(crate) extra: Vec<Vec<u8>>,
}

/// TLS 1.2 and 1.3 with these authorities.
///
/// # Errors
/// [`Error::Authority`]: PEM that cannot be read or has no certificate.
pub(crate) fn config(authorities: &Authorities) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if authorities.public {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for pem in &authorities.extra {
        add(&mut roots, pem)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has ciphers for the default versions");
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), Error> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| Error::Authority(error.to_string()))?;
        roots.add(certificate).map_err(|error| Error::Authority(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(Error::Authority("no certificate was found in the PEM".to_owned()));
    }
    Ok(())
}

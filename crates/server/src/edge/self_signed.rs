//! The certificate that a fresh data folder gets: self-signed, for trying things out.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

use super::TlsError;

/// Makes `cert` for these names and addresses unless it is there, and `key` likewise. Both can be read by their owner only.
///
/// The key is written first and a key without a certificate is used, so that a crash in between does no harm.
pub(super) fn make(cert: &Path, key: &Path, names: &[String]) -> Result<(), TlsError> {
    if cert.exists() {
        return Ok(());
    }
    let fault = |error: rcgen::Error| TlsError::Making(error.to_string());
    let key_pair = if key.exists() {
        let pem = fs::read_to_string(key).map_err(|error| TlsError::unreadable(key, error))?;
        KeyPair::from_pem(&pem).map_err(fault)?
    } else {
        let key_pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(fault)?;
        write_privately(key, &key_pair.serialize_pem()).map_err(|error| TlsError::unwritable(key, error))?;
        key_pair
    };
    let mut params = CertificateParams::new(names).map_err(fault)?;
    params.distinguished_name.push(DnType::CommonName, "AgentFlow, self-signed for trying out");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key_pair).map_err(fault)?;
    write_privately(cert, &certificate.pem()).map_err(|error| TlsError::unwritable(cert, error))?;
    Ok(())
}

/// Writes a new file as a whole or not at all.
fn write_privately(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("pem.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

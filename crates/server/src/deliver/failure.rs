//! Why an attempt brought no response: stable codes, and sentences for the delivery's owner.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use rustls::CertificateError as Fault;

use super::TargetError;
use super::names::NameError;
use super::trace::Stage;

/// Why an attempt brought no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SendError {
    #[error("No response came within {0:?}: the time ran out while {1}.")]
    Timeout(Duration, Stage),
    #[error("The host's name could not be resolved: {0}.")]
    Dns(#[from] NameError),
    #[error(transparent)]
    Refused(#[from] TargetError),
    #[error("No connection could be opened: {0}.")]
    Connect(io::ErrorKind),
    #[error("The TLS handshake failed: {0}.")]
    Tls(String),
    #[error("The connection failed before a whole response head came: {}.", told(.0))]
    Exchange(hyper::Error),
}

impl SendError {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            SendError::Timeout(..) => "timeout",
            SendError::Dns(_) => "dns_failed",
            SendError::Refused(error) => error.code(),
            SendError::Connect(_) => "connect_failed",
            SendError::Tls(_) => "tls_failed",
            SendError::Exchange(_) => "exchange_failed",
        }
    }
}

/// Why a handshake failed, and what to do where the certificate is at fault.
pub(crate) fn tls_fault(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(fault)) = inner else { return error.to_string() };
    let told = match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => {
            "the receiver's certificate has expired; renew it there"
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "the receiver's certificate is not valid yet; compare the clocks of both machines"
        }
        // It names both.
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => {
            return format!("{error}; use a certificate with the name of the URL");
        }
        Fault::UnknownIssuer => {
            "nobody known here has signed the receiver's certificate; send the intermediate certificates along with it, or name a private authority in delivery.extra_ca"
        }
        Fault::BadSignature => {
            "another key has signed the receiver's certificate than that of its authority; if the authority was made anew, name the new one in delivery.extra_ca"
        }
        Fault::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the receiver's certificate is that of an authority; make it with basicConstraints=CA:FALSE"
        }
        _ => return error.to_string(),
    };
    told.to_owned()
}

/// The error with its cause, which is what tells one broken peer from another.
fn told(error: &hyper::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error} ({cause})"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::CertificateError as Fault;

    use super::tls_fault;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_with_what_to_do() {
        let told = |fault| tls_fault(&io::Error::other(rustls::Error::InvalidCertificate(fault)));
        assert!(told(Fault::Expired).contains("renew it there"));
        assert!(told(Fault::UnknownIssuer).contains("delivery.extra_ca"));
        assert!(told(Fault::BadSignature).contains("delivery.extra_ca"));
        assert!(told(Fault::NotValidForName).contains("the name of the URL"));
        assert_eq!(told(Fault::Revoked), "invalid peer certificate: Revoked");
        assert_eq!(tls_fault(&io::Error::other("something else")), "something else");
    }
}

//! The HTTP client's errors as failures. Told apart by type, never by text.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;

use crate::{Failure, ReplyFault};

/// Why a request brought no reply's head.
pub(crate) fn of_request(error: &legacy::Error) -> Failure {
    if let Some(tls) = find::<rustls::Error>(error) {
        return of_tls(tls);
    }
    if error.is_connect() {
        return of_connect(error);
    }
    find::<hyper::Error>(error).map_or(Failure::Broken, of_exchange)
}

/// Why a connection's exchange ended early.
pub(crate) fn of_exchange(error: &hyper::Error) -> Failure {
    if let Some(tls) = find::<rustls::Error>(error) {
        return of_tls(tls);
    }
    if error.is_parse() {
        return Failure::UnexpectedReply { status: None, fault: ReplyFault::NotHttp, retry_after: None };
    }
    Failure::Broken
}

fn of_tls(error: &rustls::Error) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(why) => Failure::UntrustedCertificate(why.to_string()),
        error => Failure::Tls(error.to_string()),
    }
}

/// The system's own words, which are the last in the chain.
fn of_connect(error: &legacy::Error) -> Failure {
    let Some(system) = find::<io::Error>(error) else {
        return Failure::Connect { kind: io::ErrorKind::Other, text: "unknown".to_owned() };
    };
    Failure::Connect { kind: system.kind(), text: system.to_string() }
}

/// The innermost error of a type in the chain of causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(error) = next {
        found = error.downcast_ref::<T>().or(found);
        next = match error.downcast_ref::<io::Error>() {
            // Its `source` would pass over the error that it wraps.
            Some(outer) => outer.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Failure, find, of_tls};

    #[test]
    fn an_error_is_found_through_the_errors_that_wrap_it() {
        let wrapped =
            io::Error::other(io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError));
        assert_eq!(find::<rustls::Error>(&wrapped), Some(&rustls::Error::DecryptError));
        assert_eq!(find::<io::Error>(&wrapped).map(io::Error::kind), Some(io::ErrorKind::InvalidData));
        assert!(find::<hyper::Error>(&wrapped).is_none());
    }

    #[test]
    fn a_bad_certificate_is_told_from_a_handshake_that_failed() {
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert!(matches!(of_tls(&expired), Failure::UntrustedCertificate(_)));
        assert!(matches!(of_tls(&rustls::Error::DecryptError), Failure::Tls(_)));
    }
}

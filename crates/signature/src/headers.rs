//! Where the two signature headers come from: any request type that can be searched for them.

use alloc::vec::Vec;

use crate::VerifyError;

/// The header with the signing time, as the guide writes it. Header names are case-insensitive.
pub const TIMESTAMP_HEADER: &str = "X-AgentFlow-Timestamp";

/// The header with the signature, as the guide writes it. Header names are case-insensitive.
pub const SIGNATURE_HEADER: &str = "X-AgentFlow-Signature";

/// [`TIMESTAMP_HEADER`] in lower case, for HTTP/2 and for maps that want it so.
pub const TIMESTAMP_HEADER_LOWERCASE: &str = "x-agentflow-timestamp";

/// [`SIGNATURE_HEADER`] in lower case, for HTTP/2 and for maps that want it so.
pub const SIGNATURE_HEADER_LOWERCASE: &str = "x-agentflow-signature";

/// The raw values of the two signature headers, each present exactly once.
///
/// Nothing about their form has been checked: that is the verifier's part.
#[derive(Clone, Copy, Debug)]
pub struct SignatureHeaders<'a> {
    pub(crate) timestamp: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> SignatureHeaders<'a> {
    /// The two values as they arrived, byte for byte.
    ///
    /// The caller answers for each header being there once. Where a request may repeat a header, pass all of
    /// them (see [`Headers`]) rather than the first.
    #[must_use]
    pub const fn new(timestamp: &'a [u8], signature: &'a [u8]) -> Self {
        Self { timestamp, signature }
    }
}

/// Something that the two signature headers can be read from.
///
/// Implemented for [`SignatureHeaders`], for lists of name and value pairs (bytes or text, names in any case),
/// for [`SignedHeaders`](crate::SignedHeaders) and, with the feature `http`, for `http::HeaderMap`.
///
/// # Example: a list of pairs
///
/// ```
/// use agentflow_signature::{Headers, VerifyError};
///
/// let twice = [("X-AgentFlow-Signature", "sha256=00"), ("x-agentflow-signature", "sha256=01")];
/// assert_eq!(twice.signature_headers().unwrap_err(), VerifyError::MalformedSignature);
/// ```
#[diagnostic::on_unimplemented(
    message = "the signature headers cannot be read from `{Self}`",
    note = "for `http::HeaderMap`, enable the feature `http` of agentflow-signature"
)]
pub trait Headers {
    /// Finds the two headers.
    ///
    /// # Errors
    ///
    /// In this order: [`VerifyError::MissingSignature`], [`VerifyError::MalformedSignature`] if there is more than
    /// one, [`VerifyError::MissingTimestamp`], [`VerifyError::MalformedTimestamp`] if there is more than one.
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError>;
}

impl Headers for SignatureHeaders<'_> {
    #[inline]
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError> {
        Ok(*self)
    }
}

impl<H: Headers + ?Sized> Headers for &H {
    #[inline]
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError> {
        (**self).signature_headers()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError> {
        let named = |wanted: &'static str| {
            self.iter()
                .filter(move |(name, _)| name.as_ref().eq_ignore_ascii_case(wanted.as_bytes()))
                .map(|(_, value)| value.as_ref())
        };
        single(named(SIGNATURE_HEADER), named(TIMESTAMP_HEADER))
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> Headers for [(N, V); COUNT] {
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError> {
        self.as_slice().signature_headers()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError> {
        self.as_slice().signature_headers()
    }
}

/// Demands exactly one of each, signature first.
pub(crate) fn single<'a>(
    mut signatures: impl Iterator<Item = &'a [u8]>,
    mut timestamps: impl Iterator<Item = &'a [u8]>,
) -> Result<SignatureHeaders<'a>, VerifyError> {
    let signature = signatures.next().ok_or(VerifyError::MissingSignature)?;
    if signatures.next().is_some() {
        return Err(VerifyError::MalformedSignature);
    }
    let timestamp = timestamps.next().ok_or(VerifyError::MissingTimestamp)?;
    if timestamps.next().is_some() {
        return Err(VerifyError::MalformedTimestamp);
    }
    Ok(SignatureHeaders { timestamp, signature })
}

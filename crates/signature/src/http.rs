//! The `http` crate's types, behind the feature `http`: read the headers from a map, write them into one.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::headers::{self, SIGNATURE_HEADER_LOWERCASE, TIMESTAMP_HEADER_LOWERCASE};
use crate::{Headers, SignatureHeaders, SignedHeaders, VerifyError};

static TIMESTAMP_NAME: HeaderName = HeaderName::from_static(TIMESTAMP_HEADER_LOWERCASE);
static SIGNATURE_NAME: HeaderName = HeaderName::from_static(SIGNATURE_HEADER_LOWERCASE);

impl Headers for HeaderMap {
    fn signature_headers(&self) -> Result<SignatureHeaders<'_>, VerifyError> {
        let named = |name| self.get_all(name).iter().map(HeaderValue::as_bytes);
        headers::single(named(&SIGNATURE_NAME), named(&TIMESTAMP_NAME))
    }
}

impl SignedHeaders {
    /// The timestamp header's value.
    #[must_use]
    pub fn timestamp_value(&self) -> HeaderValue {
        HeaderValue::from_str(self.timestamp()).expect("digits are a header value")
    }

    /// The signature header's value.
    #[must_use]
    pub fn signature_value(&self) -> HeaderValue {
        HeaderValue::from_str(self.signature()).expect("ASCII letters and digits are a header value")
    }

    /// Sets both headers, replacing whatever stood there under their names.
    ///
    /// # Example: sign a request
    ///
    /// ```
    /// use agentflow_signature::{InboundSecret, Signer, Timestamp};
    ///
    /// let signer = Signer::new(&InboundSecret::new("whsec_test")?);
    /// let mut request = http::Request::post("https://example.com/").body("{}")?;
    /// let signed = signer.sign(request.body().as_bytes(), Timestamp::from_unix_seconds(1_731_573_840));
    /// signed.insert_into(request.headers_mut());
    /// assert_eq!(request.headers()["x-agentflow-timestamp"], "1731573840");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn insert_into(&self, headers: &mut HeaderMap) {
        headers.insert(TIMESTAMP_NAME.clone(), self.timestamp_value());
        headers.insert(SIGNATURE_NAME.clone(), self.signature_value());
    }
}

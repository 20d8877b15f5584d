//! The Standard Webhooks signature that AgentFlow's events carry beside its own.

use core::fmt;

use base64ct::{Base64, Encoding};

use crate::mac::{self, Running};
use crate::timestamp::TimestampText;
use crate::{Outbound, Signer, Timestamp};

/// The Standard Webhooks header with the message id.
pub const STANDARD_ID_HEADER: &str = "webhook-id";

/// The Standard Webhooks header with the signing time in unix seconds.
pub const STANDARD_TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// The Standard Webhooks header with the signature.
pub const STANDARD_SIGNATURE_HEADER: &str = "webhook-signature";

/// What stands before the base64 digits.
const SCHEME: &[u8; 3] = b"v1,";

/// Length of the signature header's value.
const SIGNATURE_BYTES: usize = SCHEME.len() + 44;

impl Signer<Outbound> {
    /// Signs an event for [Standard Webhooks] verifiers: HMAC-SHA256 over `id`, the timestamp and `body`, joined by
    /// dots. Cannot fail and does not allocate.
    ///
    /// The key is the decoded standard base64 after the secret's `whsec_`. A secret that is not of that form (no
    /// prefix, or no valid padded base64 after it) keys with all of its bytes.
    ///
    /// The signature is sound for an id without dots, such as AgentFlow's; with them, the border between id and
    /// timestamp would not be signed.
    ///
    /// [Standard Webhooks]: https://www.standardwebhooks.com
    ///
    /// # Example
    ///
    /// ```
    /// use agentflow_signature::{OutboundSecret, Signer, Timestamp};
    ///
    /// // The test vector of the Standard Webhooks libraries.
    /// let signer = Signer::new(&OutboundSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?);
    /// let now = Timestamp::from_unix_seconds(1_614_265_330);
    /// let signed = signer.sign_standard("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#, now);
    /// assert_eq!(signed.signature(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    /// # Ok::<(), agentflow_signature::SecretError>(())
    /// ```
    pub fn sign_standard(&self, id: &str, body: &[u8], now: Timestamp) -> StandardSignature {
        let timestamp = now.text();
        let mut message = Running::new(&self.standard_key);
        message.update(id.as_bytes());
        message.update(b".");
        message.update(timestamp.as_bytes());
        message.update(b".");
        message.update(body);
        let tag = mac::bytes(&message.finish(&self.standard_key));
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..SCHEME.len()].copy_from_slice(SCHEME);
        Base64::encode(&tag, &mut signature[SCHEME.len()..]).expect("32 bytes are 44 digits of base64");
        StandardSignature { timestamp, signature }
    }
}

/// The timestamp and signature headers of one attempt in the Standard Webhooks scheme.
///
/// The third header, [`STANDARD_ID_HEADER`], carries the id that was signed.
#[derive(Clone)]
pub struct StandardSignature {
    timestamp: TimestampText,
    signature: [u8; SIGNATURE_BYTES],
}

impl StandardSignature {
    /// The value of [`STANDARD_TIMESTAMP_HEADER`].
    #[must_use]
    pub fn timestamp(&self) -> &str {
        self.timestamp.as_str()
    }

    /// The value of [`STANDARD_SIGNATURE_HEADER`]: `v1,` and 44 digits of base64.
    #[must_use]
    pub fn signature(&self) -> &str {
        core::str::from_utf8(&self.signature).expect("only ASCII was written")
    }
}

/// Shows both values: they cross the wire and are no secret.
impl fmt::Debug for StandardSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandardSignature")
            .field("timestamp", &self.timestamp())
            .field("signature", &self.signature())
            .finish()
    }
}

//! Other crates' rows. Whole webhook verifiers run as they are; bare HMAC crates get the least that a careful user
//! would write around them: parse the time, check the window, decode the hex, compare in constant time.

use std::hint::black_box;
use std::time::Duration;

use agentflow_signature::{OutboundSecret, Signer, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

use super::{Row, SECRET};

pub(super) fn rows(body: &[u8], now: Timestamp) -> Vec<Row> {
    vec![
        hmac_cached(body, now),
        ring(body, now),
        aws_lc_rs(body, now),
        webhook_verify(body, now),
        standardwebhooks(body, now),
        svix(body, now),
    ]
}

/// The headers of our own scheme.
#[derive(Clone)]
struct Signed {
    timestamp: String,
    signature: String,
    body: Vec<u8>,
    now: u64,
}

impl Signed {
    fn new(body: &[u8], now: Timestamp) -> Self {
        let secret = OutboundSecret::new(SECRET).expect("the secret is well formed");
        let signed = Signer::new(&secret).sign(body, now);
        Self {
            timestamp: signed.timestamp().to_owned(),
            signature: signed.signature().to_owned(),
            body: body.to_vec(),
            now: now.as_unix_seconds(),
        }
    }

    /// What stands around the HMAC: the tag, if the headers are well formed and within the window.
    #[inline]
    fn tag(&self) -> Option<[u8; 32]> {
        let signed: u64 = black_box(&self.timestamp).parse().ok()?;
        if black_box(self.now).abs_diff(signed) > 300 {
            return None;
        }
        let mut tag = [0; 32];
        hex::decode_to_slice(black_box(&self.signature).strip_prefix("sha256=")?, &mut tag).ok()?;
        Some(tag)
    }

    fn row(self, name: &'static str, verify: impl Fn(&Self, [u8; 32]) -> bool + 'static) -> Row {
        Row::new(name, move || self.tag().is_some_and(|tag| verify(&self, tag)))
    }
}

fn hmac_cached(body: &[u8], now: Timestamp) -> Row {
    let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes keys of any length");
    Signed::new(body, now).row("hmac (key cached)", move |signed, tag| {
        let mut mac = black_box(&key).clone();
        mac.update(signed.timestamp.as_bytes());
        mac.update(b".");
        mac.update(black_box(&signed.body));
        mac.verify_slice(&tag).is_ok()
    })
}

#[expect(deprecated, reason = "the only comparison that ring has for a tag made in pieces")]
fn ring(body: &[u8], now: Timestamp) -> Row {
    use ring::{constant_time, hmac};
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    Signed::new(body, now).row("ring", move |signed, tag| {
        let mut mac = hmac::Context::with_key(black_box(&key));
        mac.update(signed.timestamp.as_bytes());
        mac.update(b".");
        mac.update(black_box(&signed.body));
        constant_time::verify_slices_are_equal(mac.sign().as_ref(), &tag).is_ok()
    })
}

fn aws_lc_rs(body: &[u8], now: Timestamp) -> Row {
    use aws_lc_rs::{constant_time, hmac};
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    Signed::new(body, now).row("aws-lc-rs", move |signed, tag| {
        let mut mac = hmac::Context::with_key(black_box(&key));
        mac.update(signed.timestamp.as_bytes());
        mac.update(b".");
        mac.update(black_box(&signed.body));
        constant_time::verify_slices_are_equal(mac.sign().as_ref(), &tag).is_ok()
    })
}

fn webhook_verify(body: &[u8], now: Timestamp) -> Row {
    use webhook_verify::{CustomScheme, Encoding, HashAlg, Provider, Secret, VerifyOptions, verify};
    let scheme = CustomScheme {
        hash: HashAlg::Sha256,
        signature_header: "X-AgentFlow-Signature",
        timestamp_header: Some("X-AgentFlow-Timestamp"),
        encoding: Encoding::Hex,
        prefix: Some("sha256="),
        signed_string: |headers, body| {
            let timestamp = headers.get("X-AgentFlow-Timestamp").unwrap_or_default();
            let mut message = Vec::with_capacity(timestamp.len() + 1 + body.len());
            message.extend_from_slice(timestamp.as_bytes());
            message.push(b'.');
            message.extend_from_slice(body);
            message
        },
    };
    let signed = Signed::new(body, now);
    let secret = Secret::new(SECRET);
    Row::new("webhook-verify", move || {
        let headers = [
            ("X-AgentFlow-Timestamp", signed.timestamp.as_str()),
            ("X-AgentFlow-Signature", signed.signature.as_str()),
        ];
        let options = VerifyOptions::default().with_max_age(Some(Duration::from_secs(300)));
        verify(Provider::Custom(scheme), black_box(&headers), black_box(&signed.body), &secret, options)
            .is_ok()
    })
}

/// The headers of the Standard Webhooks scheme.
fn standard_headers(body: &[u8], now: Timestamp) -> HeaderMap {
    let secret = OutboundSecret::new(SECRET).expect("the secret is well formed");
    let signed = Signer::new(&secret).sign_standard("evt_1", body, now);
    let pairs = [
        ("webhook-id", "evt_1"),
        ("webhook-timestamp", signed.timestamp()),
        ("webhook-signature", signed.signature()),
    ];
    pairs
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("ASCII")))
        .into_iter()
        .collect()
}

fn standardwebhooks(body: &[u8], now: Timestamp) -> Row {
    let webhook = standardwebhooks::Webhook::new(SECRET).expect("the secret is well formed");
    let (headers, body) = (standard_headers(body, now), body.to_vec());
    Row::new("standardwebhooks", move || webhook.verify(black_box(&body), black_box(&headers)).is_ok())
}

fn svix(body: &[u8], now: Timestamp) -> Row {
    let webhook = svix::webhooks::Webhook::new(SECRET).expect("the secret is well formed");
    let (headers, body) = (standard_headers(body, now), body.to_vec());
    Row::new("svix", move || webhook.verify(black_box(&body), black_box(&headers)).is_ok())
}

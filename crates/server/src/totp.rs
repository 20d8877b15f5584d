//! One-time codes of authenticator apps: RFC 6238 with SHA-1, six digits and thirty seconds, which every app knows. Pure.

use agentflow_events::Moment;
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use crate::id::random;

/// What codes are made from: 160 bits, as RFC 4226 recommends. No `Debug`; wiped on drop.
pub struct TotpSecret(Zeroizing<[u8; TotpSecret::BYTES]>);

impl TotpSecret {
    const BYTES: usize = 20;
    const STEP_SECONDS: u64 = 30;
    /// Steps before and after the present one whose code counts, for clocks that differ and people who type.
    const WINDOW: u64 = 1;
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    /// A fresh one.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random()))
    }

    /// As it is sealed.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(Base64UrlUnpadded::encode_string(&*self.0))
    }

    /// From what was sealed.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        let decoded = Base64UrlUnpadded::decode(text, &mut *bytes).ok()?;
        (decoded.len() == Self::BYTES).then_some(Self(bytes))
    }

    /// As people type it into an app: base32.
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(base32(&*self.0))
    }

    /// As apps take it: the Key Uri Format.
    pub fn url(&self, account: &str) -> Zeroizing<String> {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        Zeroizing::new(format!(
            "otpauth://totp/AgentFlow:{}?secret={}&issuer=AgentFlow",
            encode(account),
            self.base32().as_str()
        ))
    }

    /// Which step this is the code of, of those that count at `now`. Whoever takes it notes the step, and takes none up to it
    /// again.
    pub fn step_of(&self, code: &str, now: Moment) -> Option<u64> {
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let given: u32 = code.parse().ok()?;
        let present = u64::try_from(now.unix_seconds()).ok()? / Self::STEP_SECONDS;
        let counts = present.saturating_sub(Self::WINDOW)..=present + Self::WINDOW;
        counts.rev().find(|step| self.code_at(*step) == given)
    }

    fn code_at(&self, step: u64) -> u32 {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &*self.0);
        let tag = sign(&key, &step.to_be_bytes());
        let digest = tag.as_ref();
        let at = usize::from(digest[digest.len() - 1] & 0xf);
        let word: [u8; 4] =
            digest[at..at + 4].try_into().expect("twenty bytes have four from each of sixteen on");
        (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000
    }
}

/// RFC 4648, without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut padded = [0; 8];
        padded[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(padded);
        for digit in 0..(group.len() * 8).div_ceil(5) {
            let index = bits >> (35 - 5 * digit) & 31;
            text.push(char::from(TotpSecret::ALPHABET[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use agentflow_events::Moment;
    use zeroize::Zeroizing;

    use super::{TotpSecret, base32};

    fn secret() -> TotpSecret {
        TotpSecret(Zeroizing::new(*b"12345678901234567890"))
    }

    fn at(seconds: i64) -> Moment {
        Moment::from_unix_millis(seconds * 1_000)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().step_of(code, at(seconds)), Some(seconds as u64 / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_counts_one_step_early_and_late_and_no_more() {
        // The code of step 1.
        for (seconds, counts) in [(0, true), (29, true), (30, true), (89, true), (90, false)] {
            assert_eq!(secret().step_of("287082", at(seconds)).is_some(), counts, "{seconds}");
        }
        for wrong in ["", "28708", "2870822", "+87082", "28708x", "２８７０８２"] {
            assert_eq!(secret().step_of(wrong, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(secret().base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_secret_comes_back_from_its_text_and_apps_are_told_whose_it_is() {
        let again = TotpSecret::from_text(&secret().to_text()).expect("it was one");
        assert_eq!(again.base32(), secret().base32());
        assert!(TotpSecret::from_text("AAAA").is_none());
        assert_eq!(
            secret().url("ada+x@example.com").as_str(),
            "otpauth://totp/AgentFlow:ada%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=AgentFlow"
        );
    }
}

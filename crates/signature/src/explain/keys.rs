//! The keys that a secret is mistaken for.

use alloc::vec::Vec;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::Mistake;
use super::claims::from_hex;
use crate::secret::PREFIX;

/// Shows every other key that someone with the secret `text` may have used, likely ones first; at most thirteen.
pub(super) fn find<T>(text: &str, mut test: impl FnMut(&[u8], Mistake) -> Option<T>) -> Option<T> {
    // An empty key is nobody's: whoever signs with it has no secret.
    let mut test = |key: &[u8], mistake| if key.is_empty() { None } else { test(key, mistake) };
    let mut joined = |pieces: [&str; 3], mistake| {
        let mut key = Zeroizing::new(Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum()));
        pieces.iter().for_each(|piece| key.extend_from_slice(piece.as_bytes()));
        test(&key, mistake)
    };
    let (bare, other) = match text.strip_prefix(PREFIX) {
        Some(bare) => (bare, ["", bare, ""]),
        None => (text, [PREFIX, text, ""]),
    };
    let found = joined(other, Mistake::SecretWithoutPrefix)
        .or_else(|| joined(["", text, "\n"], Mistake::SecretWhiteSpace))
        .or_else(|| joined(["", text, "\r\n"], Mistake::SecretWhiteSpace))
        .or_else(|| joined(["", text, " "], Mistake::SecretWhiteSpace))
        .or_else(|| joined([" ", text, ""], Mistake::SecretWhiteSpace))
        .or_else(|| joined(["\"", text, "\""], Mistake::SecretQuoted))
        .or_else(|| joined(["'", text, "'"], Mistake::SecretQuoted));
    if found.is_some() {
        return found;
    }
    let inner = text.trim_matches(['"', '\'']);
    if inner.len() != text.len() {
        let found = joined(["", inner, ""], Mistake::SecretQuoted);
        if found.is_some() {
            return found;
        }
    }
    let unpadded = text.trim_end_matches('=');
    if unpadded.len() != text.len() {
        let found = joined(["", unpadded, ""], Mistake::SecretCutShort);
        if found.is_some() {
            return found;
        }
    }
    let digits = bare.trim_end_matches('=');
    let decoded = Base64Unpadded::decode_vec(digits)
        .or_else(|_| Base64UrlUnpadded::decode_vec(digits))
        .map(Zeroizing::new);
    if let Ok(decoded) = decoded {
        let hex = Zeroizing::new(to_hex(&decoded));
        let found = test(&decoded, Mistake::SecretDecoded).or_else(|| test(&hex, Mistake::SecretHex));
        if found.is_some() {
            return found;
        }
    }
    if let Some(bytes) = from_hex(bare.as_bytes()) {
        let found = test(&bytes, Mistake::SecretHex);
        if found.is_some() {
            return found;
        }
    }
    test(&Zeroizing::new(to_hex(text.as_bytes())), Mistake::SecretHex)
}

fn to_hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

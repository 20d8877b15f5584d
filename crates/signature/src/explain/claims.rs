//! The signature header, read with all forgiveness: which tags it may mean, and what is wrong with its form.

use alloc::vec::Vec;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::Mistake;
use crate::hex::Tag;
use crate::signer::SCHEME;

/// A longer header is not read.
const VALUE_BYTES_MAX: usize = 2_048;

/// Tags taken from one header.
const TAGS_MAX: usize = 4;

/// What the header may mean. Nothing of it is proven.
#[derive(Default)]
pub(super) struct Claims<'a> {
    pub(super) tags: Vec<Tag>,
    /// Empty for exactly the form that a verifier accepts.
    pub(super) mistakes: Vec<Mistake>,
    /// The `t=` of Stripe's form.
    pub(super) timestamp: Option<&'a [u8]>,
}

impl<'a> Claims<'a> {
    pub(super) fn read(value: &'a [u8]) -> Self {
        let mut claims = Self::default();
        let text = unquoted(value);
        if text.len() > VALUE_BYTES_MAX {
            claims.mistakes.push(Mistake::SignatureUnreadable);
            return claims;
        }
        if text.starts_with(b"v1,") {
            claims.mistakes.push(Mistake::SignatureStandard);
            claims.every(
                text.split(|byte| *byte == b' ').map(|part| part.strip_prefix(b"v1,").unwrap_or(part)),
            );
        } else if text.contains(&b',') {
            claims.parts(text);
        } else {
            claims.one(text);
        }
        if text.len() != value.len() {
            claims.mistakes.push(Mistake::SignatureWhiteSpace);
        }
        claims
    }

    fn parts(&mut self, text: &'a [u8]) {
        let parts = || text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        self.timestamp = parts().find_map(|part| part.strip_prefix(b"t="));
        self.mistakes.push(match self.timestamp {
            Some(_) => Mistake::SignatureInParts,
            None => Mistake::SignatureList,
        });
        self.every(parts().map(|part| split_prefix(part).1));
    }

    /// Takes the tags of a form that is another altogether, whose parts are not to be found fault with.
    fn every(&mut self, digits: impl Iterator<Item = &'a [u8]>) {
        self.tags
            .extend(digits.filter_map(|digits| read_digits(digits).ok().map(|(tag, _)| tag)).take(TAGS_MAX));
    }

    fn one(&mut self, text: &[u8]) {
        let (prefix, rest) = split_prefix(text);
        let digits = rest.trim_ascii();
        match read_digits(digits) {
            Ok((tag, mistake)) => {
                self.tags.push(tag);
                self.mistakes.extend(mistake);
            }
            Err(mistake) => self.mistakes.push(mistake),
        }
        let unreadable = self.mistakes.contains(&Mistake::SignatureUnreadable);
        match prefix {
            Some(b"sha256=") => {}
            _ if unreadable => {}
            Some(_) => self.mistakes.push(Mistake::SignaturePrefixOther),
            None => self.mistakes.push(Mistake::SignaturePrefixMissing),
        }
        if digits.len() != rest.len() {
            self.mistakes.push(Mistake::SignatureWhiteSpace);
        }
    }
}

/// Without white space and one pair of quotes around it.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    let text = value.trim_ascii();
    match text {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner.trim_ascii(),
        _ => text,
    }
}

/// The scheme with its sign, and the digits. The padding of base64 is no sign: digits of a hash's length stand before it.
fn split_prefix(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let sign = text.iter().take(16).position(|byte| matches!(byte, b'=' | b':' | b' '));
    match sign {
        Some(at) => (Some(&text[..=at]), &text[at + 1..]),
        None => (None, text),
    }
}

/// The tag, and what is wrong with how it is written; or what it is instead.
fn read_digits(digits: &[u8]) -> Result<(Tag, Option<Mistake>), Mistake> {
    let (bytes, mistake) = decode(digits).ok_or(Mistake::SignatureUnreadable)?;
    if let Some(tag) = tag(&bytes) {
        return Ok((tag, mistake));
    }
    // The bytes may be the text of a signature.
    let text = bytes.strip_prefix(SCHEME).unwrap_or(&bytes);
    if let Some(tag) = decode(text).and_then(|(bytes, _)| tag(&bytes)) {
        return Ok((tag, Some(Mistake::SignatureEncodedTwice)));
    }
    Err(match bytes.len() {
        16 | 20 | 28 | 48 | 64 => Mistake::SignatureOtherHash { bits: bytes.len() as u16 * 8 },
        _ => Mistake::SignatureUnreadable,
    })
}

fn tag(bytes: &[u8]) -> Option<Tag> {
    let (words, []) = bytes.as_chunks() else { return None };
    <&[[u8; 4]; 8]>::try_from(words).ok().map(|words| words.map(u32::from_be_bytes))
}

/// What hex or base64 digits stand for, and what is wrong with them.
fn decode(digits: &[u8]) -> Option<(Vec<u8>, Option<Mistake>)> {
    let upper = digits.iter().any(u8::is_ascii_uppercase).then_some(Mistake::SignatureUpperCase);
    from_hex(digits).map(|bytes| (bytes.to_vec(), upper)).or_else(|| from_base64(digits))
}

/// What hex digits in any case stand for.
///
/// Wiped on drop, and never moved while it grows: the digits may be those of a secret.
pub(super) fn from_hex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let nibble = |digit: u8| (digit as char).to_digit(16);
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        bytes.push((nibble(*high)? * 16 + nibble(*low)?) as u8);
    }
    Some(bytes)
}

fn from_base64(digits: &[u8]) -> Option<(Vec<u8>, Option<Mistake>)> {
    let text = core::str::from_utf8(digits).ok()?.trim_end_matches('=');
    let standard = Base64Unpadded::decode_vec(text).map(|bytes| (bytes, Some(Mistake::SignatureBase64)));
    let url = || Base64UrlUnpadded::decode_vec(text).map(|bytes| (bytes, Some(Mistake::SignatureBase64Url)));
    standard.or_else(|_| url()).ok()
}

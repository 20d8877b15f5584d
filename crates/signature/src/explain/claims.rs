//! The signature header, read with all forgiveness: which tags it may mean, and what is wrong with its form.

use alloc::vec::Vec;

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};

use super::Mistake;
use crate::hex::Tag;

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

/// The scheme with its sign, if digits of a length to be taken seriously stand after it. Padding is at the end, so it is none.
fn split_prefix(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let sign = text.iter().take(16).position(|byte| matches!(byte, b'=' | b':' | b' '));
    match sign {
        Some(at) if text.len() - at > 20 => (Some(&text[..=at]), &text[at + 1..]),
        _ => (None, text),
    }
}

/// The tag, and what is wrong with how it is written; or what it is instead.
fn read_digits(digits: &[u8]) -> Result<(Tag, Option<Mistake>), Mistake> {
    let decoded = if digits.len().is_multiple_of(2) && digits.iter().all(u8::is_ascii_hexdigit) {
        let upper = digits.iter().any(u8::is_ascii_uppercase);
        Some((from_hex(digits), upper.then_some(Mistake::SignatureUpperCase)))
    } else {
        from_base64(digits)
    };
    let (bytes, mistake) = decoded.ok_or(Mistake::SignatureUnreadable)?;
    let (words, rest) = bytes.as_chunks();
    match (<&[[u8; 4]; 8]>::try_from(words), rest) {
        (Ok(words), []) => Ok((words.map(u32::from_be_bytes), mistake)),
        _ => Err(match bytes.len() {
            16 | 20 | 28 | 48 | 64 => Mistake::SignatureOtherHash { bits: bytes.len() as u16 * 8 },
            _ => Mistake::SignatureUnreadable,
        }),
    }
}

/// Of hex digits in any case, an even number.
pub(super) fn from_hex(digits: &[u8]) -> Vec<u8> {
    let nibble = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
    let (pairs, _) = digits.as_chunks::<2>();
    pairs.iter().map(|[high, low]| nibble(*high) << 4 | nibble(*low)).collect()
}

fn from_base64(digits: &[u8]) -> Option<(Vec<u8>, Option<Mistake>)> {
    let text = core::str::from_utf8(digits).ok()?.trim_end_matches('=');
    let standard = Base64Unpadded::decode_vec(text).map(|bytes| (bytes, Some(Mistake::SignatureBase64)));
    let url = || Base64UrlUnpadded::decode_vec(text).map(|bytes| (bytes, Some(Mistake::SignatureBase64Url)));
    standard.or_else(|_| url()).ok()
}

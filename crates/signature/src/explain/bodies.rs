//! The bodies that may have been signed where another one arrived.

use alloc::vec::Vec;

use base64ct::{Base64, Encoding};

use super::Mistake;
use super::budget::HASHED_BYTES_MAX;
use super::json::Document;
use super::rewrite::{JsonForm, OUTPUT_BYTES_MAX};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A larger body is not decoded.
const BASE64_BYTES_MAX: usize = 128 * 1024;

/// Shows every other body, likely ones first; each differs from `body`.
pub(super) fn find<T>(
    body: &[u8],
    json: Option<&Document<'_>>,
    mut test: impl FnMut(&[&[u8]], Mistake) -> Option<T>,
) -> Option<T> {
    // Line ends first: JSON written anew has no white space at its end, either, but is the rarer reason for its absence.
    let found = line_ends(body, &mut test);
    found
        .or_else(|| json.and_then(|document| rewritten(body, document, JsonForm::LIKELY, &mut test)))
        .or_else(|| {
            json.and_then(|document| rewritten(body, document, &JsonForm::unlikely(document), &mut test))
        })
}

/// The few that are worth a try together with another mistake.
pub(super) fn find_likely<T>(
    body: &[u8],
    json: Option<&Document<'_>>,
    mut test: impl FnMut(&[&[u8]], Mistake) -> Option<T>,
) -> Option<T> {
    let cut = body.strip_suffix(b"\n");
    let found = cut.and_then(|cut| test(&[cut], Mistake::NewlineNotSigned));
    found
        .or_else(|| json.and_then(|document| rewritten(body, document, JsonForm::LIKELY, &mut test)))
        .or_else(|| test(&[body, b"\n"], Mistake::NewlineNotSent))
}

fn line_ends<T>(body: &[u8], test: &mut impl FnMut(&[&[u8]], Mistake) -> Option<T>) -> Option<T> {
    let found = test(&[body, b"\n"], Mistake::NewlineNotSent)
        .or_else(|| test(&[body, b"\r\n"], Mistake::NewlineNotSent))
        .or_else(|| test(&[BOM, body], Mistake::BomNotSent));
    if found.is_some() {
        return found;
    }
    let without_bom = body.strip_prefix(BOM).map(|cut| (cut, Mistake::BomNotSigned));
    let cut = body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n"));
    let without_newline = cut.map(|cut| (cut, Mistake::NewlineNotSigned));
    let trimmed = Some(body.trim_ascii())
        .filter(|trimmed| trimmed.len() != cut.unwrap_or(body).len())
        .map(|trimmed| (trimmed, Mistake::WhiteSpaceNotSigned));
    for (cut, mistake) in [without_bom, without_newline, trimmed].into_iter().flatten() {
        let found = test(&[cut], mistake);
        if found.is_some() {
            return found;
        }
    }
    // What is larger would not be hashed, so it is not made.
    if body.len() <= HASHED_BYTES_MAX {
        let lf = to_lf(body);
        let crlf = to_crlf(&lf);
        for changed in [lf, crlf] {
            let found =
                if changed == body { None } else { test(&[changed.as_slice()], Mistake::LineEndsChanged) };
            if found.is_some() {
                return found;
            }
        }
    }
    let text = core::str::from_utf8(body).ok().filter(|text| text.len() <= BASE64_BYTES_MAX)?;
    let decoded = Base64::decode_vec(text.trim_ascii()).ok()?;
    test(&[decoded.as_slice()], Mistake::BodyInBase64)
}

fn rewritten<T>(
    body: &[u8],
    document: &Document<'_>,
    forms: &[JsonForm],
    test: &mut impl FnMut(&[&[u8]], Mistake) -> Option<T>,
) -> Option<T> {
    let mut out = Vec::new();
    for &form in forms {
        let written = document.write(form, OUTPUT_BYTES_MAX, &mut out).filter(|written| *written != body);
        let found = written.and_then(|written| test(&[written], Mistake::JsonRewritten(form)));
        if found.is_some() {
            return found;
        }
    }
    None
}

fn to_lf(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for (at, &byte) in body.iter().enumerate() {
        if !(byte == b'\r' && body.get(at + 1) == Some(&b'\n')) {
            out.push(byte);
        }
    }
    out
}

fn to_crlf(lf: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lf.len() + 16);
    for &byte in lf {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

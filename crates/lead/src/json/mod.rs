//! First stage: bytes to the members of one object, hostile JSON refused.
//!
//! Two readers look at every body and both must accept it: [`scan`] finds what the grammar allows and we do not
//! (depth, keys, duplicates, NUL, lone surrogates), serde_json decides the grammar and cuts out the members. So
//! a slip in our scanner can refuse too much or miss a limit, but never let through what is not JSON.

mod malformed;
mod members;
mod scan;

use std::borrow::Cow;

use serde_json::value::RawValue;

pub use self::malformed::MalformedJson;
pub(crate) use self::scan::Bounds;

/// A key with its escapes resolved, and its value byte for byte.
pub(crate) type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// The members of the object that `body` is, in the order sent; no key twice.
pub(crate) fn members(body: &[u8], bounds: Bounds) -> Result<Vec<Member<'_>>, MalformedJson> {
    let text = text(body)?;
    scan::scan(text, bounds)?;
    members::split(text)
}

fn text(body: &[u8]) -> Result<&str, MalformedJson> {
    const BOMS: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFE\xFF", b"\xFF\xFE"];
    if BOMS.iter().any(|bom| body.starts_with(bom)) {
        return Err(MalformedJson::Bom);
    }
    if let Some(offset) = memchr::memchr(0, body) {
        return Err(MalformedJson::Nul { offset });
    }
    std::str::from_utf8(body).map_err(|error| MalformedJson::InvalidUtf8 { offset: error.valid_up_to() })
}

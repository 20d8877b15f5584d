//! Strings as the fields read them: what is a string, what is blank, what is too long.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::violation::{FieldCode, Violation};

/// The text of a required field; null and blank are missing.
pub(crate) fn required<'a>(
    field: &'static str,
    value: Option<&'a RawValue>,
) -> Result<Cow<'a, str>, Violation> {
    recommended(field, value)?.ok_or_else(|| Violation::new(field, FieldCode::Required, "is required"))
}

/// The text of a recommended field; null and blank are absent.
pub(crate) fn recommended<'a>(
    field: &'static str,
    value: Option<&'a RawValue>,
) -> Result<Option<Cow<'a, str>>, Violation> {
    let Some(json) = value.map(RawValue::get).filter(|json| *json != "null") else { return Ok(None) };
    let text =
        string(json).ok_or_else(|| Violation::new(field, FieldCode::InvalidType, "must be a string"))?;
    Ok(Some(text).filter(|text| !is_blank(text)))
}

/// `text`, if it has at most `chars_max` Unicode scalar values.
pub(crate) fn at_most(
    chars_max: usize,
    field: &'static str,
    text: Cow<'_, str>,
) -> Result<String, Violation> {
    // A character takes at least one byte, so short texts need no counting.
    if text.len() > chars_max && text.chars().count() > chars_max {
        let message = format!("must have at most {chars_max} characters");
        return Err(Violation::new(field, FieldCode::TooLong, message));
    }
    Ok(text.into_owned())
}

/// Nothing that could be seen: white space, control characters and characters without a glyph.
pub(crate) fn is_blank(text: &str) -> bool {
    // Nearly every text begins with what can be seen.
    !text.as_bytes().first().is_some_and(u8::is_ascii_graphic)
        && text.chars().all(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// Characters that shape or join their neighbours and show nothing themselves.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Whether a raw value is null or a blank string.
pub(crate) fn is_empty(value: &RawValue) -> bool {
    value.get() == "null" || string(value.get()).is_some_and(|text| is_blank(&text))
}

/// What a JSON string says; `None` for any other value.
fn string(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(json).ok().map(Cow::Owned)
}

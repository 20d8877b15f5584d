//! What RFC 8259 allows and we refuse, found in one pass over the text: too deep, too many keys, a key twice, a
//! NUL or half a surrogate pair written as an escape.
//!
//! The pass knows strings, brackets and commas and leaves the grammar to serde_json: on text that is no JSON it
//! finds something or nothing, and never fails in any other way. On JSON it is exact.

use std::borrow::Cow;

use memchr::memchr2;

use super::MalformedJson;
use crate::limits;

/// How deep and how wide an object may be.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    depth_max: usize,
    keys_max: usize,
}

impl Bounds {
    /// The contract's limits for what comes over the wire.
    pub(crate) const WIRE: Self = Self { depth_max: limits::DEPTH_MAX, keys_max: limits::KEYS_MAX };

    /// None: for what was accepted before.
    pub(crate) const STORED: Self = Self { depth_max: usize::MAX, keys_max: usize::MAX };
}

pub(super) fn scan(text: &str, bounds: Bounds) -> Result<(), MalformedJson> {
    let mut open = Open { levels: Vec::with_capacity(8), keys: Vec::with_capacity(16), bounds };
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut key_is_next = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some(string) = string(bytes, at)? else { return Ok(()) };
                if key_is_next {
                    open.key(&text[at..string.end], at, string.is_escaped)?;
                    key_is_next = false;
                }
                at = string.end;
                continue;
            }
            b'{' | b'[' => {
                open.descend(byte == b'{', at)?;
                key_is_next = byte == b'{';
            }
            b'}' | b']' => {
                open.ascend()?;
                key_is_next = false;
            }
            b',' => key_is_next = open.in_object(),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

struct StringSpan {
    /// One past the closing quote.
    end: usize,
    is_escaped: bool,
}

/// The string whose opening quote is at `start`; `None` if it never ends.
fn string(bytes: &[u8], start: usize) -> Result<Option<StringSpan>, MalformedJson> {
    let mut at = start + 1;
    let mut is_escaped = false;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return Ok(Some(StringSpan { end: at + 1, is_escaped }));
        }
        is_escaped = true;
        at += escape_len(bytes, at)?;
    }
    Ok(None)
}

/// Bytes of the escape whose backslash is at `at`; both halves of a surrogate pair are one.
fn escape_len(bytes: &[u8], at: usize) -> Result<usize, MalformedJson> {
    match unit(bytes, at) {
        Some(0) => Err(MalformedJson::Nul { offset: at }),
        Some(0xD800..=0xDBFF) => match unit(bytes, at + 6) {
            Some(0xDC00..=0xDFFF) => Ok(12),
            _ => Err(MalformedJson::LoneSurrogate { offset: at }),
        },
        Some(0xDC00..=0xDFFF) => Err(MalformedJson::LoneSurrogate { offset: at }),
        Some(_) => Ok(6),
        None => Ok(2),
    }
}

/// The UTF-16 unit that `\uXXXX` at `at` stands for.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// The brackets that are open, and the keys of the objects among them.
struct Open<'a> {
    levels: Vec<Level>,
    keys: Vec<Key<'a>>,
    bounds: Bounds,
}

#[derive(Clone, Copy)]
enum Level {
    Array,
    Object {
        /// Where its keys begin in `Open::keys`.
        keys_from: usize,
    },
}

struct Key<'a> {
    text: Cow<'a, str>,
    offset: usize,
}

impl<'a> Open<'a> {
    fn in_object(&self) -> bool {
        matches!(self.levels.last(), Some(Level::Object { .. }))
    }

    fn descend(&mut self, is_object: bool, offset: usize) -> Result<(), MalformedJson> {
        if self.levels.len() >= self.bounds.depth_max {
            return Err(MalformedJson::TooDeep { offset });
        }
        self.levels.push(if is_object { Level::Object { keys_from: self.keys.len() } } else { Level::Array });
        Ok(())
    }

    fn key(&mut self, quoted: &'a str, offset: usize, is_escaped: bool) -> Result<(), MalformedJson> {
        let Some(&Level::Object { keys_from }) = self.levels.last() else { return Ok(()) };
        if self.keys.len() - keys_from >= self.bounds.keys_max {
            return Err(MalformedJson::TooManyKeys { offset });
        }
        let text = if is_escaped {
            // What does not resolve is not JSON, which serde_json will find again.
            serde_json::from_str(quoted).map_or(Cow::Borrowed(quoted), Cow::Owned)
        } else {
            Cow::Borrowed(&quoted[1..quoted.len() - 1])
        };
        self.keys.push(Key { text, offset });
        Ok(())
    }

    fn ascend(&mut self) -> Result<(), MalformedJson> {
        let Some(Level::Object { keys_from }) = self.levels.pop() else { return Ok(()) };
        let repeated = repeated(&mut self.keys[keys_from..]);
        self.keys.truncate(keys_from);
        repeated.map_or(Ok(()), |offset| Err(MalformedJson::DuplicateKey { offset }))
    }
}

/// Where a key stands that stood before. Sorting keeps a hostile object of many keys cheap without hashing.
fn repeated(keys: &mut [Key<'_>]) -> Option<usize> {
    const FEW: usize = 16;
    if keys.len() <= FEW {
        let is_repeat = |&at: &usize| keys[..at].iter().any(|earlier| earlier.text == keys[at].text);
        return (1..keys.len()).find(is_repeat).map(|at| keys[at].offset);
    }
    keys.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(a.offset.cmp(&b.offset)));
    keys.windows(2).filter(|pair| pair[0].text == pair[1].text).map(|pair| pair[1].offset).min()
}

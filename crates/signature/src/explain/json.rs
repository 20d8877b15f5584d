//! JSON as tokens, so that it can be written anew without a value being understood.
//!
//! It takes every well-formed document that is small enough, and some that are not quite well-formed (numbers and words are
//! not looked into); what it takes is written anew with the tokens' own text.

use alloc::string::String;
use alloc::vec::Vec;

/// A longer body is not rewritten. 64 KiB.
pub const JSON_BYTES_MAX: usize = 64 * 1024;

/// Deeper nesting is not rewritten.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, `true`, `false` or `null`.
    Word,
    String,
    Array,
    Object,
}

/// A value or a key. Its members follow it: of an object keys and values in turn.
pub(super) struct Node<'a> {
    pub(super) kind: Kind,
    /// As it stands in the document, quotes included; empty for arrays and objects.
    pub(super) text: &'a str,
    /// The index after its last descendant.
    pub(super) end: usize,
}

/// A document, its nodes in the order of the text.
pub(super) struct Document<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// Somewhere an escape or a character past ASCII.
    pub(super) has_escapable: bool,
    /// Somewhere a slash.
    pub(super) has_slash: bool,
    /// Somewhere a character that is escaped for HTML's sake.
    pub(super) has_markup: bool,
    /// Each object's keys are in order.
    pub(super) is_sorted: bool,
}

impl<'a> Document<'a> {
    /// `None`: no object or array, too large, too deep or malformed.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        if body.len() > JSON_BYTES_MAX {
            return None;
        }
        let text = core::str::from_utf8(body).ok()?;
        let mut scanner = Scanner { text, at: 0, nodes: Vec::new() };
        if !matches!(scanner.peek()?, b'{' | b'[') {
            return None;
        }
        scanner.value(DEPTH_MAX)?;
        if scanner.peek().is_some() {
            return None;
        }
        let nodes = scanner.nodes;
        Some(Self {
            has_escapable: text.contains('\\') || !text.is_ascii(),
            has_slash: text.contains('/'),
            has_markup: text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']),
            is_sorted: (0..nodes.len()).all(|at| keys_in_order(&nodes, at)),
            nodes,
        })
    }

    /// The indices of an object's keys, in order of the text.
    pub(super) fn keys(&self, object: usize) -> impl Iterator<Item = usize> {
        keys(&self.nodes, object)
    }
}

fn keys<'n>(nodes: &'n [Node<'_>], object: usize) -> impl Iterator<Item = usize> + use<'n> {
    let end = nodes[object].end;
    let first = Some(object + 1).filter(|at| *at < end);
    core::iter::successors(first, move |key| Some(nodes[key + 1].end).filter(|at| *at < end))
}

fn keys_in_order(nodes: &[Node<'_>], at: usize) -> bool {
    nodes[at].kind != Kind::Object || keys(nodes, at).is_sorted_by_key(|key| decoded(nodes[key].text))
}

/// A string's value; what cannot be decoded stays as it is.
pub(super) fn decoded(quoted: &str) -> String {
    let mut value = String::new();
    characters(quoted, |unit| match unit {
        Unit::Char(character) => value.push(character),
        Unit::Lone(_) => value.push(char::REPLACEMENT_CHARACTER),
    });
    value
}

/// A part of a string's value.
pub(super) enum Unit {
    Char(char),
    /// Half of a surrogate pair, alone.
    Lone(u16),
}

/// Gives out the value of a string with its quotes.
pub(super) fn characters(quoted: &str, mut take: impl FnMut(Unit)) {
    let mut rest = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character != '\\' {
            take(Unit::Char(character));
            continue;
        }
        let Some(escape) = rest.chars().next() else { return };
        rest = &rest[escape.len_utf8()..];
        if escape != 'u' {
            take(Unit::Char(match escape {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                itself => itself,
            }));
            continue;
        }
        let Some(unit) = hex4(rest) else { continue };
        rest = &rest[4..];
        let low = rest.strip_prefix("\\u").and_then(hex4);
        match (char::from_u32(unit.into()), low) {
            (Some(character), _) => take(Unit::Char(character)),
            (None, Some(low)) => match char::decode_utf16([unit, low]).next() {
                Some(Ok(character)) => {
                    rest = &rest[6..];
                    take(Unit::Char(character));
                }
                _ => take(Unit::Lone(unit)),
            },
            (None, None) => take(Unit::Lone(unit)),
        }
    }
}

fn hex4(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node<'a>>,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no white space, which it stays before.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, depth_left: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.members(Kind::Object, b'}', depth_left),
            b'[' => self.members(Kind::Array, b']', depth_left),
            _ => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                let rest = &self.text.as_bytes()[self.at..];
                let length = rest.iter().take_while(|byte| is_part(byte)).count();
                (length > 0).then(|| self.push(Kind::Word, length))
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let mut length = 1;
        loop {
            match rest.get(length)? {
                b'"' => break,
                b'\\' => length += 2,
                _ => length += 1,
            }
        }
        self.push(Kind::String, length + 1);
        Some(())
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let end = self.nodes.len() + 1;
        self.nodes.push(Node { kind, text: &self.text[self.at..self.at + length], end });
        self.at += length;
    }

    fn members(&mut self, kind: Kind, close: u8, depth_left: usize) -> Option<()> {
        let depth_left = depth_left.checked_sub(1)?;
        self.at += 1;
        let node = self.nodes.len();
        self.nodes.push(Node { kind, text: "", end: 0 });
        if self.peek()? == close {
            self.at += 1;
        } else {
            loop {
                if kind == Kind::Object {
                    if self.peek()? != b'"' {
                        return None;
                    }
                    self.string()?;
                    self.take(b':')?;
                }
                self.value(depth_left)?;
                if self.take(close).is_some() {
                    break;
                }
                self.take(b',')?;
            }
        }
        self.nodes[node].end = self.nodes.len();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::super::rewrite::JsonForm;
    use super::{Document, JSON_BYTES_MAX, decoded};

    #[track_caller]
    fn refused(body: &str) {
        assert!(Document::parse(body.as_bytes()).is_none(), "{body}");
    }

    #[test]
    fn takes_objects_and_arrays_and_nothing_else() {
        for body in
            ["", " ", "1", "\"a\"", "{", "[", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1]x"]
        {
            refused(body);
        }
        for body in ["{a:1}", "[\"a]", "[\"a\\\"]", "{\"a\":1 \"b\":2}", "[1 2]", "\u{feff}{}", "['a']"] {
            refused(body);
        }
        for body in ["{}", " [ ] ", "[1,-2.5e+7,true,null]", "{\"a\":{\"b\":[\"\\\\\",\"\\\"\"]}}"] {
            assert!(Document::parse(body.as_bytes()).is_some(), "{body}");
        }
        assert!(Document::parse(b"[\"\xff\"]").is_none());
    }

    #[test]
    fn is_bounded_in_depth_and_length() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Document::parse(nested(64).as_bytes()).is_some());
        refused(&nested(65));
        refused(&nested(30_000));
        let of_bytes = |bytes: usize| String::from("[\"") + &"a".repeat(bytes - 4) + "\"]";
        assert!(Document::parse(of_bytes(JSON_BYTES_MAX).as_bytes()).is_some());
        refused(&of_bytes(JSON_BYTES_MAX + 1));
    }

    #[test]
    fn strings_are_decoded_as_far_as_they_can_be() {
        for (quoted, value) in [
            (r#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u00eb\uD83D\uDE00""#, "ë😀"),
            (r#""\ud83d\u00eb\ude00""#, "\u{fffd}ë\u{fffd}"),
            (r#""\u12""#, "12"),
            (r#""\u+123""#, "+123"),
            (r#""\ud83d\u12ë""#, "\u{fffd}12ë"),
        ] {
            assert_eq!(decoded(quoted), value, "{quoted}");
        }
    }

    /// Written compactly, the parts that are not white space stand as before.
    #[test]
    fn writing_changes_white_space_alone() {
        let body = "{ \"b\" : [ 1.50 , { } , [ ] ] ,\r\n\t\"a b\" : \"x  \\u00e9 \\/\" }";
        let document = Document::parse(body.as_bytes()).expect("well formed");
        let compact = br#"{"b":[1.50,{},[]],"a b":"x  \u00e9 \/"}"#;
        let mut space = Vec::new();
        let mut write =
            |bytes_max| document.write(JsonForm::LIKELY[0], bytes_max, &mut space).map(<[u8]>::to_vec);
        assert_eq!(write(compact.len()).as_deref(), Some(&compact[..]));
        assert_eq!(write(compact.len() - 1), None, "it is given up at the limit");
    }
}

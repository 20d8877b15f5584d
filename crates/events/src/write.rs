//! Writing compact JSON, byte for byte as serde_json does, which `tests/writing.rs` compares.
//!
//! Nearly all of an event is text without a character that needs an escape. Here that is found out for many bytes at a time,
//! where serde_json looks at one after the other: an event takes a third of the instructions.

use crate::{Fields, Id, IdKind, Moment, Score};

/// What can be written as JSON.
pub(crate) trait Write {
    /// Appends the value.
    fn write(&self, json: &mut Writer);
}

/// JSON in the making.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// The bytes of a value, which are expected to be so many.
    pub(crate) fn bytes_of(value: &impl Write, bytes_expected: usize) -> Vec<u8> {
        let mut json = Self(Vec::with_capacity(bytes_expected));
        value.write(&mut json);
        json.0
    }

    /// An object of the members that `write_members` writes, one at least.
    pub(crate) fn object(&mut self, write_members: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        write_members(self);
        // In the place of the comma after the last one.
        self.0.pop();
        self.0.push(b'}');
    }

    /// A member of the object that is being written; its name as [`name!`] has it.
    #[inline(always)] // Of a name whose length is known, storing it takes less than calling what copies any length.
    pub(crate) fn member(&mut self, name: &'static str, value: impl Write) {
        self.0.extend_from_slice(name.as_bytes());
        value.write(self);
        self.0.push(b',');
    }

    /// Appends a text that needs no escapes, in quotes.
    pub(crate) fn word(&mut self, word: &'static str) {
        self.0.push(b'"');
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
    }

    /// Appends bytes, those that JSON does not allow in a string by their escapes.
    fn escaped(&mut self, bytes: &[u8]) {
        if !any_needs_escape(bytes) {
            return self.0.extend_from_slice(bytes);
        }
        for &byte in bytes {
            match byte {
                b'"' => self.0.extend_from_slice(br#"\""#),
                b'\\' => self.0.extend_from_slice(br"\\"),
                b'\n' => self.0.extend_from_slice(br"\n"),
                b'\r' => self.0.extend_from_slice(br"\r"),
                b'\t' => self.0.extend_from_slice(br"\t"),
                0x08 => self.0.extend_from_slice(br"\b"),
                0x0c => self.0.extend_from_slice(br"\f"),
                _ if needs_escape(byte) => {
                    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                    self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
                }
                _ => self.0.push(byte),
            }
        }
    }
}

/// A member's name, which needs no escapes, as it is written before the value.
macro_rules! name {
    ($name:literal) => {
        concat!("\"", $name, "\":")
    };
}

pub(crate) use name;

fn any_needs_escape(bytes: &[u8]) -> bool {
    // No byte ends the loop, so the compiler has it ask all sixteen of them at once; what is left over is filled up to
    // sixteen with what needs none.
    let any_of = |piece: &[u8; 16]| piece.iter().fold(false, |any, byte| any | needs_escape(*byte));
    let (pieces, rest) = bytes.as_chunks();
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    pieces.iter().any(any_of) || any_of(&last)
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

impl Write for &str {
    fn write(&self, json: &mut Writer) {
        json.0.push(b'"');
        if any_needs_escape(self.as_bytes()) {
            // In pieces, so that a line break does not have a whole message looked at byte by byte.
            self.as_bytes().chunks(64).for_each(|piece| json.escaped(piece));
        } else {
            json.0.extend_from_slice(self.as_bytes());
        }
        json.0.push(b'"');
    }
}

impl<T: Write> Write for Option<T> {
    fn write(&self, json: &mut Writer) {
        match self {
            Some(value) => value.write(json),
            None => json.0.extend_from_slice(b"null"),
        }
    }
}

impl Write for bool {
    fn write(&self, json: &mut Writer) {
        json.0.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Write for Score {
    fn write(&self, json: &mut Writer) {
        let digits = [b'0' + self.value() / 10, b'0' + self.value() % 10];
        json.0.extend_from_slice(match self.value() {
            0..10 => &digits[1..],
            10..100 => &digits,
            100.. => b"100",
        });
    }
}

impl Write for &Fields {
    fn write(&self, json: &mut Writer) {
        json.0.extend_from_slice(self.as_json().as_bytes());
    }
}

impl<K: IdKind> Write for Id<K> {
    fn write(&self, json: &mut Writer) {
        json.0.push(b'"');
        json.0.extend_from_slice(K::PREFIX.as_bytes());
        json.0.push(b'_');
        json.0.extend_from_slice(&self.hex_digits());
        json.0.push(b'"');
    }
}

impl Write for Moment {
    fn write(&self, json: &mut Writer) {
        json.0.push(b'"');
        json.0.extend_from_slice(&self.rfc3339());
        json.0.push(b'"');
    }
}

//! The ways in which libraries write JSON.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::json::{Document, Kind, Node, Unit, characters, decoded};

/// A form that comes out longer is given up: white space can make a deep document many times as long.
pub(super) const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// A way to write JSON: white space, order of keys, which characters are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JsonForm {
    layout: Layout,
    keys_sorted: bool,
    strings: Strings,
    newline_after: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Layout {
    Compact,
    Spaced,
    Indented(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Strings {
    /// As they arrived.
    Kept,
    /// What is not ASCII as `\uXXXX`, as Python does.
    Ascii,
    /// Only what must be escaped, as JavaScript does.
    Plain,
    /// As [`Ascii`](Self::Ascii), and slashes, as PHP does.
    AsciiAndSlashes,
    /// As [`Plain`](Self::Plain), and `<`, `>` and `&`, as Go does.
    Markup,
}

const fn form(layout: Layout, keys_sorted: bool, strings: Strings) -> JsonForm {
    JsonForm { layout, keys_sorted, strings, newline_after: false }
}

impl JsonForm {
    /// Worth a try before all others, and together with other mistakes.
    pub(super) const LIKELY: &'static [Self] =
        &[form(Layout::Compact, false, Strings::Kept), form(Layout::Spaced, false, Strings::Kept)];

    /// The others that can differ for this document; at most 32.
    pub(super) fn unlikely(document: &Document<'_>) -> Vec<Self> {
        let mut strings = Vec::from([Strings::Kept]);
        if document.has_escapable {
            strings.extend([Strings::Ascii, Strings::Plain]);
        }
        let mut forms = Vec::new();
        for keys_sorted in [false, true] {
            if keys_sorted && document.is_sorted {
                continue;
            }
            for layout in [Layout::Spaced, Layout::Compact, Layout::Indented(2), Layout::Indented(4)] {
                forms.extend(strings.iter().map(|strings| form(layout, keys_sorted, *strings)));
            }
            if document.has_markup {
                forms.push(form(Layout::Compact, keys_sorted, Strings::Markup));
            }
        }
        if document.has_slash {
            forms.push(form(Layout::Compact, false, Strings::AsciiAndSlashes));
            forms.push(form(Layout::Indented(4), false, Strings::AsciiAndSlashes));
        }
        for layout in [Layout::Compact, Layout::Spaced, Layout::Indented(2)] {
            forms.push(Self { newline_after: true, ..form(layout, false, Strings::Kept) });
        }
        forms.retain(|form| !Self::LIKELY.contains(form));
        forms
    }
}

/// For a sentence: `the JSON was signed …`.
impl fmt::Display for JsonForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout {
            Layout::Compact => f.write_str("without white space (as JSON.stringify writes it)")?,
            Layout::Spaced => {
                f.write_str("with a space after each `,` and `:` (as Python's json.dumps writes it)")?
            }
            Layout::Indented(spaces) => write!(f, "indented by {spaces} spaces")?,
        }
        f.write_str(if self.keys_sorted { ", its keys sorted" } else { "" })?;
        f.write_str(match self.strings {
            Strings::Kept => "",
            Strings::Ascii => ", what is not ASCII as \\uXXXX",
            Strings::Plain => ", its characters unescaped",
            Strings::AsciiAndSlashes => {
                ", slashes as \\/ and what is not ASCII as \\uXXXX (as PHP's json_encode writes it)"
            }
            Strings::Markup => ", `<`, `>` and `&` escaped (as Go's json.Marshal writes it)",
        })?;
        f.write_str(if self.newline_after { ", with a line end after it" } else { "" })
    }
}

impl Document<'_> {
    /// The document in this form, written to `space`. `None` where it comes to more than `bytes_max`.
    pub(super) fn write<'o>(
        &self,
        form: JsonForm,
        bytes_max: usize,
        space: &'o mut Vec<u8>,
    ) -> Option<&'o [u8]> {
        space.clear();
        let mut writer = Writer { document: self, form, bytes_max, out: space };
        writer.value(0, 0)?;
        if form.newline_after {
            writer.out.push(b'\n');
        }
        Some(space)
    }
}

struct Writer<'d, 'o> {
    document: &'d Document<'d>,
    form: JsonForm,
    bytes_max: usize,
    out: &'o mut Vec<u8>,
}

impl<'d> Writer<'d, '_> {
    fn value(&mut self, at: usize, depth: usize) -> Option<()> {
        let node: &'d Node<'d> = &self.document.nodes[at];
        match node.kind {
            Kind::Word => self.out.extend_from_slice(node.text.as_bytes()),
            Kind::String => self.string(node.text),
            Kind::Array => self.members(depth, b"[]", self.elements(at))?,
            Kind::Object => {
                let mut keys: Vec<usize> = self.document.keys(at).collect();
                if self.form.keys_sorted {
                    keys.sort_by_cached_key(|key| decoded(self.document.nodes[*key].text));
                }
                self.members(depth, b"{}", keys)?;
            }
        }
        (self.out.len() <= self.bytes_max).then_some(())
    }

    fn elements(&self, array: usize) -> Vec<usize> {
        let nodes = &self.document.nodes;
        let end = nodes[array].end;
        let first = Some(array + 1).filter(|at| *at < end);
        core::iter::successors(first, |at| Some(nodes[*at].end).filter(|at| *at < end)).collect()
    }

    /// Array elements, or keys with the values after them.
    fn members(&mut self, depth: usize, brackets: &[u8; 2], members: Vec<usize>) -> Option<()> {
        self.out.push(brackets[0]);
        for (number, &at) in members.iter().enumerate() {
            if number > 0 {
                self.out.push(b',');
                if self.form.layout == Layout::Spaced {
                    self.out.push(b' ');
                }
            }
            self.indent(depth + 1);
            self.value(at, depth + 1)?;
            if brackets[0] == b'{' {
                self.out.push(b':');
                if self.form.layout != Layout::Compact {
                    self.out.push(b' ');
                }
                self.value(at + 1, depth + 1)?;
            }
        }
        if !members.is_empty() {
            self.indent(depth);
        }
        self.out.push(brackets[1]);
        Some(())
    }

    fn indent(&mut self, depth: usize) {
        if let Layout::Indented(spaces) = self.form.layout {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + depth * usize::from(spaces), b' ');
        }
    }

    fn string(&mut self, quoted: &str) {
        if self.form.strings == Strings::Kept {
            self.out.extend_from_slice(quoted.as_bytes());
            return;
        }
        let strings = self.form.strings;
        let mut text = String::from("\"");
        characters(quoted, |unit| match unit {
            Unit::Char(character) => push(&mut text, character, strings),
            Unit::Lone(half) => push_escape(&mut text, half),
        });
        text.push('"');
        self.out.extend_from_slice(text.as_bytes());
    }
}

fn push(text: &mut String, character: char, strings: Strings) {
    let ascii_only = matches!(strings, Strings::Ascii | Strings::AsciiAndSlashes);
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\u{8}' => text.push_str("\\b"),
        '\u{c}' => text.push_str("\\f"),
        '/' if strings == Strings::AsciiAndSlashes => text.push_str("\\/"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if strings == Strings::Markup => {
            push_escape(text, character as u16);
        }
        '\0'..='\u{1f}' => push_escape(text, character as u16),
        '\u{80}'.. if ascii_only => {
            for half in character.encode_utf16(&mut [0; 2]) {
                push_escape(text, *half);
            }
        }
        '\u{7f}' if strings == Strings::Ascii => push_escape(text, 0x7f),
        _ => text.push(character),
    }
}

fn push_escape(text: &mut String, unit: u16) {
    use core::fmt::Write;
    // A String takes all that is written to it.
    let _ = write!(text, "\\u{unit:04x}");
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::{Document, JsonForm, Layout, Strings, form};

    #[track_caller]
    fn check(body: &str, form: JsonForm, expected: &str) {
        let document = Document::parse(body.as_bytes()).expect("well formed");
        let mut space = Vec::from(b"what was written before");
        let written = document.write(form, 10_000, &mut space).expect("it is short");
        assert_eq!(String::from_utf8_lossy(written), expected, "{form}");
    }

    #[test]
    fn writes_as_the_libraries_do() {
        let body = r#"{"b":[1,{}],"a":{"Zoë":"https://x/<\u00eb>😀\ud800"},"c":[]}"#;
        check(
            body,
            form(Layout::Spaced, true, Strings::Ascii),
            r#"{"a": {"Zo\u00eb": "https://x/<\u00eb>\ud83d\ude00\ud800"}, "b": [1, {}], "c": []}"#,
        );
        check(
            body,
            form(Layout::Compact, false, Strings::Plain),
            r#"{"b":[1,{}],"a":{"Zoë":"https://x/<ë>😀\ud800"},"c":[]}"#,
        );
        check(
            body,
            form(Layout::Compact, false, Strings::AsciiAndSlashes),
            r#"{"b":[1,{}],"a":{"Zo\u00eb":"https:\/\/x\/<\u00eb>\ud83d\ude00\ud800"},"c":[]}"#,
        );
        check(
            body,
            form(Layout::Compact, true, Strings::Markup),
            r#"{"a":{"Zoë":"https://x/\u003cë\u003e😀\ud800"},"b":[1,{}],"c":[]}"#,
        );
        check(
            r#"{"b":[1,{}],"a":[]}"#,
            form(Layout::Indented(2), false, Strings::Kept),
            "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}",
        );
    }

    #[test]
    fn agrees_with_serde_json() {
        let body = r#" {"name":"Zoë \"Z\" \u0007\n\r\t\b\f\\\/\u007f","tags":["a",["b"],{}, []],"n":{"x":null,"a":true}} "#;
        let value: serde_json::Value = serde_json::from_str(body).expect("well formed");
        check(body, form(Layout::Compact, true, Strings::Plain), &value.to_string());
        let pretty = serde_json::to_string_pretty(&value).expect("it is JSON");
        check(body, form(Layout::Indented(2), true, Strings::Plain), &pretty);
    }

    /// Python's `json.dumps` escapes whatever is not printable ASCII, PHP's `json_encode` whatever is not ASCII.
    #[test]
    fn the_last_character_of_ascii_is_escaped_by_python_alone() {
        for (strings, expected) in [
            (Strings::Ascii, r#"["\u007f"]"#),
            (Strings::AsciiAndSlashes, "[\"\u{7f}\"]"),
            (Strings::Plain, "[\"\u{7f}\"]"),
        ] {
            check("[\"\u{7f}\"]", form(Layout::Compact, false, strings), expected);
        }
    }

    #[test]
    fn there_are_few_forms() {
        let body = "{\"b/<\":1,\"a\":\"ë\"}".as_bytes();
        let all = JsonForm::unlikely(&Document::parse(body).expect("well formed"));
        assert_eq!(all.len(), 29, "{all:?}");
        let plain = JsonForm::unlikely(&Document::parse(b"{\"a\":1}").expect("well formed"));
        assert_eq!(plain.len(), 5, "{plain:?}");
    }
}

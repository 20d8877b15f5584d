//! JSON that is out to do harm, or is none.

mod oracle;

use std::iter::repeat_n;

use agentflow_lead::limits::{BODY_BYTES_MAX, DEPTH_MAX, KEYS_MAX};
use agentflow_lead::{MalformedJson, ParseError, Submission};

#[track_caller]
fn check(body: impl AsRef<[u8]>, expected: MalformedJson) {
    let body = body.as_ref();
    let refused = Submission::parse(body).expect_err("hostile JSON is refused");
    assert_eq!(refused.code(), "malformed_json");
    assert_eq!(refused, ParseError::Malformed(expected), "{}", String::from_utf8_lossy(body));
    assert_ne!(oracle::accepts(body), Some(true), "the oracle accepts {}", String::from_utf8_lossy(body));
}

#[track_caller]
fn accepts(body: impl AsRef<[u8]>) -> Submission {
    assert_ne!(oracle::accepts(body.as_ref()), Some(false), "the oracle refuses it");
    Submission::parse(body.as_ref()).expect("acceptable")
}

fn lead_with(extra: &str) -> String {
    format!(r#"{{"name":"Jordan","email":"j@stacklane.co","x":{extra}}}"#)
}

/// A lead whose brackets nest `levels` deep, the object at the top included.
fn nested(levels: usize) -> String {
    lead_with(&("[".repeat(levels - 1) + &"]".repeat(levels - 1)))
}

/// An object of `keys` keys, `k0` first.
fn wide(keys: usize) -> String {
    let members: Vec<String> = (0..keys).map(|key| format!(r#""k{key}":0"#)).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn refuses_what_is_no_json() {
    check("", MalformedJson::UnexpectedEnd { line: 1, column: 0 });
    check(" \n", MalformedJson::UnexpectedEnd { line: 2, column: 0 });
    check(r#"{"name":"#, MalformedJson::UnexpectedEnd { line: 1, column: 8 });
    check(r#"{"name":"J"#, MalformedJson::UnexpectedEnd { line: 1, column: 10 });
    check("{\n  'name': 1}", MalformedJson::Syntax { line: 2, column: 3 });
    check("nope", MalformedJson::Syntax { line: 1, column: 2 });
    check(r#"{"a":1,}"#, MalformedJson::Syntax { line: 1, column: 8 });
    check(r#"{"a":1 "b":2}"#, MalformedJson::Syntax { line: 1, column: 8 });
    check(r#"{"a":[1,]}"#, MalformedJson::Syntax { line: 1, column: 9 });
    check(r#"{"a":[1}"#, MalformedJson::Syntax { line: 1, column: 8 });
    check(r#"{a:1}"#, MalformedJson::Syntax { line: 1, column: 2 });
    check(r#"{"a":1}/**/"#, MalformedJson::Syntax { line: 1, column: 8 });
    check("{\"a\":\"\n\"}", MalformedJson::Syntax { line: 1, column: 6 });
    check(r#"{"a":"\x41"}"#, MalformedJson::Syntax { line: 1, column: 8 });
    check(r#"{"a":"\u12"}"#, MalformedJson::Syntax { line: 1, column: 12 });
    check("{\"a\":\u{a0}1}", MalformedJson::Syntax { line: 1, column: 6 });
}

#[test]
fn refuses_numbers_that_json_does_not_know() {
    for number in ["NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x10", "1e", "1_000", "--1", "-"]
    {
        let refused = Submission::parse(lead_with(number).as_bytes());
        assert!(matches!(refused, Err(ParseError::Malformed(MalformedJson::Syntax { .. }))), "{number}");
    }
}

#[test]
fn refuses_bytes_after_the_object() {
    let end = lead_with("1").len() + 1;
    check(lead_with("1") + "x", MalformedJson::Syntax { line: 1, column: end });
    check(lead_with("1") + "{}", MalformedJson::Syntax { line: 1, column: end });
    accepts(lead_with("1") + " \r\n\t");
}

#[test]
fn refuses_what_is_no_object() {
    for body in ["null", "true", "0", "\"{}\"", "[]", r#"[{"name":"J","email":"j@x.co"}]"#, "1.5e3"] {
        check(body, MalformedJson::NotAnObject);
    }
}

#[test]
fn refuses_a_byte_order_mark() {
    check("\u{feff}{}", MalformedJson::Bom);
    check(b"\xFF\xFE{\0}\0", MalformedJson::Bom);
    check(b"\xFE\xFF\0{\0}", MalformedJson::Bom);
}

#[test]
fn refuses_bytes_that_are_not_utf_8() {
    check(b"{\"a\":\"\xFF\"}", MalformedJson::InvalidUtf8 { offset: 6 });
    check(b"{\"a\":\"\xC0\x80\"}", MalformedJson::InvalidUtf8 { offset: 6 });
    check(b"{\"a\":\"\xED\xA0\x80\"}", MalformedJson::InvalidUtf8 { offset: 6 });
    check(b"{\"\xF4\x90\x80\x80\":1}", MalformedJson::InvalidUtf8 { offset: 2 });
    check(b"{\"a\":\"\xE2\x82", MalformedJson::InvalidUtf8 { offset: 6 });
}

#[test]
fn refuses_nul_raw_and_escaped() {
    check(b"{\"a\":\"\0\"}", MalformedJson::Nul { offset: 6 });
    check(b"{}\0", MalformedJson::Nul { offset: 2 });
    check(r#"{"a":"b\u0000"}"#, MalformedJson::Nul { offset: 7 });
    check(r#"{"\u0000":1}"#, MalformedJson::Nul { offset: 2 });
    check(r#"{"a":[{"b":["\\\u0000"]}]}"#, MalformedJson::Nul { offset: 15 });
    accepts(lead_with(r#""\\u0000""#));
}

#[test]
fn refuses_half_a_surrogate_pair() {
    check(r#"{"a":"\ud800"}"#, MalformedJson::LoneSurrogate { offset: 6 });
    check(r#"{"a":"\uDFFF"}"#, MalformedJson::LoneSurrogate { offset: 6 });
    check(r#"{"a":"\ud83d\ud83d"}"#, MalformedJson::LoneSurrogate { offset: 6 });
    check(r#"{"a":"\ude00\ud83d"}"#, MalformedJson::LoneSurrogate { offset: 6 });
    check(r#"{"a":"\ud83dx\ude00"}"#, MalformedJson::LoneSurrogate { offset: 6 });
    check(r#"{"a":{"\ud800":1}}"#, MalformedJson::LoneSurrogate { offset: 7 });
    check(r#"{"a":["\ud83d\ude00\ud83d"]}"#, MalformedJson::LoneSurrogate { offset: 19 });
    accepts(lead_with(r#""\ud83d\ude00 \\ud800""#));
}

#[test]
fn refuses_a_key_that_stands_twice() {
    check(r#"{"a":1,"a":1}"#, MalformedJson::DuplicateKey { offset: 7 });
    check(r#"{"name":"A","email":"a@b.co","name":"B"}"#, MalformedJson::DuplicateKey { offset: 29 });
    check(r#"{"a":1,"\u0061":2}"#, MalformedJson::DuplicateKey { offset: 7 });
    check(r#"{"\u0061":1,"a":2}"#, MalformedJson::DuplicateKey { offset: 12 });
    check(r#"{"/":1,"\/":2}"#, MalformedJson::DuplicateKey { offset: 7 });
    check(r#"{"😀":1,"\ud83d\ude00":2}"#, MalformedJson::DuplicateKey { offset: 10 });
    check(r#"{"":1,"":2}"#, MalformedJson::DuplicateKey { offset: 6 });
    check(r#"{"x":[0,{"y":{"a":1,"b":{"a":0},"a":2}}]}"#, MalformedJson::DuplicateKey { offset: 32 });
    let many = wide(40).replace("\"k39\"", "\"k3\"");
    check(&many, MalformedJson::DuplicateKey { offset: many.rfind("\"k3\"").expect("there") });
}

#[test]
fn accepts_the_same_key_in_different_objects() {
    let lead = accepts(lead_with(r#"[{"a":1,"A":1},{"a":{"a":["a","a"]}}]"#));
    assert_eq!(lead.fields.len(), 1);
}

#[test]
fn allows_the_deepest_nesting_and_no_more() {
    accepts(nested(DEPTH_MAX));
    let deeper = nested(DEPTH_MAX + 1);
    let offset = deeper.rfind('[').expect("there");
    check(&deeper, MalformedJson::TooDeep { offset });
    check("[".repeat(BODY_BYTES_MAX), MalformedJson::TooDeep { offset: DEPTH_MAX });
    check(r#"{"a":"#.repeat(40_000), MalformedJson::TooDeep { offset: DEPTH_MAX * 5 });
    accepts(lead_with(&format!("[{}0]", "[],".repeat(1000))));
    accepts(lead_with(&format!("\"{}\"", "[{".repeat(1000))));
}

#[test]
fn allows_as_many_keys_an_object_and_no_more() {
    accepts(lead_with(&format!("[{0},{0}]", wide(KEYS_MAX))));
    let wider = lead_with(&wide(KEYS_MAX + 1));
    check(&wider, MalformedJson::TooManyKeys { offset: wider.find("\"k256\"").expect("there") });
    let top = wide(KEYS_MAX - 2).replacen('{', r#"{"name":"J","email":"j@x.co","#, 1);
    assert_eq!(accepts(&top).fields.len(), KEYS_MAX - 2);
    let top = wide(KEYS_MAX - 1).replacen('{', r#"{"name":"J","email":"j@x.co","#, 1);
    check(&top, MalformedJson::TooManyKeys { offset: top.rfind(",\"").expect("there") + 1 });
}

#[test]
fn refuses_a_body_past_the_limit_before_looking_at_it() {
    let padding = " ".repeat(BODY_BYTES_MAX - lead_with("1").len());
    accepts(lead_with("1") + &padding);
    let refused = Submission::parse((lead_with("1") + &padding + " ").as_bytes());
    assert_eq!(refused, Err(ParseError::TooLarge { body_bytes: BODY_BYTES_MAX + 1 }));
    assert_eq!(refused.expect_err("refused").code(), "body_too_large");
}

#[test]
fn stays_quick_on_many_wide_objects_and_many_escapes() {
    let object = wide(KEYS_MAX);
    let objects: Vec<&str> = repeat_n(object.as_str(), 90).collect();
    accepts(lead_with(&format!("[{}]", objects.join(","))));
    accepts(lead_with(&format!("\"{}\"", r"\u00e9".repeat(40_000))));
    accepts(lead_with(&format!("\"{}\"", r#"\""#.repeat(120_000))));
}

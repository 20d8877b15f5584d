//! JSON, good and bad, to try a reader with.

use proptest::prelude::*;

pub(crate) const LEAD: &str = r#"{"name":"Jordan \u00c9llis","email":"Jordan@Bücher.example","message":"Hi\n\ud83d\ude00","seats":1.50,
    "tags":["a",{"k":[],"l":{}}],"timestamp":"2024-11-14T08:44:00Z","utm":null}"#;

/// Pieces of JSON, good and bad: a soup of them meets more corners than random bytes do.
pub(crate) const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "null",
    "true",
    "0",
    "-1.5e-3",
    "1e400",
    "01",
    "\"",
    "\\",
    "\"a\"",
    "\"\\u0061\"",
    "\"b\":",
    "\"a\":",
    "{\"a\":",
    "\"name\":\"J\"",
    "\"email\":\"j@x.co\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\\ude00",
    "\"\\u0000\"",
    "\0",
    "\u{feff}",
    "\"é\"",
    "\\u",
    "\"\\\"\"",
    "[[[[[[[[[[[[",
    "]]]]]]]]]]]]",
];

pub(crate) fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("false".to_owned()),
        number(),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
        "(\\\\u00[0-9a-f]{2}|\\\\ud83d\\\\ude[0-9a-f]{2}|\\\\n|[a-z]){0,4}"
            .prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4).prop_map(|members| object(&members)),
        ]
    })
}

pub(crate) fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?"
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":\t{value}")).collect();
    format!("{{{}}}", members.join(", "))
}

pub(crate) fn lead_with(key: &str, json: &str) -> String {
    format!(r#"{{"name":"J","email":"j@x.co","{key}":{json}}}"#)
}

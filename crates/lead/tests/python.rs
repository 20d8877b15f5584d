//! Python's `json`, which most senders write with, over thousands of bodies: we accept what it accepts, with the same
//! values, less exactly what the contract refuses.

mod corpus;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use agentflow_lead::limits::BODY_BYTES_MAX;
use agentflow_lead::{MalformedJson, ParseError, Submission};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use self::corpus::{LEAD, PIECES, json, lead_with};

/// Of each kind of random body.
const BODIES: usize = 1_500;

/// Bodies for each rule of the contract, on both sides of its limit.
fn chosen() -> Vec<Vec<u8>> {
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let nested = |levels: usize| lead_with("x", &("[".repeat(levels) + &"]".repeat(levels)));
    let wide = |keys: usize| {
        lead_with(
            "x",
            &format!("{{{}}}", (0..keys).map(|key| format!("\"k{key}\":0")).collect::<Vec<_>>().join(",")),
        )
    };
    let long = |bytes: usize| lead_with("x", "0") + &" ".repeat(bytes - lead_with("x", "0").len());
    let mut bodies: Vec<Vec<u8>> = vec![
        LEAD.into(),
        [b"\xEF\xBB\xBF", LEAD.as_bytes()].concat(),
        utf_16(LEAD),
        utf_16(&format!("\u{feff}{LEAD}")),
        LEAD.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        // Surrogates that were encoded one by one, as CESU-8 does.
        b"{\"name\":\"\xED\xA0\xBD\xED\xB8\x80\",\"email\":\"j@x.co\"}".into(),
        b"{\"name\":\"\xED\xA0\xBD\",\"email\":\"j@x.co\"}".into(),
        b"{\"name\":\"\xC0\xAF\",\"email\":\"j@x.co\"}".into(),
        long(BODY_BYTES_MAX).into(),
        long(BODY_BYTES_MAX + 1).into(),
    ];
    bodies.extend([30, 31, 32, 33, 200, 5_000].map(|levels| nested(levels).into()));
    bodies.extend([255, 256, 257, 1_000].map(|keys| wide(keys).into()));
    bodies.extend(["null", "[]", "[{}]", "\"a\"", "1", "true", "NaN", "{}", " {} ", ""].map(Vec::from));
    let values = [
        "NaN",
        "Infinity",
        "-Infinity",
        "[NaN]",
        "nan",
        "1e400",
        "-0",
        "-0.0",
        "1E+2",
        "01",
        "1.",
        ".5",
        "+1",
        "0x1",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\/\"",
        "\"\\v\"",
        "\"\\'\"",
        "\"\\u00e\"",
        "\"\\uD83D\\uDE0A\"",
        "\"\t\"",
        "\"\u{7f}\u{80}\u{2028}\"",
        "'a'",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":{\"b\":0},\"b\":{\"b\":0}}",
        "{\"\":0}",
        "[1,]",
        "{\"a\":1,}",
        "{,}",
        "[,]",
        "{a:1}",
        "{1:1}",
        "{\"\\u0000\":1}",
        "{\"\\ud800\":1}",
        "/**/1",
        "1//",
        "\u{a0}1",
        "\u{2028}1",
        "\x0c1",
        "True",
        "None",
        "undefined",
        "1_000",
        "٣",
        "１",
        "1e",
        "1e+",
        "--1",
        "-",
        "[1 2]",
        "{\"a\" 1}",
    ];
    bodies.extend(values.map(|value| lead_with("x", value).into()));
    let digits = "9".repeat(5_000);
    bodies.extend(
        [digits.clone(), format!("0.{digits}"), format!("1e{digits}")].map(|n| lead_with("x", &n).into()),
    );
    let texts = ["null", "\" \"", "\"\\u00a0\"", "\" Jo \\u2003\"", "\"\\u001f\"", "7", "[]", "\"\u{200b}\""];
    for key in ["name", "email", "company", "message", "source"] {
        for text in texts {
            let others =
                [("name", "\"J\""), ("email", "\"j@x.co\"")].into_iter().filter(|(other, _)| *other != key);
            let members = others.chain([(key, text)]).map(|(key, text)| format!("\"{key}\":{text}"));
            bodies.push(format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into());
        }
    }
    bodies
}

fn random() -> Vec<Vec<u8>> {
    let bytes = |text: String| text.into_bytes();
    let soup = prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|pieces| pieces.concat());
    let piece = prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec());
    let patch = prop_oneof![piece, prop::collection::vec(any::<u8>(), 0..3)];
    let whole =
        prop_oneof![Just(LEAD.to_owned()), json().prop_map(|json| lead_with("x", &json))].prop_map(bytes);
    let damaged = (whole.clone(), any::<prop::sample::Index>(), 0..4_usize, patch).prop_map(
        |(mut body, at, cut, patch)| {
            let at = at.index(body.len());
            body.splice(at..(at + cut).min(body.len()), patch);
            body
        },
    );
    let kinds = [
        whole.boxed(),
        damaged.boxed(),
        soup.clone().prop_map(bytes).boxed(),
        soup.prop_map(move |json| bytes(lead_with("x", &json))).boxed(),
    ];
    let mut runner = TestRunner::deterministic();
    let mut next =
        |kind: &BoxedStrategy<Vec<u8>>| kind.new_tree(&mut runner).expect("rejects nothing").current();
    kinds.iter().flat_map(|kind| (0..BODIES).map(|_| next(kind)).collect::<Vec<_>>()).collect()
}

/// A line each way for each body.
fn asked(bodies: &[Vec<u8>]) -> Vec<Value> {
    let mut python = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed to run its json");
    let lines: String = bodies.iter().map(|body| format!("{}\n", question(body))).collect();
    let mut input = python.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().expect("runs");
    writer.join().expect("does not panic").expect("python reads it all");
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).expect("text");
    answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn question(body: &[u8]) -> Value {
    let lead = Submission::parse(body).ok().map(|lead| {
        json!({
            "name": lead.name, "email": lead.email.as_sent(), "company": lead.company, "message": lead.message,
            "source": lead.source, "fields": lead.fields.to_json(),
        })
    });
    json!({"body": body.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), "lead": lead})
}

/// What Python is to find in a body that we refuse so: one of these.
fn reasons_for(refused: &ParseError) -> &'static [&'static str] {
    let ParseError::Malformed(malformed) = refused else { return &["size"] };
    match malformed {
        MalformedJson::Bom => &["mark"],
        MalformedJson::InvalidUtf8 { .. } => &["encoding"],
        MalformedJson::Nul { .. } => &["nul"],
        MalformedJson::LoneSurrogate { .. } => &["surrogate"],
        MalformedJson::TooDeep { .. } => &["depth"],
        MalformedJson::TooManyKeys { .. } => &["keys"],
        MalformedJson::DuplicateKey { .. } => &["repeated_key"],
        MalformedJson::NotAnObject => &["no_object"],
        // A bare number that is too large for a float: no object, but serde_json does not come to say so.
        MalformedJson::Syntax { .. } => &["constant", "no_object"],
        _ => &[],
    }
}

#[test]
fn accepts_what_pythons_json_does_less_what_the_contract_refuses() {
    let bodies: Vec<Vec<u8>> = chosen().into_iter().chain(random()).collect();
    let answers = asked(&bodies);
    assert_eq!(answers.len(), bodies.len());
    let mut counts = BTreeMap::new();
    for (body, answer) in bodies.iter().zip(&answers) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(400)]);
        let reasons: Vec<&str> =
            answer["reasons"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let theirs = answer["accepts"] == true && reasons.is_empty();
        let counted = match Submission::parse(body) {
            Ok(_) => {
                assert!(theirs, "only we accept {shown}: {answer}");
                assert_eq!(answer["differs"], json!([]), "{shown}");
                "the same lead"
            }
            Err(ParseError::Invalid(_)) => {
                assert!(theirs, "only we accept {shown}: {answer}");
                "no lead, but JSON"
            }
            Err(_) if answer["accepts"] == false => "both refuse",
            Err(refused) => {
                assert!(!theirs, "only Python accepts {shown}: {refused}");
                let reason = reasons_for(&refused).iter().find(|reason| reasons.contains(reason));
                reason.unwrap_or_else(|| panic!("{refused}, Python finds {reasons:?}: {shown}"))
            }
        };
        *counts.entry(counted).or_insert(0_usize) += 1;
    }
    println!("{counts:?}");
    for (counted, least) in [
        ("the same lead", 1_500),
        ("no lead, but JSON", 20),
        ("both refuse", 2_000),
        ("mark", 3),
        ("encoding", 1),
        ("nul", 10),
        ("surrogate", 20),
        ("depth", 3),
        ("keys", 2),
        ("repeated_key", 10),
        ("no_object", 10),
        ("constant", 3),
        ("size", 1),
    ] {
        assert!(counts.get(counted).is_some_and(|count| *count >= least), "{counted}: {counts:?}");
    }
}

//! What the doctor finds: each mistake made by another implementation, and the code that it must get.

#![cfg(feature = "explain")]

use agentflow_signature::explain::{Doctor, Finding, HASHED_BYTES_MAX, JSON_BYTES_MAX, Mistake};
use agentflow_signature::{
    Headers, InboundSecret, OutboundSecret, SignatureHeaders, Signer, Timestamp, Verifier,
};
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_731_573_840);
const TIME: &str = "1731573840";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw/wLaLaSw8YU=";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const BODY: &str = r#"{"name":"Jordan Ellis","email":"jordan.ellis@stacklane.co","budget":1.50}"#;

fn doctor() -> Doctor<agentflow_signature::Inbound> {
    Doctor::new(&InboundSecret::new(SECRET).expect("well formed"))
        .not_valid(&InboundSecret::new("whsec_replaced").expect("well formed"))
        .other_direction(&OutboundSecret::new(OTHER).expect("well formed"))
}

/// Keyed and hashed by another implementation.
fn tag(key: impl AsRef<[u8]>, message: impl AsRef<[u8]>) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_ref()).expect("any length");
    mac.update(message.as_ref());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding;
    base64ct::Base64::encode_string(bytes)
}

fn right(message: impl AsRef<[u8]>) -> String {
    format!("sha256={}", hex(tag(SECRET, message)))
}

fn explain(timestamp: &str, signature: &str, body: impl AsRef<[u8]>) -> Option<Finding> {
    let headers = SignatureHeaders::new(timestamp.as_bytes(), signature.as_bytes());
    doctor().explain(&headers, body.as_ref(), NOW)
}

/// The codes of all mistakes, which must be certain.
#[track_caller]
fn check(timestamp: &str, signature: &str, body: impl AsRef<[u8]>, codes: &[&str]) -> String {
    let finding = explain(timestamp, signature, body).expect("a finding");
    let found: Vec<_> = finding.mistakes().iter().map(Mistake::code).collect();
    assert_eq!(found, codes, "{finding}");
    assert!(finding.is_proven(), "{finding}");
    assert_eq!(finding.code(), codes[0]);
    let sentence = finding.to_string();
    assert!(!sentence.contains("no known mistake"), "{sentence}");
    let clock_alone = matches!(codes, ["clock_behind" | "clock_ahead"]);
    assert_eq!(sentence.starts_with("the signature is right; "), clock_alone, "{sentence}");
    sentence
}

#[track_caller]
fn check_message(message: impl AsRef<[u8]>, body: impl AsRef<[u8]>, code: &str) -> String {
    check(TIME, &right(message), body, &[code])
}

#[track_caller]
fn check_key(key: impl AsRef<[u8]>, code: &str) {
    let signature = format!("sha256={}", hex(tag(key, format!("{TIME}.{BODY}"))));
    check(TIME, &signature, BODY, &[code]);
}

#[test]
fn has_nothing_to_say_against_a_right_signature() {
    assert_eq!(explain(TIME, &right(format!("{TIME}.{BODY}")), BODY), None);
    assert_eq!(explain(TIME, &right(format!("{TIME}.")), ""), None);
}

#[test]
fn knows_json_that_was_written_anew() {
    let python = r#"{"name": "Jordan Ellis", "email": "jordan.ellis@stacklane.co", "budget": 1.50}"#;
    let indented2 = "{\n  \"name\": \"Jordan Ellis\",\n  \"email\": \"jordan.ellis@stacklane.co\",\n  \"budget\": 1.50\n}";
    let indented4 = indented2.replace("  ", "    ");
    let sorted = r#"{"budget":1.50,"email":"jordan.ellis@stacklane.co","name":"Jordan Ellis"}"#;
    let sorted_python = sorted.replace("\":", "\": ").replace(",\"", ", \"");
    let printed = format!("{indented2}\n");
    let forms = [BODY, python, indented2, &indented4, sorted, &sorted_python, &printed];
    for signed in forms {
        // A lost order of keys cannot be found again, so the sorted ones are not what arrives.
        for body in [BODY, python, indented2, &indented4, &printed].into_iter().filter(|body| *body != signed)
        {
            let code = match (signed.strip_prefix(body), body.strip_prefix(signed)) {
                (Some(_), _) => "newline_not_sent",
                (_, Some(_)) => "newline_not_signed",
                _ => "json_rewritten",
            };
            check_message(format!("{TIME}.{signed}"), body, code);
        }
    }
    let sentence = check_message(format!("{TIME}.{python}"), BODY, "json_rewritten");
    assert!(sentence.contains("Python's json.dumps"), "{sentence}");
}

#[test]
fn knows_json_whose_characters_were_escaped_or_not() {
    let plain = r#"{"name":"Zoë","site":"https://x.co/a?b&c","smile":"😀"}"#;
    let python = r#"{"name": "Zo\u00eb", "site": "https://x.co/a?b&c", "smile": "\ud83d\ude00"}"#;
    let php = r#"{"name":"Zo\u00eb","site":"https:\/\/x.co\/a?b&c","smile":"\ud83d\ude00"}"#;
    let go = r#"{"name":"Zoë","site":"https://x.co/a?b\u0026c","smile":"😀"}"#;
    for signed in [plain, python, php, go] {
        for body in [plain, python, php, go].into_iter().filter(|body| *body != signed) {
            check_message(format!("{TIME}.{signed}"), body, "json_rewritten");
        }
    }
}

#[test]
fn knows_line_ends_and_byte_order_marks() {
    check_message(format!("{TIME}.{BODY}\n"), BODY, "newline_not_sent");
    check_message(format!("{TIME}.{BODY}\r\n"), BODY, "newline_not_sent");
    for json in [r#"{"name":"A"}"#, r#"{"name": "A"}"#, r#"{"name" :"A"}"#] {
        check_message(format!("{TIME}.{json}"), format!("{json}\n"), "newline_not_signed");
        check_message(format!("{TIME}.{json}"), format!("{json}\r\n"), "newline_not_signed");
        check_message(format!("{TIME}.{json}"), format!("{json} "), "white_space_not_signed");
    }
    for body in ["no json\n", "no json\r\n"] {
        check_message(format!("{TIME}.no json"), body, "newline_not_signed");
    }
    check_message(format!("{TIME}.no json"), " no json \n\n", "white_space_not_signed");
    check_message(format!("{TIME}.a\nb\n"), "a\r\nb\r\n", "line_ends_changed");
    check_message(format!("{TIME}.a\r\nb\r\n"), "a\nb\n", "line_ends_changed");
    check_message(format!("{TIME}.\u{feff}{BODY}"), BODY, "bom_not_sent");
    check_message(format!("{TIME}.{BODY}"), format!("\u{feff}{BODY}"), "bom_not_signed");
    check_message(format!("{TIME}.{BODY}"), base64(BODY.as_bytes()), "body_in_base64");
}

#[test]
fn knows_what_else_is_signed_in_place_of_the_message() {
    check_message(BODY, BODY, "timestamp_not_signed");
    for message in [format!("{TIME}."), TIME.to_owned(), String::new()] {
        check_message(message, BODY, "body_not_signed");
    }
    for separator in ["", ":", "\n", ",", "|", " "] {
        check_message(format!("{TIME}{separator}{BODY}"), BODY, "other_separator");
    }
    check_message(format!("v0:{TIME}:{BODY}"), BODY, "version_signed");
    check_message(format!("{BODY}.{TIME}"), BODY, "body_first");
    check_message(format!("{BODY}{TIME}"), BODY, "body_first");
    check_message(format!("{TIME}000.{BODY}"), BODY, "milliseconds_signed");
    for (signed, apart) in [("1731573841", 1), ("1731573837", -3)] {
        check_message(format!("{signed}.{BODY}"), BODY, "other_timestamp_signed");
        let finding = explain(TIME, &right(format!("{signed}.{BODY}")), BODY).expect("a finding");
        assert_eq!(finding.mistakes(), [Mistake::OtherTimestampSigned { apart_seconds: apart }]);
    }
}

#[test]
fn knows_hashes_that_are_no_hmac() {
    let message = format!("{TIME}.{BODY}");
    for plain in [
        message.clone(),
        BODY.to_owned(),
        format!("{SECRET}{message}"),
        format!("{message}{SECRET}"),
        format!("{SECRET}{BODY}"),
    ] {
        let signature = format!("sha256={}", hex(Sha256::digest(plain)));
        let finding = explain(TIME, &signature, BODY).expect("a finding");
        // Anybody can make the first two, without a secret.
        assert_eq!((finding.code(), finding.is_proven()), ("not_an_hmac", false));
    }
    for (key, body) in [(message.as_str(), BODY), ("1731573840.{}", "{}"), ("{}", "{}")] {
        check(TIME, &format!("sha256={}", hex(tag(key, SECRET))), body, &["key_and_message_swapped"]);
    }
}

#[test]
fn knows_keys_that_are_not_the_secret_as_shown() {
    use base64ct::{Base64, Encoding};
    for key in ["\n", "\r\n", " "].map(|end| format!("{SECRET}{end}")) {
        check_key(key, "secret_white_space");
    }
    check_key(format!(" {SECRET}"), "secret_white_space");
    check_key(format!("\"{SECRET}\""), "secret_quoted");
    check_key(format!("'{SECRET}'"), "secret_quoted");
    check_key(&SECRET[6..], "secret_without_prefix");
    check_key(SECRET.trim_end_matches('='), "secret_cut_short");
    let decoded = Base64::decode_vec(&SECRET[6..]).expect("base64");
    check_key(&decoded, "secret_decoded");
    check_key(hex(&decoded), "secret_hex");
    check_key(hex(SECRET), "secret_hex");
    check_key("whsec_replaced", "secret_not_valid");
    check_key(OTHER, "secret_of_other_direction");
    let message = format!("{TIME}.{BODY}");
    let both = format!("sha256={}", hex(tag(&OTHER[6..], &message)));
    check(TIME, &both, BODY, &["secret_of_other_direction", "secret_without_prefix"]);
}

#[test]
fn knows_secrets_that_the_receiver_has_wrongly() {
    let message = format!("{TIME}.{BODY}");
    for (received, used, code) in [
        ("\"quoted\"", "quoted", "secret_quoted"),
        ("bare", "whsec_bare", "secret_without_prefix"),
        ("00ff10", "\0\u{7f}", ""),
        ("6162", "ab", "secret_hex"),
    ] {
        let signature = format!("sha256={}", hex(tag(used, &message)));
        let headers = SignatureHeaders::new(TIME.as_bytes(), signature.as_bytes());
        let secret = InboundSecret::new(received).expect("well formed");
        let finding = Doctor::new(&secret).explain(&headers, BODY.as_bytes(), NOW).expect("a finding");
        assert_eq!(finding.code(), if code.is_empty() { "unexplained" } else { code }, "{received}");
    }
}

#[test]
fn knows_signatures_in_another_form() {
    let tag = tag(SECRET, format!("{TIME}.{BODY}"));
    let (digits, base64) = (hex(&tag), base64(&tag));
    for (signature, codes) in [
        (digits.clone(), &["signature_prefix_missing"][..]),
        (format!("v1={digits}"), &["signature_prefix_other"]),
        (format!("sha1={digits}"), &["signature_prefix_other"]),
        (format!("SHA256={digits}"), &["signature_prefix_other"]),
        (format!("sha256:{digits}"), &["signature_prefix_other"]),
        (format!("HMAC-SHA256 {digits}"), &["signature_prefix_other"]),
        (format!("sha256={}", digits.to_uppercase()), &["signature_upper_case"]),
        (digits.to_uppercase(), &["signature_upper_case", "signature_prefix_missing"]),
        (format!("sha256={base64}"), &["signature_base64"]),
        (base64.clone(), &["signature_base64", "signature_prefix_missing"]),
        (format!("sha256={}", base64.trim_end_matches('=')), &["signature_base64"]),
        (format!("sha256= {digits}"), &["signature_white_space"]),
        (format!(" sha256={digits}\t"), &["signature_white_space"]),
        (format!("\"sha256={digits}\""), &["signature_white_space"]),
        (format!("t={TIME},v1={digits}"), &["signature_in_parts"]),
        (format!("t={TIME}, v1={}, v1={digits}", "0".repeat(64)), &["signature_in_parts"]),
        (format!("sha256={}, sha256={digits}", "0".repeat(64)), &["signature_list"]),
        (format!("sha256={digits}, sha256={digits}"), &["signature_list"]),
        (format!("v1,{base64}"), &["signature_standard"]),
        (format!("v1,AAAA v1,{base64}"), &["signature_standard"]),
    ] {
        check(TIME, &signature, BODY, codes);
    }
}

#[test]
fn knows_signatures_that_were_encoded_twice() {
    let tag = tag(SECRET, format!("{TIME}.{BODY}"));
    let texts = [hex(&tag), hex(&tag).to_uppercase(), base64(&tag), format!("sha256={}", hex(&tag))];
    for text in texts {
        for twice in [hex(&text), base64(text.as_bytes())] {
            check(TIME, &format!("sha256={twice}"), BODY, &["signature_encoded_twice"]);
            check(TIME, &twice, BODY, &["signature_encoded_twice", "signature_prefix_missing"]);
        }
    }
    let other = format!("sha256={}", base64(hex([7; 32]).as_bytes()));
    let finding = explain(TIME, &other, BODY).expect("a finding");
    assert_eq!((finding.mistakes(), finding.is_proven()), (&[Mistake::SignatureEncodedTwice][..], false));
}

#[test]
fn reads_long_signature_headers_up_to_two_kibibytes() {
    let right = right(format!("{TIME}.{BODY}"));
    let padded = |bytes: usize| format!("{right},{}", "x".repeat(bytes - right.len() - 1));
    check(TIME, &padded(2_048), BODY, &["signature_list"]);
    let finding = explain(TIME, &padded(2_049), BODY).expect("a finding");
    assert_eq!(finding.mistakes(), [Mistake::SignatureUnreadable]);
}

#[test]
fn tells_url_safe_base64_where_its_digits_do() {
    for number in 0..20 {
        let body = number.to_string();
        let standard = base64(&tag(SECRET, format!("{TIME}.{body}")));
        let url = standard.replace('+', "-").replace('/', "_");
        let code = if url == standard { "signature_base64" } else { "signature_base64url" };
        check(TIME, &format!("sha256={url}"), body, &[code]);
    }
}

#[test]
fn sees_what_is_no_signature_at_all() {
    for signature in ["", "sha256=", "sha256={{signature}}", "sha256=0123", "v1=0123", "none"] {
        let finding = explain(TIME, signature, BODY).expect("a finding");
        assert_eq!(finding.mistakes(), [Mistake::SignatureUnreadable], "{signature}");
        // There was nothing to compare, so it is not said that nothing matched.
        assert!(!finding.is_proven() && !finding.to_string().contains("matches"), "{finding}");
    }
    for (bytes, bits) in [(16, 128), (20, 160), (48, 384), (64, 512)] {
        for digits in ["ab".repeat(bytes), base64(&vec![0xfb; bytes])] {
            let finding = explain(TIME, &format!("sha256={digits}"), BODY).expect("a finding");
            assert_eq!(finding.mistakes(), [Mistake::SignatureOtherHash { bits }], "{digits}");
        }
    }
}

#[test]
fn knows_timestamps_in_another_form_whichever_of_them_was_signed() {
    for (timestamp, code) in [
        ("1731573840123", "timestamp_milliseconds"),
        ("1731573840123456", "timestamp_microseconds"),
        ("1731573840123456789", "timestamp_nanoseconds"),
        ("1731573840.123", "timestamp_fraction"),
        ("1731573840.12", "timestamp_fraction"),
        ("+1731573840", "timestamp_sign"),
        ("01731573840", "timestamp_leading_zero"),
        (" 1731573840", "timestamp_white_space"),
        ("\"1731573840\"", "timestamp_white_space"),
        ("1731573840, 1731573841", "timestamp_list"),
    ] {
        check(timestamp, &right(format!("{timestamp}.{BODY}")), BODY, &[code]);
        check(timestamp, &right(format!("{TIME}.{BODY}")), BODY, &[code]);
    }
    for (timestamp, code) in [
        ("-1731573840", "timestamp_sign"),
        ("2024-11-14T08:44:00Z", "timestamp_date"),
        ("Thu, 14 Nov 2024 08:44:00 GMT", "timestamp_date"),
        ("now", "timestamp_unreadable"),
        ("", "timestamp_unreadable"),
    ] {
        check(timestamp, &right(format!("{timestamp}.{BODY}")), BODY, &[code]);
    }
    let date = "2024-11-14T08:44:00Z";
    check(&format!(" {date}"), &right(format!("{date}.{BODY}")), BODY, &["timestamp_white_space"]);
    let parts = format!("t=1731573839,v1={}", hex(tag(SECRET, format!("1731573839.{BODY}"))));
    check("yesterday", &parts, BODY, &["signature_in_parts", "timestamp_unreadable"]);
}

#[test]
fn what_only_looks_like_a_time_is_unreadable() {
    for timestamp in [
        "+",
        "+now",
        "-now",
        "0x67",
        "1731573840.x",
        "x.123",
        "173157384012345",
        "2024 is the year",
        "2024-xx-xx",
        "2024-11 and on",
        "2024-11-xx",
        "8:44",
        "now: 8",
        "the fourteenth of November",
    ] {
        check(timestamp, &right(format!("{timestamp}.{BODY}")), BODY, &["timestamp_unreadable"]);
    }
}

#[test]
fn says_how_far_the_clocks_are_apart_and_whether_the_signature_is_right() {
    let at = |seconds: u64| {
        let time = (1_731_573_840 + 100_000 - seconds).to_string();
        (right(format!("{time}.{BODY}")), time)
    };
    for (seconds, code, size) in
        [(100_301, "clock_behind", "301 seconds behind"), (99_000, "clock_ahead", "1000 seconds ahead")]
    {
        let (signature, time) = at(seconds);
        let sentence = check(&time, &signature, BODY, &[code]);
        assert!(sentence.starts_with("the signature is right; "), "{sentence}");
        assert!(sentence.contains(size) && !sentence.contains("zone"), "{sentence}");
    }
    let (signature, time) = at(100_300);
    assert_eq!(explain(&time, &signature, BODY), None);
    for seconds in [103_601, 92_795, 119_800] {
        let (signature, time) = at(seconds);
        let finding = explain(&time, &signature, BODY).expect("a finding");
        assert!(finding.to_string().contains("time zone"), "{finding}");
    }

    let (_, time) = at(200_000);
    let finding = explain(&time, &right("something else"), BODY).expect("a finding");
    assert_eq!((finding.code(), finding.is_proven()), ("clock_behind", false));
    let sentence = finding.to_string();
    assert!(sentence.contains("no known mistake") && !sentence.contains("is right"), "{sentence}");
    check(
        "1731573139000",
        &right(format!("1731573139.{BODY}")),
        BODY,
        &["timestamp_milliseconds", "clock_behind"],
    );
}

#[test]
fn finds_two_mistakes_at_once() {
    let python = BODY.replace("\":", "\": ").replace(",\"", ", \"");
    let message = format!("{TIME}.{python}");
    check(
        TIME,
        &base64(&tag(SECRET, &message)),
        BODY,
        &["signature_base64", "signature_prefix_missing", "json_rewritten"],
    );
    let keyed = format!("sha256={}", hex(tag(&SECRET[6..], &message)));
    check(TIME, &keyed, BODY, &["secret_without_prefix", "json_rewritten"]);
    check(TIME, &right(&python), BODY, &["timestamp_not_signed", "json_rewritten"]);
    check("1731573840123", &right(&message), BODY, &["timestamp_milliseconds", "json_rewritten"]);
    let late = format!("1731573000.{python}");
    check("1731573000", &right(late), BODY, &["clock_behind", "json_rewritten"]);
}

#[test]
fn says_which_header_is_missing_or_repeated() {
    #[track_caller]
    fn check(headers: &[(&str, &str)], code: &str) {
        let finding = doctor().explain(headers, BODY.as_bytes(), NOW).expect("a finding");
        assert_eq!((finding.code(), finding.is_proven()), (code, false));
    }
    let signature = right(format!("{TIME}.{BODY}"));
    let (time, signature) = (("X-AgentFlow-Timestamp", TIME), ("X-AgentFlow-Signature", signature.as_str()));
    check(&[], "missing_signature");
    check(&[time], "missing_signature");
    check(&[signature], "missing_timestamp");
    check(&[signature, signature, time], "repeated_signature");
    check(&[signature, time, time], "repeated_timestamp");
}

#[test]
fn says_what_to_compare_where_nothing_is_known() {
    let finding = explain(TIME, &right("something else"), BODY).expect("a finding");
    assert_eq!((finding.code(), finding.is_proven()), ("unexplained", false));
    assert_eq!(finding.mistakes(), [Mistake::Unexplained]);
}

#[test]
fn a_finding_holds_no_secret_and_nothing_of_the_body() {
    for message in [format!("{TIME}.{BODY}\n"), "something else".to_owned(), BODY.to_owned()] {
        let finding = explain(TIME, &right(message), BODY).expect("a finding");
        let told = format!("{finding} {finding:?}");
        for part in [&SECRET[6..20], "Jordan", "stacklane"] {
            assert!(!told.contains(part), "{told}");
        }
    }
    assert_eq!(
        format!("{:?}", doctor()),
        "Doctor { direction: Inbound, secrets: 3, tolerance_seconds: 300 }"
    );
}

#[test]
fn large_bodies_are_not_rewritten_but_looked_at() {
    let large = format!("{{ \"a\":\"{}\"}}", "x".repeat(JSON_BYTES_MAX));
    let compact = large.replace("{ ", "{");
    let finding = explain(TIME, &right(format!("{TIME}.{compact}")), &large).expect("a finding");
    assert_eq!(finding.code(), "unexplained");
    check_message(&large, &large, "timestamp_not_signed");
    let huge = vec![b'a'; HASHED_BYTES_MAX + 1];
    let mut message = format!("{TIME}.").into_bytes();
    message.extend_from_slice(&huge);
    assert_eq!(explain(TIME, &right(&message), &huge), None);
    let finding = explain(TIME, &right(&huge), &huge).expect("a finding");
    assert_eq!(finding.code(), "unexplained");
}

#[test]
fn bodies_near_the_limits_are_written_anew_and_decoded() {
    let compact = format!("{{\"a\":\"{}\"}}", "x".repeat(65_536 - 9));
    check_message(format!("{TIME}.{compact}"), compact.replace(':', ": "), "json_rewritten");

    let decoded = "x".repeat(96 * 1024);
    check_message(format!("{TIME}.{decoded}"), base64(decoded.as_bytes()), "body_in_base64");
    let longer = format!("{decoded}yyy");
    let signature = right(format!("{TIME}.{longer}"));
    let finding = explain(TIME, &signature, base64(longer.as_bytes())).expect("a finding");
    assert_eq!(finding.code(), "unexplained");
}

#[test]
fn the_first_three_secrets_are_tried_with_every_mistake() {
    let secret = |text: &str| InboundSecret::new(text).expect("well formed");
    let doctor = Doctor::new(&secret("first"))
        .not_valid(&secret("replaced"))
        .or(&secret("second"))
        .or(&secret("third"))
        .or(&secret("fourth"));
    for (key, codes) in [
        ("first", &["timestamp_not_signed"][..]),
        ("second", &["timestamp_not_signed"]),
        ("third", &["timestamp_not_signed"]),
        ("fourth", &["unexplained"]),
        ("replaced", &["unexplained"]),
    ] {
        let signature = format!("sha256={}", hex(tag(key, BODY)));
        let headers = SignatureHeaders::new(TIME.as_bytes(), signature.as_bytes());
        let finding = doctor.explain(&headers, BODY.as_bytes(), NOW).expect("a finding");
        let found: Vec<_> = finding.mistakes().iter().map(Mistake::code).collect();
        assert_eq!(found, codes, "{key}");
    }
}

#[test]
fn a_rotation_knows_each_secret_and_the_tolerance() {
    let secret = |text: &str| OutboundSecret::new(text).expect("well formed");
    let doctor = (0..12)
        .fold(Doctor::new(&secret("present")), |doctor, number| doctor.or(&secret(&format!("old{number}"))))
        .other_direction(&InboundSecret::new("inbound").expect("well formed"))
        .tolerance(10);
    let late = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + 11);
    for number in 0..12 {
        let signed = Signer::new(&secret(&format!("old{number}"))).sign(b"{}", NOW);
        assert_eq!(doctor.explain(&signed, b"{}", NOW), None);
        let finding = doctor.explain(&signed, b"{}", late).expect("a finding");
        assert_eq!(finding.mistakes(), [Mistake::ClockBehind { seconds: 11 }]);
    }
    let signed = Signer::new(&InboundSecret::new("inbound").expect("well formed")).sign(b"{}", NOW);
    assert_eq!(doctor.explain(&signed, b"{}", NOW).expect("a finding").code(), "secret_of_other_direction");
}

fn headers_of(timestamp: &[u8], signature: &[u8]) -> impl Headers {
    vec![
        (b"x-agentflow-timestamp".to_vec(), timestamp.to_vec()),
        (b"x-agentflow-signature".to_vec(), signature.to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The doctor is silent exactly where a verifier accepts.
    #[test]
    fn agrees_with_the_verifier(
        body in prop::collection::vec(any::<u8>(), 0..200),
        shift in -400_i64..400,
        spoil in 0_usize..4,
        at in any::<prop::sample::Index>(),
    ) {
        let secret = InboundSecret::new(SECRET).expect("well formed");
        let now = Timestamp::from_unix_seconds(NOW.as_unix_seconds().saturating_add_signed(shift));
        let signed = Signer::new(&secret).sign(&body, NOW);
        let mut parts = [signed.timestamp().as_bytes().to_vec(), signed.signature().as_bytes().to_vec(), body];
        if let Some(part) = parts.get_mut(spoil).filter(|part| !part.is_empty()) {
            let place = at.index(part.len());
            part[place] ^= 1;
        }
        let [timestamp, signature, body] = parts;
        let headers = headers_of(&timestamp, &signature);
        let accepted = Verifier::new(secret.clone()).verify(&headers, &body, now).is_ok();
        prop_assert_eq!(doctor().explain(&headers, &body, now).is_none(), accepted);
    }

    #[test]
    fn no_input_makes_it_panic(
        timestamp in "\\PC{0,30}|[0-9]{0,25}|[0-9. ,:TZ+-]{0,30}",
        signature in "\\PC{0,200}|sha256=[0-9a-fA-F]{60,70}|[tv0-9=,a-f]{0,200}|[A-Za-z0-9+/_-]{40,90}=?",
        body in "\\PC{0,100}|[\\[\\]{}\",:\\\\u0-9a-f \n\r]{0,200}",
        now in 0_u64..2_000_000_000_000,
    ) {
        let headers = headers_of(timestamp.as_bytes(), signature.as_bytes());
        let now = Timestamp::from_unix_seconds(now);
        if let Some(finding) = doctor().explain(&headers, body.as_bytes(), now) {
            prop_assert!(!finding.mistakes().is_empty() && !finding.to_string().is_empty());
        }
    }
}

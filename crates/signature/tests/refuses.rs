//! What a verifier refuses, with which code, and in which order it looks.

use agentflow_signature::{
    Headers, InboundSecret, OutboundSecret, SecretError, SignatureHeaders, Signer, Timestamp, Verifier,
    VerifyError,
};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_731_573_840);
const BODY: &[u8] = br#"{"name":"Jordan Ellis","email":"jordan.ellis@stacklane.co"}"#;

fn secret() -> InboundSecret {
    InboundSecret::new("whsec_inbound").expect("well formed")
}

fn verify(headers: &(impl Headers + ?Sized)) -> Result<usize, VerifyError> {
    Verifier::new(secret()).verify(headers, BODY, NOW).map(|verified| verified.secret_index())
}

/// A right signature over whatever stands in the timestamp header, by an implementation that accepts anything there.
fn signature_over(timestamp: &[u8], body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret().expose().as_bytes()).expect("any length");
    mac.update(timestamp);
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[track_caller]
fn check_timestamp(timestamp: &[u8], expected: Result<(), VerifyError>) {
    let signature = signature_over(timestamp, BODY);
    let headers = SignatureHeaders::new(timestamp, signature.as_bytes());
    assert_eq!(verify(&headers).map(drop), expected, "{}", timestamp.escape_ascii());
}

#[test]
fn refuses_rightly_signed_timestamps_in_any_other_form() {
    let long = "1".repeat(1000);
    for timestamp in [
        "",
        " ",
        "+5",
        "-5",
        "005",
        "00",
        "01731573840",
        " 1731573840",
        "1731573840 ",
        "1731573840\t",
        "5.9",
        "1731573840.0",
        "1_0",
        "1_731_573_840",
        "1e9",
        "0x5",
        "1731573840,1731573840",
        "1731573840s",
        "-0",
        "-9223372036854775808",
        "9223372036854775808",
        "18446744073709551616",
        "1000000000000",
        "NaN",
        "١٧٣١٥٧٣٨٤٠",
        "１７３１５７３８４０",
        "173157384\u{0}",
        "17315738:0",
        "1731573/40",
        long.as_str(),
    ] {
        check_timestamp(timestamp.as_bytes(), Err(VerifyError::MalformedTimestamp));
    }
    check_timestamp(b"\xff\xfe", Err(VerifyError::MalformedTimestamp));
}

#[test]
fn every_byte_that_is_no_digit_is_refused_at_every_place() {
    for place in 0..10 {
        for byte in (0..=255_u8).filter(|byte| !byte.is_ascii_digit()) {
            let mut timestamp = *b"1731573840";
            timestamp[place] = byte;
            check_timestamp(&timestamp, Err(VerifyError::MalformedTimestamp));
        }
    }
}

#[test]
fn accepts_300_seconds_either_way_and_refuses_301() {
    check_timestamp(b"1731573840", Ok(()));
    check_timestamp(b"1731573540", Ok(()));
    check_timestamp(b"1731574140", Ok(()));
    check_timestamp(b"1731573539", Err(VerifyError::Stale { age_seconds: 301 }));
    check_timestamp(b"1731574141", Err(VerifyError::Future { ahead_seconds: 301 }));
    check_timestamp(b"0", Err(VerifyError::Stale { age_seconds: 1_731_573_840 }));
    check_timestamp(b"999999999999", Err(VerifyError::Future { ahead_seconds: 998_268_426_159 }));
}

#[test]
fn the_tolerance_can_be_set() {
    let signed = Signer::new(&secret()).sign(BODY, NOW);
    for (tolerance, later, accepted) in [(0, 0, true), (0, 1, false), (u32::MAX, u64::from(u32::MAX), true)] {
        let verifier = Verifier::new(secret()).tolerance(tolerance);
        let now = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + later);
        assert_eq!(verifier.verify(&signed, BODY, now).is_ok(), accepted, "{tolerance} {later}");
    }
}

#[test]
fn refuses_signatures_in_any_other_form() {
    let right = signature_over(b"1731573840", BODY);
    let hex = &right["sha256=".len()..];
    for signature in [
        String::new(),
        hex.to_owned(),
        "sha256=".to_owned(),
        format!("SHA256={hex}"),
        format!("sha256={}", hex.to_uppercase()),
        format!("sha256={}", &hex[..63]),
        format!("{right}0"),
        format!(" {right}"),
        format!("{right} "),
        format!("sha256= {}", &hex[1..]),
        format!("sha256=0x{}", &hex[2..]),
        format!("{right},{right}"),
        format!("sha1={hex}"),
        format!("v1={hex}"),
        format!("sha256={}g", &hex[..63]),
        format!("sha256={}é", &hex[..62]),
    ] {
        let headers =
            [("X-AgentFlow-Timestamp", "1731573840"), ("X-AgentFlow-Signature", signature.as_str())];
        assert_eq!(verify(&headers), Err(VerifyError::MalformedSignature), "{signature}");
    }
    let not_text = SignatureHeaders::new(b"1731573840", &[0xff; 71]);
    assert_eq!(verify(&not_text), Err(VerifyError::MalformedSignature));
}

#[test]
fn looks_for_headers_then_forms_then_the_window_then_the_signature() {
    use VerifyError::{
        Future, InvalidSignature, MalformedSignature, MalformedTimestamp, MissingSignature, MissingTimestamp,
        Stale,
    };
    const T: &str = "X-AgentFlow-Timestamp";
    const S: &str = "x-AGENTFLOW-signature";
    let wrong = format!("sha256={}", "0".repeat(64));
    let wrong = wrong.as_str();
    let cases: [(&[(&str, &str)], VerifyError); 13] = [
        (&[], MissingSignature),
        (&[("Content-Type", "application/json")], MissingSignature),
        (&[(T, "x")], MissingSignature),
        (&[(T, "1"), (T, "1")], MissingSignature),
        (&[(S, "x")], MissingTimestamp),
        (&[(S, wrong), (S, wrong)], MalformedSignature),
        (&[(S, wrong), (S, wrong), (T, "1"), (T, "1")], MalformedSignature),
        (&[(S, "x"), (T, "1"), (T, "1")], MalformedTimestamp),
        (&[(S, "x"), (T, "x")], MalformedSignature),
        (&[(S, wrong), (T, "x")], MalformedTimestamp),
        (&[(S, wrong), (T, "1731573539")], Stale { age_seconds: 301 }),
        (&[(S, wrong), (T, "1731574141")], Future { ahead_seconds: 301 }),
        (&[(S, wrong), (T, "1731573840")], InvalidSignature),
    ];
    for (headers, expected) in cases {
        assert_eq!(verify(headers), Err(expected), "{headers:?}");
    }
}

#[test]
fn refuses_a_repeated_header_even_if_both_say_the_same() {
    let signed = Signer::new(&secret()).sign(BODY, NOW);
    let (timestamp, signature) = (signed.timestamp(), signed.signature());
    let once = [("X-AgentFlow-Timestamp", timestamp), ("X-AgentFlow-Signature", signature)];
    assert_eq!(verify(&once), Ok(0));
    let twice = [once[0], once[1], ("x-agentflow-timestamp", timestamp)];
    assert_eq!(verify(&twice), Err(VerifyError::MalformedTimestamp));
    let twice = vec![once[0], once[1], ("x-agentflow-signature", signature)];
    assert_eq!(verify(&twice), Err(VerifyError::MalformedSignature));
}

#[test]
fn accepts_bodies_that_are_no_text() {
    let body = [0, 0xff, 0xc3, 0x28, b'\r', b'\n'];
    let signed = Signer::new(&secret()).sign(&body, NOW);
    let verifier = Verifier::new(secret());
    assert_eq!(verifier.verify(&signed, &body, NOW).expect("verifies").body(), body);
}

#[test]
fn tells_which_of_several_secrets_matched() {
    let secrets = ["one", "two", "three"].map(|text| OutboundSecret::new(text).expect("well formed"));
    let [one, two, three] = secrets.clone();
    let verifier = Verifier::new(one).or(two).or(three);
    for (index, secret) in secrets.iter().enumerate() {
        let signed = Signer::new(secret).sign(BODY, NOW);
        assert_eq!(verifier.verify(&signed, BODY, NOW).expect("verifies").secret_index(), index);
        let mut streaming = verifier.begin(&signed, NOW).expect("well formed");
        streaming.update(BODY);
        assert_eq!(streaming.finish().expect("verifies").secret_index(), index);
    }
    let stranger = Signer::new(&OutboundSecret::new("four").expect("well formed")).sign(BODY, NOW);
    assert_eq!(verifier.verify(&stranger, BODY, NOW).unwrap_err(), VerifyError::InvalidSignature);
    let same = OutboundSecret::new("same").expect("well formed");
    let signed = Signer::new(&same).sign(BODY, NOW);
    let twice = Verifier::new(same.clone()).or(same);
    assert_eq!(twice.verify(&signed, BODY, NOW).expect("verifies").secret_index(), 0);
}

#[test]
fn streaming_checks_headers_and_window_before_any_of_the_body() {
    let verifier = Verifier::new(secret());
    let signed = Signer::new(&secret()).sign(BODY, NOW);
    let later = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + 301);
    assert_eq!(verifier.begin(&signed, later).unwrap_err(), VerifyError::Stale { age_seconds: 301 });
    let nothing: [(&str, &str); 0] = [];
    assert_eq!(verifier.begin(&nothing, NOW).unwrap_err(), VerifyError::MissingSignature);
}

#[test]
fn every_error_has_its_stable_code_and_says_what_to_do() {
    for (error, code) in [
        (VerifyError::MissingTimestamp, "missing_timestamp"),
        (VerifyError::MalformedTimestamp, "malformed_timestamp"),
        (VerifyError::Stale { age_seconds: 301 }, "stale_timestamp"),
        (VerifyError::Future { ahead_seconds: 301 }, "future_timestamp"),
        (VerifyError::MissingSignature, "missing_signature"),
        (VerifyError::MalformedSignature, "malformed_signature"),
        (VerifyError::InvalidSignature, "invalid_signature"),
    ] {
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(": "), "{error}");
    }
}

#[test]
fn secrets_are_never_shown_and_never_blank() {
    let secret = OutboundSecret::new("whsec_topsecret").expect("well formed");
    let signer = Signer::new(&secret);
    let verifier = Verifier::new(secret.clone());
    let signed = signer.sign(BODY, NOW);
    let streaming = verifier.begin(&signed, NOW).expect("well formed");
    let verified = verifier.verify(&signed, BODY, NOW).expect("verifies");
    let shown = format!("{secret:?} {signer:?} {verifier:?} {streaming:?} {verified:?}");
    assert!(!shown.contains("topsecret"), "{shown}");
    assert!(!shown.contains("Jordan") && !shown.contains("123, 34"), "a lead is personal: {shown}");

    assert_eq!(OutboundSecret::new("").unwrap_err(), SecretError::Empty);
    for text in [" a", "a ", "a\n", "\ta", "\u{a0}a", " "] {
        assert_eq!(OutboundSecret::new(text).unwrap_err(), SecretError::SurroundingWhitespace);
    }
}

#[test]
fn random_secrets_are_the_prefix_and_standard_base64() {
    let secret = InboundSecret::from_random_bytes(core::array::from_fn(|at| (at * 37) as u8 | 0x81));
    assert_eq!(secret.expose().len(), 6 + 44);
    assert!(secret.expose().starts_with("whsec_") && secret.expose().ends_with('='));
    let zeros = InboundSecret::from_random_bytes([0; 32]);
    assert_eq!(zeros.expose(), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}

#[test]
fn timestamps_print_what_they_parse() {
    for seconds in [0, 1, 9, 10, 1_731_573_840, 12_345_678, 123_456_789_012, 999_999_999_999] {
        let timestamp = Timestamp::from_unix_seconds(seconds);
        assert_eq!(Timestamp::parse(timestamp.to_string().as_bytes()), Ok(timestamp));
        assert_eq!(Signer::new(&secret()).sign(b"", timestamp).timestamp(), seconds.to_string());
    }
    assert_eq!(Timestamp::from_unix_seconds(u64::MAX), Timestamp::MAX);
}

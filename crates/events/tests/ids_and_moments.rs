//! Laws of ids and moments, with jiff as an independent oracle for the calendar.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentflow_events::{EventId, EventType, IdError, IdempotencyKey, LeadId, Moment, MomentError, Score};
use proptest::prelude::*;

const TEXT: &str = "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f";

#[test]
fn makes_uuids_of_version_7_and_the_rfc_variant() {
    let low = LeadId::new(0x0192_f3a1_c0de, [0; 10]);
    let high = LeadId::new(0x0192_f3a1_c0de, [0xff; 10]);
    assert_eq!(low.to_string(), "lead_0192f3a1c0de70008000000000000000");
    assert_eq!(high.to_string(), "lead_0192f3a1c0de7fffbfffffffffffffff");
    assert_eq!(LeadId::new(u64::MAX, [0; 10]).unix_millis(), (1 << 48) - 1);
    assert_eq!(LeadId::at(Moment::from_unix_millis(-1), [0; 10]).unix_millis(), 0);
}

#[test]
fn says_what_is_wrong_with_an_id() {
    let refused = |text: &str| text.parse::<LeadId>().unwrap_err();
    assert_eq!(refused(""), IdError::WrongPrefix { prefix: "lead" });
    assert_eq!(refused("lead"), IdError::WrongPrefix { prefix: "lead" });
    assert_eq!(refused(&TEXT.replace("lead", "evt")), IdError::WrongPrefix { prefix: "lead" });
    assert_eq!(refused(&format!(" {TEXT}")), IdError::WrongPrefix { prefix: "lead" });
    assert_eq!(refused("lead_"), IdError::WrongLength { found: 0 });
    assert_eq!(refused(&format!("{TEXT}0")), IdError::WrongLength { found: 33 });
    assert_eq!(refused(&TEXT.replace('f', "F")), IdError::NotLowerHex { position: 4 });
    assert_eq!(refused(&TEXT.replace("9f", "é")), IdError::NotLowerHex { position: 30 });
    assert_eq!(refused("").code(), "invalid_id");
}

#[test]
fn writes_ids_as_strings_in_json_and_shows_them_in_debug() {
    let id: LeadId = TEXT.parse().unwrap();
    let json = format!("\"{TEXT}\"");
    assert_eq!(serde_json::to_string(&id).unwrap(), json);
    assert_eq!(serde_json::from_str::<LeadId>(&json).unwrap(), id);
    assert!(serde_json::from_str::<EventId>(&json).is_err());
    assert_eq!(format!("{id:?}"), TEXT);
    assert_eq!(HashSet::from([id, id]).len(), 1);
}

#[track_caller]
fn check(text: &str, expected: Result<&str, MomentError>) {
    assert_eq!(text.parse::<Moment>().map(Moment::to_rfc3339), expected.map(str::to_owned), "{text}");
}

#[test]
fn reads_rfc_3339_with_any_offset_and_fraction() {
    check("2024-11-14T08:46:12Z", Ok("2024-11-14T08:46:12.000Z"));
    check("2024-11-14T08:46:12.3Z", Ok("2024-11-14T08:46:12.300Z"));
    check("2024-11-14T08:46:12.3459999999999Z", Ok("2024-11-14T08:46:12.345Z"));
    check("2024-11-14T00:16:12.345+05:45", Ok("2024-11-13T18:31:12.345Z"));
    check("2024-02-28T23:30:00-01:00", Ok("2024-02-29T00:30:00.000Z"));
    check("1969-12-31T23:59:59.999-00:00", Ok("1969-12-31T23:59:59.999Z"));
    check("2016-12-31T23:59:60Z", Ok("2016-12-31T23:59:59.000Z"));
    check("0000-01-01T00:00:00Z", Ok("0000-01-01T00:00:00.000Z"));
    check("9999-12-31T23:59:59.999Z", Ok("9999-12-31T23:59:59.999Z"));
}

#[test]
fn refuses_other_forms_and_times_that_never_were() {
    for text in [
        "",
        "2024-11-14",
        "2024-11-14T08:46Z",
        "2024-11-14T08:46:12",
        "2024-11-14 08:46:12Z",
        "2024-11-14t08:46:12z",
        "2024-11-14T08:46:12.Z",
        "2024-11-14T08:46:12,3Z",
        "2024-11-14T08:46:12ZZ",
        " 2024-11-14T08:46:12Z",
        "+002024-11-14T08:46:12Z",
        "2024-11-14T08:46:12+0100",
        "2024-11-14T08:46:12+01",
        "20241114T084612Z",
        "２024-11-14T08:46:12Z",
    ] {
        check(text, Err(MomentError::Form));
    }
    for text in [
        "2024-00-14T08:46:12Z",
        "2024-13-14T08:46:12Z",
        "2024-11-00T08:46:12Z",
        "2024-11-31T08:46:12Z",
        "2023-02-29T08:46:12Z",
        "1900-02-29T08:46:12Z",
        "2024-11-14T24:00:00Z",
        "2024-11-14T08:60:00Z",
        "2024-11-14T08:46:61Z",
        "2024-11-14T08:46:12+24:00",
        "2024-11-14T08:46:12+01:60",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ] {
        check(text, Err(MomentError::NoSuchTime));
    }
}

#[test]
fn stays_at_the_edges_of_what_can_be_written() {
    assert_eq!(Moment::MIN.to_string(), "0000-01-01T00:00:00.000Z");
    assert_eq!(Moment::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Moment::from_unix_millis(i64::MIN), Moment::MIN);
    assert_eq!(Moment::from_unix_millis(i64::MAX), Moment::MAX);
    assert_eq!(Moment::MAX.plus(Duration::MAX), Moment::MAX);
    assert_eq!(Moment::MIN.minus(Duration::MAX), Moment::MIN);
    assert_eq!(Moment::MIN.since(Moment::MAX), Duration::ZERO);
    assert_eq!(Moment::MIN.plus(Moment::MAX.since(Moment::MIN)), Moment::MAX);
}

#[test]
fn takes_system_time_rounded_down() {
    let at = |time: SystemTime| Moment::from(time).unix_millis();
    assert_eq!(at(UNIX_EPOCH + Duration::from_nanos(1_999_999)), 1);
    assert_eq!(at(UNIX_EPOCH - Duration::from_nanos(1)), -1);
    assert_eq!(at(UNIX_EPOCH - Duration::from_millis(1)), -1);
    assert_eq!(Moment::from_unix_millis(-1).unix_seconds(), -1);
}

#[test]
fn takes_scores_up_to_100() {
    assert_eq!(Score::new(100), Ok(Score::MAX));
    assert_eq!(Score::new(101).unwrap_err().to_string(), "a score is from 0 to 100, not 101");
    assert_eq!([-5, 0, 1, 99, 100, i64::MAX].map(|n| Score::clamped(n).value()), [0, 0, 1, 99, 100, 100]);
    assert_eq!(serde_json::to_string(&Score::MAX).unwrap(), "100");
    assert!(serde_json::from_str::<Score>("101").is_err());
}

#[test]
fn keeps_the_words_of_the_event_types_and_the_keys() {
    let words: Vec<_> = EventType::ALL.iter().map(|event_type| event_type.as_str()).collect();
    assert_eq!(words, ["lead.qualified", "lead.rejected", "lead.review_requested"]);
    for &event_type in EventType::ALL {
        assert_eq!(event_type.as_str().parse(), Ok(event_type));
        let key = IdempotencyKey { lead_id: TEXT.parse().unwrap(), event_type };
        assert_eq!(key.to_string(), format!("{TEXT}:{event_type}"));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(
            serde_json::from_str::<IdempotencyKey>(&serde_json::to_string(&key).unwrap()).unwrap(),
            key
        );
    }
    for text in ["", TEXT, "lead_1:lead.qualified", &format!("{TEXT}:lead.merged"), &format!("{TEXT}::")] {
        assert_eq!(text.parse::<IdempotencyKey>().unwrap_err().code(), "invalid_key", "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids_read_back_what_they_print(bytes in any::<[u8; 16]>()) {
        let id = LeadId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(id.as_bytes(), &bytes);
    }

    #[test]
    fn ids_order_by_time_as_bytes_and_as_text(
        early in 0..(1u64 << 48),
        gap in 1..1_000_000u64,
        random in any::<[[u8; 10]; 2]>(),
    ) {
        let (first, second) = (EventId::new(early, random[0]), EventId::new(early + gap, random[1]));
        prop_assume!(early + gap < 1 << 48);
        prop_assert!(first < second);
        prop_assert!(first.to_string() < second.to_string());
        prop_assert_eq!(first.unix_millis(), early);
    }

    #[test]
    fn ids_never_panic_on_any_text(text in any::<String>()) {
        let _ = text.parse::<LeadId>();
        let _ = format!("lead_{text}").parse::<LeadId>();
    }

    #[test]
    fn moments_print_as_jiff_does_and_read_back(
        unix_millis in Moment::MIN.unix_millis()..=Moment::MAX.unix_millis(),
    ) {
        let moment = Moment::from_unix_millis(unix_millis);
        let oracle = jiff::Timestamp::from_millisecond(unix_millis).unwrap();
        prop_assert_eq!(moment.to_string(), format!("{oracle:.3}"));
        prop_assert_eq!(moment.to_string().parse(), Ok(moment));
    }

    #[test]
    fn moments_read_as_jiff_does(
        (year, month, day) in (0..=9999u16, 0..=13u8, 0..=32u8),
        (hour, minute, second) in (0..=24u8, 0..=60u8, 0..=59u8),
        fraction in "(\\.[0-9]{1,9})?",
        offset in "Z|[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]",
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
        let ours = text.parse::<Moment>().ok().map(Moment::unix_millis);
        let oracle = text.parse::<jiff::Timestamp>().ok().map(|time| time.as_nanosecond().div_euclid(1_000_000) as i64);
        let oracle = oracle.filter(|millis| Moment::from_unix_millis(*millis).unix_millis() == *millis);
        prop_assert_eq!(ours, oracle, "{}", text);
    }

    #[test]
    fn moments_order_as_their_texts(millis in any::<[i32; 2]>()) {
        let [a, b] = millis.map(|millis| Moment::from_unix_millis(i64::from(millis) * 1000));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        prop_assert_eq!(a.max(b).minus(a.max(b).since(a.min(b))), a.min(b));
    }

    #[test]
    fn moments_never_panic_on_any_text(text in any::<String>(), tail in ".*") {
        let _ = text.parse::<Moment>();
        let _ = format!("2024-11-14T08:46:12{tail}").parse::<Moment>();
    }
}

//! Which times are read, and which instant they name.

use agentflow_lead::{SubmittedAt, SubmittedAtError};

/// 2024-11-14T00:00:00Z.
const DAY: i64 = 1_731_542_400_000;
const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

#[track_caller]
fn check(text: &str, expected: i64) {
    let time = SubmittedAt::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(time.unix_millis(), expected, "{text}");
    assert_eq!(time.as_sent(), text.trim());
}

#[track_caller]
fn refuses(text: &str) {
    assert_eq!(SubmittedAt::parse(text), Err(SubmittedAtError), "{text}");
}

#[test]
fn reads_dates_of_every_kind() {
    for date in ["2024-11-14", "20241114", "2024-W46-4", "2024W464", "2024-319", "2024319", "+002024-11-14"] {
        check(date, DAY);
    }
    check("2024-12-30", DAY + 46 * 24 * HOUR);
    check("2025-W01-1", DAY + 46 * 24 * HOUR);
    check("1970-01-01", 0);
    check("2024-02-29", DAY - 259 * 24 * HOUR);
}

#[test]
fn reads_times_with_and_without_an_offset() {
    let at = DAY + 8 * HOUR + 44 * MINUTE;
    for text in [
        "2024-11-14T08:44:00Z",
        "2024-11-14T08:44Z",
        "2024-11-14t08:44z",
        "2024-11-14 08:44",
        "2024-11-14T08:44:00",
        "20241114T084400Z",
        "20241114T0844Z",
        "2024-11-14T09:44:00+01:00",
        "2024-11-14T03:44:00-0500",
        "2024-11-14T09:44+01",
        "2024-11-14T08:44:00-00:00",
        "2024-11-14T14:14:00+05:30",
        "2024-W46-4T08:44Z",
        "2024-319T09:44+01:00",
        "\u{2003}2024-11-14T08:44Z\n",
        "2024-11-14T09:44:00+01:00[Europe/Paris]",
    ] {
        check(text, at);
    }
    check("2024-11-14T08", DAY + 8 * HOUR);
    check("1969-12-31T23:59:59.5Z", -500);
}

#[test]
fn reads_fractions_and_cuts_what_is_finer_than_milliseconds() {
    check("2024-11-14T08:44:00.123+01:00", DAY + 7 * HOUR + 44 * MINUTE + 123);
    check("2024-11-14T00:00:00,5Z", DAY + 500);
    check("2024-11-14T00:00:00.123999999Z", DAY + 123);
    check("9999-12-31", 253_402_214_400_000);
    check("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999);
    check("9999-12-31T23:59:59-12:00", 253_402_343_999_000);
    check("1969-12-31T23:59:59.0005-00:00", -999);
    check("0000-01-01T00:00+23:59", -62_167_305_540_000);
    check("2024-11-14T00:00:00.123999999999999Z", DAY + 123);
    check("2024-W46-4T00:00:00.1239999999999", DAY + 123);
}

#[test]
fn reads_the_end_of_a_day_and_a_leap_second() {
    for text in [
        "2024-11-13T24:00:00Z",
        "2024-11-13T24:00",
        "20241113T240000Z",
        "2024-11-13T24:00:00.000",
        "2024-318T24",
    ] {
        check(text, DAY);
    }
    check("2024-11-13T24:00:00-05:00", DAY + 5 * HOUR);
    check("2016-12-31T23:59:60Z", 1_483_228_799_000);
}

#[test]
fn refuses_what_names_no_real_time() {
    for text in [
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-11-00",
        "2024-11-31",
        "2023-366",
        "2024-367",
        "2024-000",
        "2024-W53-1",
        "2024-W00-1",
        "2024-W46-0",
        "2024-W46-8",
        "2024-11-14T25:00Z",
        "2024-11-14T08:60Z",
        "2024-11-14T08:44:61Z",
        "2024-11-14T24:00:01Z",
        "2024-11-14T24:01Z",
        "2024-11-14T24:00:00.1Z",
    ] {
        refuses(text);
    }
}

#[test]
fn refuses_what_is_no_iso_8601() {
    for text in [
        "",
        "yesterday",
        "2024",
        "2024-11",
        "14.11.2024",
        "11/14/2024",
        "1731573840",
        "2024-11-14T",
        "2024-11-14TZ",
        "2024-11-14T08:44:00ZZ",
        "2024-11-14T08:44:00 UTC",
        "2024-11-14T08:44:00+",
        "2024-11-14T08:44[Europe/Paris]",
        "Thu, 14 Nov 2024 08:44:00 GMT",
        "2024-11-14T08:44:00Zx",
        "２０２４-11-14",
        "2024-W46",
        "2024-+19",
        "2024-W-1-4",
        "2024-11-14T24:00:00.0:0",
        "2024-11-14T24:00:00.Z",
        "T08:44Z",
        "2024-11-14Té",
        "2024é",
        "2024-Wé4",
    ] {
        refuses(text);
    }
    refuses(&format!("2024-11-14T08:44:00.{}Z", "0".repeat(200)));
}

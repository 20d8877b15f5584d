//! Points in time, to the millisecond, in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAY_MILLIS: i64 = 86_400_000;

/// A point in time, in whole milliseconds since 1970, written as RFC 3339 in UTC: `2024-11-14T08:46:12.345Z`.
///
/// It covers the years 0000 to 9999, which is what RFC 3339 can write; whatever would leave them stays at their
/// edge. Nothing here reads a clock.
///
/// # Example: a deadline
///
/// ```
/// use std::time::Duration;
/// use agentflow_events::Moment;
///
/// let now: Moment = "2024-11-14T09:46:12.345+01:00".parse()?;
/// let deadline = now.plus(Duration::from_secs(90));
/// assert_eq!(deadline.to_string(), "2024-11-14T08:47:42.345Z");
/// assert_eq!(deadline.since(now), Duration::from_secs(90));
/// # Ok::<(), agentflow_events::MomentError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    unix_millis: i64,
}

impl Moment {
    /// `0000-01-01T00:00:00.000Z`.
    pub const MIN: Self = Self { unix_millis: -62_167_219_200_000 };
    /// `9999-12-31T23:59:59.999Z`.
    pub const MAX: Self = Self { unix_millis: 253_402_300_799_999 };
    /// `1970-01-01T00:00:00.000Z`.
    pub const UNIX_EPOCH: Self = Self { unix_millis: 0 };

    /// So many milliseconds after 1970, or before it; past [`MIN`](Self::MIN) or [`MAX`](Self::MAX) it is that one.
    pub const fn from_unix_millis(unix_millis: i64) -> Self {
        if unix_millis < Self::MIN.unix_millis {
            Self::MIN
        } else if unix_millis > Self::MAX.unix_millis {
            Self::MAX
        } else {
            Self { unix_millis }
        }
    }

    /// Milliseconds since 1970; negative before.
    pub const fn unix_millis(self) -> i64 {
        self.unix_millis
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.unix_millis.div_euclid(1000)
    }

    /// Later by `duration`, whose part below a millisecond is dropped.
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_unix_millis(self.unix_millis.saturating_add(whole_millis(duration)))
    }

    /// Earlier by `duration`, whose part below a millisecond is dropped.
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_unix_millis(self.unix_millis.saturating_sub(whole_millis(duration)))
    }

    /// The time that has gone by since `earlier`; zero when that is still to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.unix_millis - earlier.unix_millis).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds: 24 bytes, and in this form texts sort as the moments do.
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// The bytes of [`to_rfc3339`](Self::to_rfc3339).
    pub(crate) fn rfc3339(self) -> [u8; 24] {
        let (year, month, day) = date_of(self.unix_millis.div_euclid(DAY_MILLIS));
        let millis = self.unix_millis.rem_euclid(DAY_MILLIS) as u32;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (place, number) in [
            (0, year / 100),
            (2, year % 100),
            (5, month),
            (8, day),
            (11, millis / 3_600_000),
            (14, millis / 60_000 % 60),
            (17, millis / 1000 % 60),
            (20, millis % 1000 / 10),
        ] {
            text[place..place + 2].copy_from_slice(&digits(number));
        }
        text[22] = b'0' + (millis % 10) as u8;
        text
    }
}

fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::UNIX_EPOCH.plus(after),
            // Rounded down like every other part below a millisecond, so that order is kept across 1970.
            Err(before) => {
                Self::UNIX_EPOCH.minus(before.duration().saturating_add(Duration::from_nanos(999_999)))
            }
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.rfc3339()).map_err(|_| fmt::Error)?)
    }
}

/// The two digits of a number below 100.
fn digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize(deserializer, "an RFC 3339 date-time")
    }
}

/// Why a text is not a [`Moment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MomentError {
    /// It has not the form of an RFC 3339 date-time: `2024-11-14T08:46:12Z`, a fraction and an offset allowed.
    #[error("not of the form 2024-11-14T08:46:12.345Z")]
    Form,
    /// It has the form but names no real time, such as February 30th, or one outside the years 0000 to 9999.
    #[error("no such date or time")]
    NoSuchTime,
}

impl MomentError {
    /// The stable code: `invalid_timestamp`.
    pub const fn code(&self) -> &'static str {
        "invalid_timestamp"
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    /// Reads an RFC 3339 date-time with any offset. `T` and `Z` are upper case; digits past the millisecond are
    /// dropped; a leap second counts as the second before it.
    fn from_str(text: &str) -> Result<Self, MomentError> {
        let mut rest = Scanner(text.as_bytes());
        let year = rest.number(4)?;
        rest.mark(b'-')?;
        let month = rest.number(2)?;
        rest.mark(b'-')?;
        let day = rest.number(2)?;
        rest.mark(b'T')?;
        let hour = rest.number(2)?;
        rest.mark(b':')?;
        let minute = rest.number(2)?;
        rest.mark(b':')?;
        let second = rest.number(2)?;
        let millis = rest.fraction_millis()?;
        let offset_minutes = rest.offset_minutes()?;
        if !rest.0.is_empty() {
            return Err(MomentError::Form);
        }

        let real_date = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        if !real_date || hour > 23 || minute > 59 || second > 60 {
            return Err(MomentError::NoSuchTime);
        }
        let minutes = days_of(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
        let unix_millis = (minutes * 60 + second.min(59)) * 1000 + millis;
        let moment = Self::from_unix_millis(unix_millis);
        if moment.unix_millis == unix_millis { Ok(moment) } else { Err(MomentError::NoSuchTime) }
    }
}

/// What is left to read.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn mark(&mut self, wanted: u8) -> Result<(), MomentError> {
        self.0 = self.0.strip_prefix(&[wanted]).ok_or(MomentError::Form)?;
        Ok(())
    }

    fn number(&mut self, digits: usize) -> Result<i64, MomentError> {
        let (number, rest) = self.0.split_at_checked(digits).ok_or(MomentError::Form)?;
        self.0 = rest;
        number.iter().try_fold(0, |value, digit| match digit {
            b'0'..=b'9' => Ok(value * 10 + i64::from(digit - b'0')),
            _ => Err(MomentError::Form),
        })
    }

    fn fraction_millis(&mut self) -> Result<i64, MomentError> {
        let Some(rest) = self.0.strip_prefix(b".") else { return Ok(0) };
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(MomentError::Form);
        }
        self.0 = &rest[count..];
        let digit = |place: usize| if place < count { i64::from(rest[place] - b'0') } else { 0 };
        Ok(digit(0) * 100 + digit(1) * 10 + digit(2))
    }

    fn offset_minutes(&mut self) -> Result<i64, MomentError> {
        let (&sign, rest) = self.0.split_first().ok_or(MomentError::Form)?;
        self.0 = rest;
        let sign = match sign {
            b'Z' => return Ok(0),
            b'+' => 1,
            b'-' => -1,
            _ => return Err(MomentError::Form),
        };
        let hours = self.number(2)?;
        self.mark(b':')?;
        let minutes = self.number(2)?;
        if hours > 23 || minutes > 59 {
            return Err(MomentError::NoSuchTime);
        }
        Ok(sign * (hours * 60 + minutes))
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Both conversions count in years that begin in March, so that the leap day is a year's last, and in cycles of 400
// years, which have 146,097 days; the days before a month (March is 0) are then (153 * month + 2) / 5.
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_START_TO_1970_DAYS: i64 = 719_468;

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    cycle * CYCLE_DAYS + year * 365 + year / 4 - year / 100 + day_of_year - CYCLE_START_TO_1970_DAYS
}

fn date_of(days: i64) -> (u32, u32, u32) {
    // From a cycle earlier, so that no day that a moment can have is negative.
    let days = (days + CYCLE_START_TO_1970_DAYS + CYCLE_DAYS) as u32;
    let (cycle, day) = (days / CYCLE_DAYS as u32, days % CYCLE_DAYS as u32);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day + year / 100 - (365 * year + year / 4);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (cycle * 400 + year - 400, month, day)
}

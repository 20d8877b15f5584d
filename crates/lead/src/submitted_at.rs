//! When the sender says that the lead was submitted.

use std::borrow::Cow;
use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday, date};
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use crate::limits::TIMESTAMP_BYTES_MAX;

/// A time that the sender gave: as written, and the instant it names.
///
/// # Example: the same instant in other words
///
/// ```
/// use agentflow_lead::SubmittedAt;
///
/// let zulu = SubmittedAt::parse("2024-11-14T08:44:00Z")?;
/// let paris = SubmittedAt::parse("2024-11-14 09:44+01:00")?;
/// assert_eq!(zulu.unix_millis(), paris.unix_millis());
/// assert_eq!(paris.as_sent(), "2024-11-14 09:44+01:00");
/// # Ok::<(), agentflow_lead::SubmittedAtError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SubmittedAt {
    as_sent: Box<str>,
    unix_millis: i64,
}

/// The text names no real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 8601 date or date-time, such as 2024-11-14T08:44:00Z")]
pub struct SubmittedAtError;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

impl SubmittedAt {
    /// Reads an ISO 8601 date or date-time.
    ///
    /// - the date: calendar (`2024-11-14`), week (`2024-W46-4`) or ordinal (`2024-319`), with or without hyphens;
    /// - then, if at all, `T`, `t` or a space and the time: hours, minutes, seconds, a fraction of a second after
    ///   `.` or `,`, each with or without what follows it. `24:00` is the end of the day. A leap second (`:60`)
    ///   is read as the second before it;
    /// - then, if at all, `Z`, `z` or an offset (`+01:00`, `+0100`, `+01`); UTC without one. A date alone is its
    ///   midnight;
    /// - a zone's name in brackets (RFC 9557) may follow an offset and is not looked up.
    ///
    /// White space (Unicode) around it is dropped.
    ///
    /// # Errors
    ///
    /// [`SubmittedAtError`] where it is none of these or names no real time (30 February, 25 o'clock, no day).
    pub fn parse(text: &str) -> Result<Self, SubmittedAtError> {
        let as_sent = text.trim();
        if as_sent.len() > TIMESTAMP_BYTES_MAX {
            return Err(SubmittedAtError);
        }
        let unix_millis = instant(as_sent).ok_or(SubmittedAtError)?;
        Ok(Self { as_sent: as_sent.into(), unix_millis })
    }

    /// The text as it was sent, trimmed.
    #[must_use]
    pub fn as_sent(&self) -> &str {
        &self.as_sent
    }

    /// The instant, in milliseconds since 1970-01-01T00:00:00Z, what is finer cut off.
    #[must_use]
    pub const fn unix_millis(&self) -> i64 {
        self.unix_millis
    }
}

impl fmt::Debug for SubmittedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmittedAt").field("unix_millis", &self.unix_millis).finish_non_exhaustive()
    }
}

/// In milliseconds since 1970.
fn instant(text: &str) -> Option<i64> {
    if let Some(instant) = calendar_instant(text) {
        return Some(instant);
    }
    // jiff reads calendar dates, nine digits of a fraction and no 24:00: put the rest in its words and try again.
    let (date, rest) = text.split_at(text.find(['T', 't', ' ']).unwrap_or(text.len()));
    let date = Pieces::parse(date).map(|pieces| pieces.date()).ok().or_else(|| week_or_ordinal(date))?;
    match after_midnight(rest) {
        Some(offset) => calendar_instant(&format!("{}T00:00:00{offset}", date.tomorrow().ok()?)),
        None => calendar_instant(&format!("{date}{}", nine_digits(rest))),
    }
}

fn calendar_instant(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = match pieces.to_numeric_offset() {
        Some(offset) => offset,
        // A zone's name alone does not say which instant without a time zone database.
        None if pieces.time_zone_annotation().is_some() => return None,
        None => Offset::UTC,
    };
    let local = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    // Counted here, since jiff's instants end 26 hours before the year 9999 does.
    let since_epoch = local.duration_since(EPOCH) - SignedDuration::from_secs(offset.seconds().into());
    i64::try_from(since_epoch.as_millis()).ok()
}

/// `2024-W46-4`, `2024W464`, `2024-319` or `2024319`.
fn week_or_ordinal(text: &str) -> Option<Date> {
    let (year, rest) = (text.get(..4)?, text.get(4..)?);
    let year = number(year)?;
    let (rest, hyphen) = rest.strip_prefix('-').map_or((rest, ""), |rest| (rest, "-"));
    let Some(week_and_day) = rest.strip_prefix(['W', 'w']) else {
        let first = Date::new(year, 1, 1).ok()?;
        return if rest.len() == 3 { first.with().day_of_year(number(rest)?).build().ok() } else { None };
    };
    let (week, day) = (week_and_day.get(..2)?, week_and_day.get(2..)?.strip_prefix(hyphen)?);
    let week = i8::try_from(number(week)?).ok()?;
    let day = if day.len() == 1 { i8::try_from(number(day)?).ok()? } else { return None };
    Some(ISOWeekDate::new(year, week, Weekday::from_monday_one_offset(day).ok()?).ok()?.date())
}

/// What follows the time, if the time is `T24:00:00` (or less of it, or with a fraction of nothing).
fn after_midnight(rest: &str) -> Option<&str> {
    let rest = rest.get(1..)?.strip_prefix("24")?;
    let at = rest.find(|c| !matches!(c, '0' | ':' | '.' | ',')).unwrap_or(rest.len());
    let (zeros, after) = rest.split_at(at);
    let (time, fraction) = zeros.split_once(['.', ',']).unwrap_or((zeros, "0"));
    let is_midnight = matches!(time, "" | ":00" | ":00:00" | "00" | "0000");
    (is_midnight && !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0')).then_some(after)
}

/// `rest` with a longer fraction cut to nanoseconds.
fn nine_digits(rest: &str) -> Cow<'_, str> {
    let Some(point) = rest.find(['.', ',']) else { return rest.into() };
    let digits = rest[point + 1..].bytes().take_while(u8::is_ascii_digit).count();
    if digits <= 9 {
        rest.into()
    } else {
        (rest[..point + 10].to_owned() + &rest[point + 1 + digits..]).into()
    }
}

fn number(digits: &str) -> Option<i16> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

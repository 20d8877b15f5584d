//! The timestamp header, read with all forgiveness: which time it may mean, and what may have been signed for it.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::Mistake;
use super::claims::unquoted;
use crate::Timestamp;

/// Seconds, either way, by which a clock that is read twice may differ.
const APART_SECONDS_MAX: i8 = 3;

/// A longer header is taken for what it says alone.
const VALUE_BYTES_MAX: usize = 64;

/// What the header says.
pub(super) struct Stamp<'a> {
    value: &'a [u8],
    /// The time, as far as it can be read.
    pub(super) time: Option<Timestamp>,
    /// `None` for exactly the form that a verifier accepts.
    pub(super) mistake: Option<Mistake>,
}

/// A text that may have been signed for the timestamp, and what was wrong then.
pub(super) struct Signed {
    pub(super) text: Vec<u8>,
    pub(super) mistake: Option<Mistake>,
}

impl<'a> Stamp<'a> {
    pub(super) fn read(value: &'a [u8]) -> Self {
        let inner = unquoted(value);
        if inner.len() != value.len() {
            let (seconds, _) = read_inner(inner);
            return Self { value, time: seconds, mistake: Some(Mistake::TimestampWhiteSpace) };
        }
        let (time, mistake) = read_inner(value);
        Self { value, time, mistake }
    }

    /// What was signed most likely: the header's value, then the time as it should have been written.
    pub(super) fn likely(&self, in_signature: Option<&[u8]>) -> Vec<Signed> {
        let mut all: Vec<Signed> = Vec::new();
        let mut add = |text: &[u8], mistake| {
            if all.iter().all(|known| known.text != text) {
                all.push(Signed { text: text.to_vec(), mistake });
            }
        };
        add(self.value, None);
        if self.value.len() <= VALUE_BYTES_MAX {
            add(unquoted(self.value), None);
        }
        if let Some(time) = self.time {
            add(time.to_string().as_bytes(), None);
            let millis = time.as_unix_seconds().saturating_mul(1_000).to_string();
            // Sent in milliseconds as well, it is the header that is to be mended.
            let mistake = self.mistake.is_none().then_some(Mistake::MillisecondsSigned);
            add(millis.as_bytes(), mistake);
        }
        if let Some(text) = in_signature.filter(|text| text.len() <= VALUE_BYTES_MAX) {
            add(text, None);
        }
        all
    }

    /// The seconds around a time in the right form.
    pub(super) fn neighbours(&self) -> impl Iterator<Item = Signed> {
        let time = self.time.filter(|_| self.mistake.is_none());
        (-APART_SECONDS_MAX..=APART_SECONDS_MAX).filter(|apart| *apart != 0).filter_map(move |apart| {
            let seconds = time?.as_unix_seconds().checked_add_signed(apart.into())?;
            Some(Signed {
                text: seconds.to_string().into_bytes(),
                mistake: Some(Mistake::OtherTimestampSigned { apart_seconds: apart }),
            })
        })
    }
}

fn read_inner(text: &[u8]) -> (Option<Timestamp>, Option<Mistake>) {
    if let Ok(time) = Timestamp::parse(text) {
        return (Some(time), None);
    }
    match text {
        [b'+', rest @ ..] if is_digits(rest) => (read_inner(rest).0, Some(Mistake::TimestampSign)),
        [b'-', rest @ ..] if is_digits(rest) => (None, Some(Mistake::TimestampSign)),
        [b'0', ..] if is_digits(text) => (digits(text, 1), Some(Mistake::TimestampLeadingZero)),
        _ if is_digits(text) => match text.len() {
            13 => (digits(text, 1_000), Some(Mistake::TimestampMilliseconds)),
            16 => (digits(text, 1_000_000), Some(Mistake::TimestampMicroseconds)),
            19 => (digits(text, 1_000_000_000), Some(Mistake::TimestampNanoseconds)),
            _ => (None, Some(Mistake::TimestampUnreadable)),
        },
        _ if is_date(text) => (None, Some(Mistake::TimestampDate)),
        _ => {
            if let Some((whole, fraction)) = split_at(text, b'.')
                && is_digits(whole)
                && is_digits(fraction)
            {
                return (read_inner(whole).0, Some(Mistake::TimestampFraction));
            }
            if let Some((first, _)) = split_at(text, b',') {
                return (Timestamp::parse(first.trim_ascii()).ok(), Some(Mistake::TimestampList));
            }
            (None, Some(Mistake::TimestampUnreadable))
        }
    }
}

fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// The time in units of which `per_second` make a second.
fn digits(text: &[u8], per_second: u64) -> Option<Timestamp> {
    let value: u64 = core::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Timestamp::from_unix_seconds(value / per_second))
}

/// `2024-11-14…`, or the dates of HTTP and mail, `Thu, 14 Nov 2024 …`.
fn is_date(text: &[u8]) -> bool {
    let iso = text.len() >= 10
        && is_digits(&text[..4])
        && text[4] == b'-'
        && is_digits(&text[5..7])
        && text[7] == b'-'
        && is_digits(&text[8..10]);
    let worded = text.len() >= 16 && text[..3].iter().all(u8::is_ascii_alphabetic) && text.contains(&b':');
    iso || worded
}

fn split_at(text: &[u8], sign: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == sign)?;
    Some((&text[..at], &text[at + 1..]))
}

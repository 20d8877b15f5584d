//! Signing times: whole unix seconds in the one textual form that the contract allows.

use core::fmt;

use crate::VerifyError;

/// When a webhook was signed, or what the time is now: whole seconds since 1970-01-01T00:00:00Z.
///
/// On the wire it is `0`, or a digit 1-9 followed by at most 11 ASCII digits. So the type holds 0 to
/// [`Timestamp::MAX`], and prints in exactly this form.
///
/// The crate reads no clock: every `now` is an argument. With the feature `std`,
/// `Timestamp::from(SystemTime::now())` is the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last one with twelve digits, in the year 33658.
    pub const MAX: Self = Self(999_999_999_999);

    /// A time in unix seconds. What lies beyond [`Timestamp::MAX`] becomes [`Timestamp::MAX`].
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        if seconds > Self::MAX.0 { Self::MAX } else { Self(seconds) }
    }

    /// The time in unix seconds, 0 to 999,999,999,999.
    #[must_use]
    pub const fn as_unix_seconds(self) -> u64 {
        self.0
    }

    /// Reads the form used on the wire, and nothing else: no sign, space, underscore, fraction, leading zero or
    /// non-ASCII digit.
    ///
    /// # Errors
    ///
    /// [`VerifyError::MalformedTimestamp`] for every other form.
    ///
    /// # Example
    ///
    /// ```
    /// use agentflow_signature::Timestamp;
    ///
    /// assert_eq!(Timestamp::parse(b"1731573840")?.as_unix_seconds(), 1_731_573_840);
    /// for malformed in ["", "+5", "005", " 5", "5.9", "1_0", "-1", "1000000000000"] {
    ///     assert!(Timestamp::parse(malformed.as_bytes()).is_err());
    /// }
    /// # Ok::<(), agentflow_signature::VerifyError>(())
    /// ```
    pub fn parse(text: &[u8]) -> Result<Self, VerifyError> {
        let leading_zero = text.first() == Some(&b'0') && text.len() > 1;
        if text.is_empty() || text.len() > TEXT_BYTES_MAX || leading_zero {
            return Err(VerifyError::MalformedTimestamp);
        }
        let (eights, rest) = text.as_chunks();
        let mut seconds = 0;
        for eight in eights {
            seconds = eight_digits(*eight).ok_or(VerifyError::MalformedTimestamp)?;
        }
        for &byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(VerifyError::MalformedTimestamp);
            }
            seconds = seconds * 10 + u64::from(digit);
        }
        Ok(Self(seconds))
    }

    /// The form used on the wire.
    pub(crate) fn text(self) -> TimestampText {
        let mut digits = [0; TEXT_BYTES_MAX];
        let mut start = TEXT_BYTES_MAX;
        let mut rest = self.0;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return TimestampText { digits, start };
            }
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Times before 1970 become 0, times beyond [`Timestamp::MAX`] become that; fractions are cut off.
#[cfg(feature = "std")]
impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        let since_epoch = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::from_unix_seconds(since_epoch.as_secs())
    }
}

/// The value of eight digits, taken at once: every timestamp of our time has ten.
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let digits = u64::from_le_bytes(text) ^ (0x30 * ONES);
    // A byte above 9 carries into its upper half, or has a bit there already.
    if (digits | (digits & (0x0f * ONES)).wrapping_add(6 * ONES)) & (0xf0 * ONES) != 0 {
        return None;
    }
    // Two digits, then four, then eight: the earlier digit is in the lower bits.
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((quads * 10_000 + (quads >> 32)) & 0xffff_ffff)
}

/// Most digits that a timestamp may have.
pub(crate) const TEXT_BYTES_MAX: usize = 12;

/// A timestamp's digits, without allocation.
#[derive(Clone)]
pub(crate) struct TimestampText {
    digits: [u8; TEXT_BYTES_MAX],
    start: usize,
}

impl TimestampText {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }

    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).expect("only ASCII digits were written")
    }
}

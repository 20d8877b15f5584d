//! What senders do wrong, one variant each, with a sentence that says how to mend it.

use super::rewrite::JsonForm;

/// One mistake in signing, or in what arrived of what was signed.
///
/// [`code`](Self::code) is the stable contract; the text may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// No signature header.
    #[error("there is no X-AgentFlow-Signature header: send it, beside X-AgentFlow-Timestamp")]
    SignatureMissing,
    /// More than one signature header.
    #[error("there is more than one X-AgentFlow-Signature header: send it once")]
    SignatureRepeated,
    /// No timestamp header.
    #[error("there is no X-AgentFlow-Timestamp header: send the signing time in unix seconds")]
    TimestampMissing,
    /// More than one timestamp header.
    #[error("there is more than one X-AgentFlow-Timestamp header: send it once")]
    TimestampRepeated,

    /// A comma list of signatures.
    #[error("the signature header is a comma list: send one signature, made with the present secret")]
    SignatureList,
    /// Stripe's form, `t=…,v1=…`.
    #[error("the signature header has the form `t=…,v1=…`: send `sha256=` and the hex digits alone")]
    SignatureInParts,
    /// The form of Standard Webhooks, `v1,` and base64.
    #[error("the signature header has the form `v1,…`: send `sha256=` and lower-case hex digits")]
    SignatureStandard,
    /// Digits without `sha256=`.
    #[error("the signature has no prefix: put `sha256=` before the hex digits")]
    SignaturePrefixMissing,
    /// Another prefix, such as `v1=` or `sha1=`.
    #[error("the signature has another prefix: put `sha256=`, in lower case, before the hex digits")]
    SignaturePrefixOther,
    /// Base64 where hex belongs.
    #[error("the signature is base64: write it as 64 lower-case hex digits")]
    SignatureBase64,
    /// URL-safe base64 where hex belongs.
    #[error("the signature is URL-safe base64: write it as 64 lower-case hex digits")]
    SignatureBase64Url,
    /// Hex digits in upper case.
    #[error("the signature's hex digits are in upper case: write them in lower case")]
    SignatureUpperCase,
    /// White space or quotes in the signature header.
    #[error("the signature header has white space or quotes in it: send `sha256=` and the hex digits alone")]
    SignatureWhiteSpace,
    /// The digits of the digits, such as the base64 of hex.
    #[error("the signature was encoded twice: write the 32 bytes of the HMAC as hex digits once")]
    SignatureEncodedTwice,
    /// As many digits as another hash has.
    #[error(
        "the signature has {bits} bits, not the 256 of HMAC-SHA256: it is of another hash function, or cut short"
    )]
    SignatureOtherHash {
        /// The length of what was sent.
        bits: u16,
    },
    /// Nothing that could be a signature.
    #[error("the signature header cannot be read: send `sha256=` and 64 lower-case hex digits")]
    SignatureUnreadable,

    /// Thirteen digits.
    #[error("the timestamp is in milliseconds: send and sign whole unix seconds, ten digits")]
    TimestampMilliseconds,
    /// Sixteen digits.
    #[error("the timestamp is in microseconds: send and sign whole unix seconds, ten digits")]
    TimestampMicroseconds,
    /// Nineteen digits.
    #[error("the timestamp is in nanoseconds: send and sign whole unix seconds, ten digits")]
    TimestampNanoseconds,
    /// Digits after a point.
    #[error("the timestamp has a fraction: send and sign whole unix seconds, rounded down")]
    TimestampFraction,
    /// A plus or a minus.
    #[error("the timestamp has a sign: send and sign the digits alone")]
    TimestampSign,
    /// A zero before other digits.
    #[error("the timestamp has a leading zero: send and sign it without")]
    TimestampLeadingZero,
    /// White space or quotes.
    #[error("the timestamp has white space or quotes around it: send and sign the digits alone")]
    TimestampWhiteSpace,
    /// A comma list.
    #[error("the timestamp header is a comma list: send one signing time")]
    TimestampList,
    /// A date, such as ISO 8601 or that of HTTP.
    #[error("the timestamp is a date: send and sign whole unix seconds, like 1731573840")]
    TimestampDate,
    /// Nothing that could be a time.
    #[error("the timestamp header cannot be read: send whole unix seconds, like 1731573840")]
    TimestampUnreadable,

    /// The signing time lies too far before `now`.
    #[error(
        "the timestamp is {seconds} seconds behind the receiver's clock{}: sign each attempt anew, and compare the \
         clocks of sender and receiver",
        zone_hint(*seconds)
    )]
    ClockBehind {
        /// From the signing time to `now`, whole seconds.
        seconds: u64,
    },
    /// The signing time lies too far after `now`.
    #[error(
        "the timestamp is {seconds} seconds ahead of the receiver's clock{}: compare the clocks of sender and receiver",
        zone_hint(*seconds)
    )]
    ClockAhead {
        /// From `now` to the signing time, whole seconds.
        seconds: u64,
    },

    /// White space before or after the secret, most likely a line end.
    #[error("the secret was used with white space around it: trim it where the sender reads it")]
    SecretWhiteSpace,
    /// Quotes around the secret, on either side.
    #[error("the secret was used with quotes on one side only: use it without quotes on both")]
    SecretQuoted,
    /// The secret without `whsec_`, on either side.
    #[error("the secret was used without `whsec_` on one side: use the whole text as shown on both")]
    SecretWithoutPrefix,
    /// The secret's base64 decoded.
    #[error("the secret was base64-decoded: use the bytes of its text as shown, `whsec_` included")]
    SecretDecoded,
    /// The secret decoded from hex, or written in hex.
    #[error("the secret was turned from or into hex: use the bytes of its text as shown")]
    SecretHex,
    /// The secret without the `=` at its end.
    #[error("the secret was used without the `=` at its end: copy all of it")]
    SecretCutShort,
    /// The secret of the other direction.
    #[error(
        "the other direction's secret was used: leads are signed with the inbound one, events with the outbound"
    )]
    SecretOfOtherDirection,
    /// A secret that is not valid any more, or valid elsewhere.
    #[error(
        "a secret was used that is not valid here: it was replaced, or belongs elsewhere; use the present one"
    )]
    SecretNotValid,

    /// Milliseconds were signed, seconds sent.
    #[error("milliseconds were signed and seconds sent: sign exactly what the timestamp header says")]
    MillisecondsSigned,
    /// The time was taken twice.
    #[error(
        "a timestamp {apart_seconds} seconds from the one sent was signed: read the clock once, sign and send that"
    )]
    OtherTimestampSigned {
        /// The signed time minus the sent one, whole seconds.
        apart_seconds: i8,
    },
    /// The body alone was signed.
    #[error(
        "the body was signed without the timestamp: sign the timestamp header's value, a dot and the body"
    )]
    TimestampNotSigned,
    /// No body, or an empty one, was signed.
    #[error(
        "the body was not signed: sign the timestamp header's value, a dot and the body, once all of it is there"
    )]
    BodyNotSigned,
    /// Something else than a dot between timestamp and body.
    #[error(
        "timestamp and body were not joined by a dot: sign the timestamp header's value, a dot and the body"
    )]
    OtherSeparator,
    /// Slack's form, `v0:` before timestamp and body.
    #[error(
        "`v0:timestamp:body` was signed, as Slack has it: sign the timestamp header's value, a dot and the body"
    )]
    VersionSigned,
    /// The body before the timestamp.
    #[error("the body was put before the timestamp: sign the timestamp header's value, a dot and the body")]
    BodyFirst,
    /// A plain hash.
    #[error("a plain SHA-256 was sent: use HMAC-SHA256, keyed with the secret")]
    NotAnHmac,
    /// The secret as the message.
    #[error("key and message were swapped: the secret is the key, timestamp, dot and body are the message")]
    KeyAndMessageSwapped,

    /// A line end at the end was signed and did not arrive.
    #[error("a line end after the body was signed and not sent: sign the very bytes that go out")]
    NewlineNotSent,
    /// A line end at the end arrived and was not signed.
    #[error("the body ends in a line end that was not signed: sign the very bytes that go out")]
    NewlineNotSigned,
    /// White space around the body arrived and was not signed.
    #[error("the white space around the body was not signed: sign the very bytes that go out")]
    WhiteSpaceNotSigned,
    /// CRLF for LF or the reverse.
    #[error("the line ends within the body were changed after signing: sign and send the bytes as they are")]
    LineEndsChanged,
    /// A byte order mark was signed and did not arrive.
    #[error("a byte order mark before the body was signed and not sent: write the body without one")]
    BomNotSent,
    /// A byte order mark arrived and was not signed.
    #[error("the body begins with a byte order mark that was not signed: write the body without one")]
    BomNotSigned,
    /// The receiver has the body in base64.
    #[error("this body is the base64 of what was signed: decode it before verifying")]
    BodyInBase64,
    /// The same JSON, written in another way.
    #[error(
        "the JSON was signed {0}, which is not how it arrived: sign and verify the raw bytes, never JSON written anew"
    )]
    JsonRewritten(JsonForm),

    /// Nothing that is known.
    #[error(
        "the signature matches with no known mistake: the sender has another secret (compare their first and last \
         characters, and whether it was replaced), or a proxy or framework changed the body (compare the lengths \
         of what is sent and what arrives)"
    )]
    Unexplained,
}

impl Mistake {
    /// The mistake's name, the same for ever.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SignatureMissing => "missing_signature",
            Self::SignatureRepeated => "repeated_signature",
            Self::TimestampMissing => "missing_timestamp",
            Self::TimestampRepeated => "repeated_timestamp",
            Self::SignatureList => "signature_list",
            Self::SignatureInParts => "signature_in_parts",
            Self::SignatureStandard => "signature_standard",
            Self::SignaturePrefixMissing => "signature_prefix_missing",
            Self::SignaturePrefixOther => "signature_prefix_other",
            Self::SignatureBase64 => "signature_base64",
            Self::SignatureBase64Url => "signature_base64url",
            Self::SignatureUpperCase => "signature_upper_case",
            Self::SignatureWhiteSpace => "signature_white_space",
            Self::SignatureEncodedTwice => "signature_encoded_twice",
            Self::SignatureOtherHash { .. } => "signature_other_hash",
            Self::SignatureUnreadable => "signature_unreadable",
            Self::TimestampMilliseconds => "timestamp_milliseconds",
            Self::TimestampMicroseconds => "timestamp_microseconds",
            Self::TimestampNanoseconds => "timestamp_nanoseconds",
            Self::TimestampFraction => "timestamp_fraction",
            Self::TimestampSign => "timestamp_sign",
            Self::TimestampLeadingZero => "timestamp_leading_zero",
            Self::TimestampWhiteSpace => "timestamp_white_space",
            Self::TimestampList => "timestamp_list",
            Self::TimestampDate => "timestamp_date",
            Self::TimestampUnreadable => "timestamp_unreadable",
            Self::ClockBehind { .. } => "clock_behind",
            Self::ClockAhead { .. } => "clock_ahead",
            Self::SecretWhiteSpace => "secret_white_space",
            Self::SecretQuoted => "secret_quoted",
            Self::SecretWithoutPrefix => "secret_without_prefix",
            Self::SecretDecoded => "secret_decoded",
            Self::SecretHex => "secret_hex",
            Self::SecretCutShort => "secret_cut_short",
            Self::SecretOfOtherDirection => "secret_of_other_direction",
            Self::SecretNotValid => "secret_not_valid",
            Self::MillisecondsSigned => "milliseconds_signed",
            Self::OtherTimestampSigned { .. } => "other_timestamp_signed",
            Self::TimestampNotSigned => "timestamp_not_signed",
            Self::BodyNotSigned => "body_not_signed",
            Self::OtherSeparator => "other_separator",
            Self::VersionSigned => "version_signed",
            Self::BodyFirst => "body_first",
            Self::NotAnHmac => "not_an_hmac",
            Self::KeyAndMessageSwapped => "key_and_message_swapped",
            Self::NewlineNotSent => "newline_not_sent",
            Self::NewlineNotSigned => "newline_not_signed",
            Self::WhiteSpaceNotSigned => "white_space_not_signed",
            Self::LineEndsChanged => "line_ends_changed",
            Self::BomNotSent => "bom_not_sent",
            Self::BomNotSigned => "bom_not_signed",
            Self::BodyInBase64 => "body_in_base64",
            Self::JsonRewritten(_) => "json_rewritten",
            Self::Unexplained => "unexplained",
        }
    }
}

/// What a gap near whole half-hours, up to the widest time zone, most likely is.
fn zone_hint(seconds: u64) -> &'static str {
    const HALF_HOUR: u64 = 1_800;
    let nearest = (seconds + HALF_HOUR / 2) / HALF_HOUR * HALF_HOUR;
    let zone = (HALF_HOUR..=14 * 3_600).contains(&nearest) && seconds.abs_diff(nearest) <= 10;
    if zone { " (a time zone's worth: is local time taken for UTC?)" } else { "" }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::Mistake;

    #[test]
    fn a_gap_of_whole_half_hours_up_to_the_widest_zone_hints_at_local_time() {
        for (seconds, hinted) in [
            (301, false),
            (1_789, false),
            (1_790, true),
            (1_810, true),
            (1_811, false),
            (2_700, false),
            (7_200, true),
            (50_400, true),
            (50_410, true),
            (50_411, false),
            (52_200, false),
            (86_400, false),
        ] {
            for mistake in [Mistake::ClockBehind { seconds }, Mistake::ClockAhead { seconds }] {
                assert_eq!(mistake.to_string().contains("time zone"), hinted, "{mistake}");
            }
        }
    }
}

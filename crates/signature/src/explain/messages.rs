//! The messages that are signed in place of timestamp, dot and body.

use alloc::vec::Vec;

use super::Mistake;

/// What is hashed, one piece after the other.
type Pieces<'p> = &'p [&'p [u8]];

/// Shows thirteen other messages, likely ones first.
pub(super) fn find<T>(
    timestamp: &[u8],
    body: Pieces<'_>,
    mut test: impl FnMut(Pieces<'_>, Mistake) -> Option<T>,
) -> Option<T> {
    let around: [(Pieces<'_>, Pieces<'_>, Mistake); 10] = [
        (&[], &[], Mistake::TimestampNotSigned),
        (&[timestamp], &[], Mistake::OtherSeparator),
        (&[timestamp, b":"], &[], Mistake::OtherSeparator),
        (&[timestamp, b"\n"], &[], Mistake::OtherSeparator),
        (&[timestamp, b","], &[], Mistake::OtherSeparator),
        (&[timestamp, b"|"], &[], Mistake::OtherSeparator),
        (&[timestamp, b" "], &[], Mistake::OtherSeparator),
        (&[b"v0:", timestamp, b":"], &[], Mistake::VersionSigned),
        (&[], &[b".", timestamp], Mistake::BodyFirst),
        (&[], &[timestamp], Mistake::BodyFirst),
    ];
    let alone: [Pieces<'_>; 3] = [&[timestamp, b"."], &[timestamp], &[]];
    let with_body =
        around.into_iter().map(|(before, after, mistake)| ([before, body, after].concat(), mistake));
    let without = alone.into_iter().map(|pieces| (Vec::from(pieces), Mistake::BodyNotSigned));
    with_body.chain(without).find_map(|(pieces, mistake)| test(&pieces, mistake))
}

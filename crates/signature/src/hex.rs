//! Lower-case hex of a 32-byte tag, eight digits at a time in one 64-bit word.

/// A SHA-256 tag as the eight words that the compression function works on.
pub(crate) type Tag = [u32; 8];

/// The 0x01 of every byte, to spread a byte's value over a word.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Reads 64 lower-case hex digits, in constant time; `None` for any other byte, upper case included.
#[inline]
pub(crate) fn decode(digits: &[u8; 64]) -> Option<Tag> {
    let (groups, _) = digits.as_chunks::<8>();
    let mut tag = [0; 8];
    let mut faults = 0;
    for (word, group) in tag.iter_mut().zip(groups) {
        let (value, fault) = decode_word(u64::from_be_bytes(*group));
        *word = value;
        faults |= fault;
    }
    (faults & (0xf0 * ONES) == 0).then_some(tag)
}

/// Eight digits, one a byte, to their 32-bit value, and a word with a bit in the upper half of some byte if one of
/// them is no digit.
#[inline]
fn decode_word(digits: u64) -> (u32, u64) {
    // Bit 6 tells letters (0x61-0x66) from figures (0x30-0x39).
    let letters = (digits >> 6) & ONES;
    // From '0' or from 'a'. A byte below that borrows from the next, and keeps a high bit itself.
    let offsets = digits.wrapping_sub(0x30 * ONES).wrapping_sub(0x31 * letters);
    // Figures reach to 9 and letters to 5: what is larger carries into its upper half, or has a bit there already.
    let faults = offsets | offsets.wrapping_add(6 * ONES + 4 * letters);

    let nibbles = offsets.wrapping_add(10 * letters);
    let bytes = (nibbles | (nibbles >> 4)) & 0x00ff_00ff_00ff_00ff;
    let halves = (bytes | (bytes >> 8)) & 0x0000_ffff_0000_ffff;
    ((halves | (halves >> 16)) as u32, faults)
}

/// Writes a tag as 64 lower-case hex digits, in constant time.
pub(crate) fn encode(tag: &Tag) -> [u8; 64] {
    let mut digits = [0; 64];
    let (groups, _) = digits.as_chunks_mut::<8>();
    for (group, &word) in groups.iter_mut().zip(tag) {
        *group = encode_word(word).to_be_bytes();
    }
    digits
}

fn encode_word(word: u32) -> u64 {
    let halves = (u64::from(word) | (u64::from(word) << 16)) & 0x0000_ffff_0000_ffff;
    let bytes = (halves | (halves << 8)) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes | (bytes << 4)) & (0x0f * ONES);
    let letters = ((nibbles + 6 * ONES) >> 4) & ONES;
    nibbles + 0x30 * ONES + 0x27 * letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exactly_the_lower_case_digits_at_every_place() {
        for place in 0..64 {
            for byte in 0..=255_u8 {
                let mut digits = [b'0'; 64];
                digits[place] = byte;
                let nibble = match byte {
                    b'0'..=b'9' => Some(byte - b'0'),
                    b'a'..=b'f' => Some(byte - b'a' + 10),
                    _ => None,
                };
                let expected = nibble.map(|nibble| {
                    let mut tag = [0; 8];
                    tag[place / 8] = u32::from(nibble) << (28 - 4 * (place % 8));
                    tag
                });
                assert_eq!(decode(&digits), expected, "byte {byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let tag = [0x0123_4567, 0x89ab_cdef, 0, u32::MAX, 0xa0b0_c0d0, 0x0f0e_0d0c, 1, 0x9999_aaaa];
        let digits = encode(&tag);
        assert!(digits.starts_with(b"0123456789abcdef00000000ffffffffa0b0c0d0"));
        assert_eq!(decode(&digits), Some(tag));
    }

    #[test]
    fn a_faulty_digit_is_not_hidden_by_its_neighbours() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let mut digits = [b'0'; 64];
                digits[..2].copy_from_slice(&[first, second]);
                let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                assert_eq!(
                    decode(&digits).is_some(),
                    is_digit(first) && is_digit(second),
                    "{first} {second}"
                );
            }
        }
    }
}

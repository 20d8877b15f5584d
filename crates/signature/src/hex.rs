//! Lower-case hex of a 32-byte tag, without branches or tables that would depend on it.

/// A SHA-256 tag as the eight words that the compression function works on.
pub(crate) type Tag = [u32; 8];

/// The 0x01 of every byte, to spread a byte's value over a word.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Reads 64 lower-case hex digits, in constant time; `None` for any other byte, upper case included.
#[inline]
pub(crate) fn decode(digits: &[u8; 64]) -> Option<Tag> {
    let bytes = decode_bytes(digits)?;
    let (words, _) = bytes.as_chunks();
    Some(core::array::from_fn(|at| u32::from_be_bytes(words[at])))
}

/// Not inlined: by itself, and indexed as it is, it compiles to a hundred vector instructions, elsewhere to twice as
/// many and more.
#[inline(never)]
fn decode_bytes(digits: &[u8; 64]) -> Option<[u8; 32]> {
    let mut nibbles = [0; 64];
    let mut worst = 0;
    for at in 0..64 {
        // Signed, as most vector instructions compare: a byte past ASCII counts as a figure, far too large.
        let letter = if digits[at] as i8 > b'9' as i8 { u8::MAX } else { 0 };
        let offset = digits[at].wrapping_sub(b'0').wrapping_sub(letter & (b'a' - b'0'));
        // Figures reach to 9, letters to 5.
        worst = worst.max(offset.saturating_add(letter & 4));
        nibbles[at] = offset.wrapping_add(letter & 10);
    }
    let mut bytes = [0; 32];
    for at in 0..32 {
        bytes[at] = (nibbles[2 * at] << 4) | nibbles[2 * at + 1];
    }
    (worst <= 9).then_some(bytes)
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

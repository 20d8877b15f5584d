//! Folding: the form of a text in which words are looked for.

/// Folds the first `bytes_max` bytes of `text`: letters in lower case, everything but letters, digits and combining
/// marks one space, and a space at either end, so that ` word ` finds a whole word.
pub(super) fn fold(text: &str, bytes_max: usize) -> String {
    let mut folded = String::new();
    fold_into(&mut folded, beginning(text, bytes_max));
    folded
}

/// [`fold`] in memory that serves for several texts, one after the other.
pub(super) fn fold_in<'a>(buffer: &'a mut String, text: &str, bytes_max: usize) -> &'a str {
    buffer.clear();
    fold_into(buffer, beginning(text, bytes_max));
    buffer
}

/// ASCII letters in lower case, digits as they are, a space for everything else.
const FOLDED: [u8; 256] = {
    let mut folded = [b' '; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            folded[byte] = (byte as u8).to_ascii_lowercase();
        }
        byte += 1;
    }
    folded
};

/// Appends the folded `text`.
pub(super) fn fold_into(folded: &mut String, text: &str) {
    folded.reserve(text.len() + 2);
    folded.push(' ');
    let mut rest = text;
    loop {
        // Most texts are ASCII as a whole, which is found out faster than where it ends.
        let plain = match rest.is_ascii() {
            true => rest.len(),
            false => rest.bytes().take_while(u8::is_ascii).count(),
        };
        let (plain, after) = rest.split_at(plain);
        fold_plain_into(folded, plain.as_bytes());
        let mut characters = after.chars();
        let Some(character) = characters.next() else { break };
        rest = characters.as_str();
        let is_combining = ('\u{300}'..='\u{36f}').contains(&character);
        if character.is_alphanumeric() || is_combining {
            // A sigma at the end of a word is still a sigma.
            folded.extend(character.to_lowercase().map(|lower| if lower == 'ς' { 'σ' } else { lower }));
        } else if !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    if !folded.ends_with(' ') {
        folded.push(' ');
    }
}

/// Appends a text of ASCII: each byte is written, and written over where it is a space after another.
fn fold_plain_into(folded: &mut String, plain: &[u8]) {
    let mut before = folded.as_bytes().last().copied().unwrap_or(b' ');
    // As many as a byte counts, so that the place to write at is within bounds whatever it is.
    for piece in plain.chunks(usize::from(u8::MAX)) {
        let mut bytes = [0; 256];
        let mut end: u8 = 0;
        for byte in piece {
            let letter = FOLDED[usize::from(*byte)];
            bytes[usize::from(end)] = letter;
            // Of all that `FOLDED` has, only two spaces make a space together.
            end += u8::from(letter | before > b' ');
            before = letter;
        }
        folded.push_str(str::from_utf8(&bytes[..usize::from(end)]).expect("ASCII is UTF-8"));
    }
}

/// A word of a folded text.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    /// The word itself.
    pub(super) letters: &'a [u8],
    /// The text from there on.
    pub(super) text: &'a [u8],
    /// Its first eight bytes, as [`head`] has them.
    pub(super) head: u64,
}

/// The words of a folded text.
pub(super) fn words(folded: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = folded.as_bytes();
    std::iter::from_fn(move || {
        let text = rest.strip_prefix(b" ")?;
        let head = head(text);
        let end = match until_space(head) {
            8.. => 8 + text.get(8..)?.iter().position(|byte| *byte == b' ')?,
            end => end,
        };
        let (letters, after) = text.split_at_checked(end)?;
        rest = after;
        Some(Word { letters, text, head })
    })
}

/// The first eight bytes of a text as one number, the first the lowest; zeros where the text is shorter.
pub(super) fn head(text: &[u8]) -> u64 {
    u64::from_le_bytes(text.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 8];
        bytes[..text.len()].copy_from_slice(text);
        bytes
    }))
}

/// How many bytes of a head come before its first space, of which most words have one there.
fn until_space(head: u64) -> usize {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    // A space becomes a zero, and the lowest zero is the lowest byte whose highest bit comes from a borrow alone.
    let zeroed = head ^ (EACH * b' ' as u64);
    let borrowed = zeroed.wrapping_sub(EACH) & !zeroed & (EACH << 7);
    borrowed.trailing_zeros() as usize / 8
}

/// How many bytes are such.
pub(super) fn count_bytes(text: &str, is_such: impl Fn(&u8) -> bool) -> usize {
    // In sums that fit a byte, of which the compiler adds up sixteen at once.
    let sum = |piece: &[u8]| piece.iter().map(|byte| u8::from(is_such(byte))).sum::<u8>();
    text.as_bytes().chunks(255).map(|piece| usize::from(sum(piece))).sum()
}

/// The first `bytes_max` bytes or a few less, never half a character.
pub(super) fn beginning(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Whether a character belongs to a script that is written without spaces between words.
pub(super) fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{0e00}'..='\u{0eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::{beginning, fold, fold_into, words};

    /// What folding is, character by character.
    fn fold_by_characters(text: &str) -> String {
        let mut folded = String::from(" ");
        for character in text.chars() {
            if character.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&character) {
                folded.extend(character.to_lowercase().map(|lower| if lower == 'ς' { 'σ' } else { lower }));
            } else if !folded.ends_with(' ') {
                folded.push(' ');
            }
        }
        if folded.ends_with(' ') { folded } else { folded + " " }
    }

    #[test]
    fn ascii_is_folded_as_every_character_is() {
        let characters = || (0..128_u8).map(char::from).chain(['é', 'Σ', 'İ', '\u{301}', '—', '営']);
        let mut all = String::new();
        for first in characters() {
            for second in characters() {
                let pair = format!("{first}{second}");
                assert_eq!(fold(&pair, 100), fold_by_characters(&pair), "{pair:?}");
                all.push_str(&pair);
            }
        }
        // Over the seams of the pieces in which it is done, wherever they lie.
        for letters in 0..8 {
            let all = "X".repeat(letters) + &all;
            assert_eq!(fold(&all, all.len()), fold_by_characters(&all), "{letters} letters later");
        }
        let mut two = String::new();
        ["One,", " two"].into_iter().for_each(|text| fold_into(&mut two, text));
        assert_eq!(two, " one  two ");
    }

    #[test]
    fn words_are_what_stands_between_spaces() {
        for bytes in 0..=40 {
            for text in
                ["a".repeat(bytes), "é!".repeat(bytes), "abcdefg ".repeat(bytes), "12345678 ".repeat(bytes)]
            {
                let folded = format!("{}{}", fold(&text, 1_000), &fold(&"b".repeat(bytes), 1_000)[1..]);
                let expected: Vec<_> =
                    folded.split(' ').filter(|word| !word.is_empty()).map(str::as_bytes).collect();
                assert_eq!(
                    words(&folded).map(|word| word.letters).collect::<Vec<_>>(),
                    expected,
                    "{folded:?}"
                );
                for word in words(&folded) {
                    assert!(folded.as_bytes().ends_with(word.text) && word.text.starts_with(word.letters));
                }
            }
        }
    }

    #[test]
    fn folds_case_and_punctuation() {
        assert_eq!(fold("We're  EVALUATING—Zürich's\tÉcole!", 100), " we re evaluating zürich s école ");
        assert_eq!(fold("", 100), " ");
        assert_eq!(fold("!?", 100), " ");
        assert_eq!(fold("ΣΊΣΥΦΟΣ Σίσυφος 営業", 100), " σίσυφοσ σίσυφοσ 営業 ");
    }

    #[test]
    fn cuts_at_a_character() {
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 3), "aé");
        assert_eq!(beginning("é", 0), "");
    }
}

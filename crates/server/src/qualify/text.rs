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
    for piece in plain.chunks(128) {
        let mut bytes = [0; 128];
        let mut end = 0;
        for byte in piece {
            let letter = FOLDED[usize::from(*byte)];
            bytes[end] = letter;
            end += usize::from((letter != b' ') | (before != b' '));
            before = letter;
        }
        folded.push_str(str::from_utf8(&bytes[..end]).expect("ASCII is UTF-8"));
    }
}

/// The words of a folded text, each with the text from there on.
pub(super) fn words(folded: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = folded.as_bytes();
    std::iter::from_fn(move || {
        let text = rest.strip_prefix(b" ")?;
        // By hand: words are short, and a search takes longer to begin than to find the next space.
        let end = text.iter().position(|byte| *byte == b' ')?;
        rest = &text[end..];
        Some((&text[..end], text))
    })
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
    use super::{beginning, fold};

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

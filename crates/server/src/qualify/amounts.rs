//! Amounts of money in free text.

/// Whether a number needs a currency beside it to be an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Currency {
    /// Free text: `€50`, `50k USD`, `£1.2m`.
    Needed,
    /// The text speaks of a budget: `50k` will do, `50` not.
    Suffix,
    /// The text is known to be a budget: `50000` will do.
    Implied,
}

/// The largest amount in `text` in whole units, whatever the currency; `k` and `m` count, decimals below one do not.
pub(super) fn largest(text: &str, currency: Currency) -> Option<u64> {
    let mut largest = None;
    let mut rest = text;
    let mut before = "";
    while let Some(start) = first_digit(rest) {
        let (lead, number) = rest.split_at(start);
        let (amount, has_suffix, after) = number_at(number);
        let has_currency =
            ends_in_currency(if lead.is_empty() { before } else { lead }) || begins_with_currency(after);
        let is_amount = match currency {
            Currency::Needed => has_currency,
            Currency::Suffix => has_currency || has_suffix,
            Currency::Implied => true,
        };
        if is_amount {
            largest = largest.max(Some(amount));
        }
        before = lead;
        rest = after;
    }
    largest
}

fn first_digit(text: &str) -> Option<usize> {
    const PIECE: usize = 64;
    // Most pieces have none, which is found out for sixteen bytes at once if none of them ends the loop.
    let has_digit = |piece: &[u8]| piece.iter().fold(false, |any, byte| any | byte.is_ascii_digit());
    let before = text.as_bytes().chunks(PIECE).position(has_digit)? * PIECE;
    text.bytes().skip(before).position(|byte| byte.is_ascii_digit()).map(|within| before + within)
}

/// The number that `text` begins with, whether it has a suffix, and what follows both.
fn number_at(text: &str) -> (u64, bool, &str) {
    let bytes = text.as_bytes();
    let mut whole: u64 = 0;
    let mut tenths: u64 = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => whole = whole.saturating_mul(10).saturating_add(u64::from(byte - b'0')),
            b',' | b'.' | b'\'' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                let group = bytes[at + 1..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
                if group != 3 {
                    tenths = u64::from(bytes[at + 1] - b'0');
                    at += 1 + bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    break;
                }
            }
            _ => break,
        }
        at += 1;
    }
    let rest = &text[at..];
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let unit: u64 = match &rest[..letters] {
        "k" | "K" => 1_000,
        "m" | "M" | "mm" | "mn" | "mio" => 1_000_000,
        _ => return (whole, false, rest),
    };
    (whole.saturating_mul(unit).saturating_add(tenths * (unit / 10)), true, &rest[letters..])
}

const SYMBOLS: [char; 3] = ['€', '$', '£'];
const CODES: [&str; 8] = ["eur", "euro", "euros", "usd", "dollars", "gbp", "pounds", "chf"];

fn is_code(word: &str) -> bool {
    CODES.iter().any(|code| code.eq_ignore_ascii_case(word))
}

fn ends_in_currency(text: &str) -> bool {
    let text = text.trim_end_matches(' ');
    let letters = text.bytes().rev().take(8).take_while(u8::is_ascii_alphabetic).count();
    text.ends_with(SYMBOLS) || is_code(&text[text.len() - letters..])
}

fn begins_with_currency(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    let letters = text.bytes().take(8).take_while(u8::is_ascii_alphabetic).count();
    text.starts_with(SYMBOLS) || is_code(&text[..letters])
}

#[cfg(test)]
mod tests {
    use super::{Currency, largest};

    #[test]
    fn finds_amounts_with_a_currency() {
        for (text, expected) in [
            ("about $50k this year", Some(50_000)),
            ("€ 12,500", Some(12_500)),
            ("12.500 EUR", Some(12_500)),
            ("£1.2m or so", Some(1_200_000)),
            ("between 5000 and 20000 dollars", Some(20_000)),
            ("$99.90 a month", Some(99)),
            ("USD 2'000'000", Some(2_000_000)),
            ("$10,000 - $20,000", Some(20_000)),
            ("team of 50 people", None),
            ("call 030 123456", None),
            ("50km", None),
            ("$", None),
            ("", None),
            ("$99999999999999999999999999m", Some(u64::MAX)),
        ] {
            assert_eq!(largest(text, Currency::Needed), expected, "{text}");
        }
    }

    #[test]
    fn takes_numbers_with_a_suffix_where_a_budget_is_spoken_of() {
        for (text, expected) in [
            ("a budget of 50k", Some(50_000)),
            ("budget 1.5m", Some(1_500_000)),
            ("budget for 40 people", None),
        ] {
            assert_eq!(largest(text, Currency::Suffix), expected, "{text}");
        }
    }

    #[test]
    fn takes_bare_numbers_where_the_currency_is_implied() {
        for (text, expected) in
            [("50000", Some(50_000)), ("10-50k", Some(50_000)), ("2.5e3", Some(3)), ("none", None)]
        {
            assert_eq!(largest(text, Currency::Implied), expected, "{text}");
        }
    }
}

//! JSON as people read it, with every token as it was sent.

/// The same JSON with a line for each member. Tokens keep their text, so numbers keep their digits and members their order.
pub(super) fn pretty(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut rest = json.chars().peekable();
    let begin_line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(character) = rest.next() {
        match character {
            '"' => {
                text.push('"');
                let mut escaped = false;
                for character in rest.by_ref() {
                    text.push(character);
                    match character {
                        '"' if !escaped => break,
                        '\\' => escaped = !escaped,
                        _ => escaped = false,
                    }
                }
            }
            '{' | '[' => {
                text.push(character);
                while rest.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    begin_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                begin_line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(',');
                begin_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            blank if blank.is_ascii_whitespace() => {}
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        assert_eq!(pretty(json), expected);
    }

    #[test]
    fn every_token_stays_as_it_was_sent() {
        check(
            r#"{"b":1.50,"a":[1,2 , 1e400]}"#,
            "{\n  \"b\": 1.50,\n  \"a\": [\n    1,\n    2,\n    1e400\n  ]\n}",
        );
        check(r#"{"a":"x,{\"y\":[\\\\"}"#, "{\n  \"a\": \"x,{\\\"y\\\":[\\\\\\\\\"\n}");
        check(r#"{"a":{},"b":[ ]}"#, "{\n  \"a\": {},\n  \"b\": []\n}");
        check("null", "null");
        check("", "");
    }

    #[test]
    fn what_is_no_json_does_no_harm() {
        check("]]}", "\n]\n]\n}");
        check("\"never ended", "\"never ended");
    }
}

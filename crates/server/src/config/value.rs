//! A setting's value as it was given, and reading it as what the setting needs.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Where a value stood, in the words of its author.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given<'a> {
    /// A flag's or variable's text; lists are separated by commas.
    Text(&'a str),
    /// A value of the TOML file.
    Toml(&'a toml::Value),
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 80;
        let text = match self {
            Given::Text(text) => format!("{text:?}"),
            // Tables and dates span lines in some renderings; the kind says enough.
            Given::Toml(toml::Value::Table(_)) => "a table".to_owned(),
            Given::Toml(toml::Value::Array(_)) => "that list".to_owned(),
            Given::Toml(toml::Value::String(text)) => format!("{text:?}"),
            Given::Toml(value) => value.to_string(),
        };
        f.write_str(&text.chars().take(SHOWN_MAX).collect::<String>())
    }
}

impl<'a> Given<'a> {
    /// A text that is not empty.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self {
            Given::Text(text) => Some(*text),
            Given::Toml(toml::Value::String(text)) => Some(text.as_str()),
            Given::Toml(_) => None,
        }
        .filter(|text| !text.is_empty())
    }

    /// A text that parses.
    pub(super) fn parsed<T: FromStr>(&self) -> Option<T> {
        self.text()?.parse().ok()
    }

    /// A whole number within the range.
    pub(super) fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        match self {
            Given::Text(text) => text.parse().ok(),
            Given::Toml(toml::Value::Integer(number)) => u64::try_from(*number).ok(),
            Given::Toml(_) => None,
        }
        .filter(|number| range.contains(number))
    }

    /// A list whose every entry parses.
    pub(super) fn list<T: FromStr>(&self) -> Option<Vec<T>> {
        match self {
            Given::Text(text) => text.split(',').map(|entry| entry.trim().parse().ok()).collect(),
            Given::Toml(toml::Value::Array(entries)) => {
                entries.iter().map(|entry| entry.as_str()?.parse().ok()).collect()
            }
            Given::Toml(_) => None,
        }
    }
}

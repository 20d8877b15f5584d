//! What is a text on the wire and a type in Rust: the words of closed sets, and reading either through serde.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// A word that is none of a closed set's.
///
/// The word itself is in it, cut off after 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not {set} that this version knows")]
pub struct UnknownWord {
    /// What was asked for, with its article: `an event type`.
    pub set: &'static str,
    /// What stood there.
    pub word: String,
}

impl UnknownWord {
    pub(crate) fn new(set: &'static str, word: &str) -> Self {
        Self { set, word: clip(word) }
    }

    /// The stable code: `unknown_value`.
    pub const fn code(&self) -> &'static str {
        "unknown_value"
    }
}

/// Foreign text on its way into an error: at most 64 characters of it.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Reads a string and parses it, without a copy where the format lends its own.
pub(crate) fn deserialize<'de, D, T>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T>(&'static str, PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(expected, PhantomData))
}

/// An enum of which each variant is one word on the wire.
macro_rules! words {
    (
        $(#[$outer:meta])*
        pub enum $name:ident ($set:literal) { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every one of them, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownWord::new($set, word)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::write::Write for $name {
            fn write(&self, json: &mut $crate::write::Writer) {
                json.word(self.as_str());
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::text::deserialize(deserializer, $set)
            }
        }
    };
}

pub(crate) use words;

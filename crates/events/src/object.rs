//! Reading one JSON object of an event, field by field, so that every error can name the field and none its value.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::text::clip;
use crate::{EventError, Fields, Moment, Score, UnknownWord};

/// An object's fields as they stand in the body, and where the object is.
pub(crate) struct Object<'a> {
    path: &'static str,
    entries: BTreeMap<String, &'a RawValue>,
}

impl<'a> Object<'a> {
    /// Reads the object at `path`, which is empty for the event itself.
    pub(crate) fn read(path: &'static str, json: &'a str) -> Result<Self, EventError> {
        let position = |error: serde_json::Error| (error.line(), error.column());
        let raw: &RawValue = serde_json::from_str(json)
            .map_err(position)
            .map_err(|(line, column)| EventError::MalformedJson { line, column })?;
        let field = if path.is_empty() { "the body" } else { path };
        if !raw.get().starts_with('{') {
            return Err(EventError::WrongType { field: field.to_owned(), expected: "an object" });
        }
        let Entries { entries, duplicate } = serde_json::from_str(raw.get()).map_err(|_| {
            // It is JSON all the same, so what could not be read is a key.
            EventError::InvalidValue {
                field: field.to_owned(),
                reason: "a key with a lone surrogate".to_owned(),
            }
        })?;
        let object = Self { path, entries };
        match duplicate {
            None => Ok(object),
            Some(name) => Err(EventError::DuplicateField { field: object.field(&clip(&name)) }),
        }
    }

    pub(crate) fn object(&self, name: &str, path: &'static str) -> Result<Object<'a>, EventError> {
        Object::read(path, self.value(name)?.get())
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, EventError> {
        self.value(name)?;
        self.optional_text(name)?.ok_or_else(|| self.wrong_type(name, "a string"))
    }

    /// `None` for null. An absent field counts as null too: it is how an older sender would say it.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>, EventError> {
        let Some(value) = self.optional_value(name) else { return Ok(None) };
        if !value.starts_with('"') {
            return Err(self.wrong_type(name, "a string"));
        }
        serde_json::from_str(value).map(Some).map_err(|_| self.invalid(name, "a lone surrogate"))
    }

    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T, EventError> {
        self.text(name)?.parse().map_err(|error| self.invalid(name, error))
    }

    pub(crate) fn optional_parsed<T>(&self, name: &str) -> Result<Option<T>, EventError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let parse = |text: String| text.parse().map_err(|error| self.invalid(name, error));
        self.optional_text(name)?.map(parse).transpose()
    }

    pub(crate) fn word<T: FromStr<Err = UnknownWord>>(&self, name: &str) -> Result<T, EventError> {
        let parse = |UnknownWord { word, .. }| EventError::UnknownValue { field: self.field(name), word };
        self.text(name)?.parse().map_err(parse)
    }

    pub(crate) fn moment(&self, name: &str) -> Result<Moment, EventError> {
        self.parsed(name)
    }

    pub(crate) fn score(&self, name: &str) -> Result<Score, EventError> {
        let value = self.value(name)?.get();
        if !value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(self.wrong_type(name, "a number"));
        }
        let reason = "a score is a whole number from 0 to 100";
        let number: u8 = value.parse().map_err(|_| self.invalid(name, reason))?;
        Score::new(number).map_err(|_| self.invalid(name, reason))
    }

    /// False where absent or null.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, EventError> {
        match self.optional_value(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.wrong_type(name, "true or false")),
        }
    }

    /// Empty where absent or null.
    pub(crate) fn fields(&self, name: &str) -> Result<Fields, EventError> {
        let Some(value) = self.optional_value(name) else { return Ok(Fields::empty()) };
        Fields::parse(value).map_err(|_| self.wrong_type(name, "an object"))
    }

    fn value(&self, name: &str) -> Result<&'a RawValue, EventError> {
        let missing = || EventError::MissingField { field: self.field(name) };
        self.entries.get(name).copied().ok_or_else(missing)
    }

    fn optional_value(&self, name: &str) -> Option<&'a str> {
        self.entries.get(name).map(|value| value.get()).filter(|&value| value != "null")
    }

    fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn wrong_type(&self, name: &str, expected: &'static str) -> EventError {
        EventError::WrongType { field: self.field(name), expected }
    }

    fn invalid(&self, name: &str, reason: impl fmt::Display) -> EventError {
        EventError::InvalidValue { field: self.field(name), reason: reason.to_string() }
    }
}

struct Entries<'a> {
    entries: BTreeMap<String, &'a RawValue>,
    duplicate: Option<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut found = Entries { entries: BTreeMap::new(), duplicate: None };
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if found.entries.insert(name.clone(), value).is_some() {
                        found.duplicate.get_or_insert(name);
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

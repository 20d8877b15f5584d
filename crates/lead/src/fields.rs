//! What a sender adds to the contract's fields, kept as it came.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{self, Bounds, MalformedJson};
use crate::limits;
use crate::text;

/// Additional fields in the order sent, each value the very JSON that was sent: numbers keep every digit.
///
/// Keys have their escapes resolved and are unique. Serialises to a JSON object with the values unchanged, through
/// serde_json only: no other format can carry raw JSON.
///
/// # Example: numbers keep their digits
///
/// ```
/// use agentflow_lead::Fields;
///
/// let fields = Fields::from_json(r#"{"seats": 1.0e400, "tags": ["a",  "b"]}"#)?;
/// assert_eq!(fields.get("seats").map(|value| value.get()), Some("1.0e400"));
/// assert_eq!(fields.to_json(), r#"{"seats":1.0e400,"tags":["a",  "b"]}"#);
/// # Ok::<(), agentflow_lead::MalformedJson>(())
/// ```
#[derive(Clone, Default)]
pub struct Fields(Vec<Field>);

#[derive(Clone)]
struct Field {
    key: Box<str>,
    value: Box<RawValue>,
}

impl Field {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.get().len()
    }
}

impl Fields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values, in the order sent.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|field| (&*field.key, &*field.value))
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.iter().find_map(|(candidate, value)| (candidate == key).then_some(value))
    }

    /// Lays `newer` over these, key by key: a newer value wins unless it is null or a blank string, which says
    /// nothing. Keys keep their place; new ones follow in `newer`'s order.
    ///
    /// However often a person writes, their lead stays as large as one submission may be: past
    /// [`KEYS_MAX`](limits::KEYS_MAX) fields, or [`BODY_BYTES_MAX`](limits::BODY_BYTES_MAX) bytes of keys and values, what
    /// would go over is left out, and what was known stays.
    pub fn merge(&mut self, newer: &Self) {
        let places: Vec<Option<usize>> = {
            let known: HashMap<&str, usize> =
                self.iter().enumerate().map(|(place, (key, _))| (key, place)).collect();
            newer.iter().map(|(key, _)| known.get(key).copied()).collect()
        };
        let mut bytes: usize = self.0.iter().map(Field::bytes).sum();
        for (field, place) in newer.0.iter().zip(places) {
            let before = place.map_or(0, |place| self.0[place].bytes());
            let after = bytes - before + field.bytes();
            if after > limits::BODY_BYTES_MAX.max(bytes) {
                continue;
            }
            match place {
                None if self.len() >= limits::KEYS_MAX => continue,
                None => self.0.push(field.clone()),
                Some(_) if text::is_empty(&field.value) => continue,
                Some(place) => self.0[place].value.clone_from(&field.value),
            }
            bytes = after;
        }
    }

    /// One JSON object, white space between members dropped, values unchanged.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and raw JSON always serialise")
    }

    /// Reads [`to_json`](Self::to_json)'s text back, or any other object that is to be read as strictly as a lead. Not
    /// limited in depth and keys.
    ///
    /// # Errors
    ///
    /// [`MalformedJson`] where the text is not one JSON object, has a key twice, or a NUL or lone surrogate.
    pub fn from_json(json: &str) -> Result<Self, MalformedJson> {
        let members = json::members(json.as_bytes(), Bounds::STORED)?;
        let mut fields = Self(Vec::with_capacity(members.len()));
        members.iter().for_each(|(key, value)| fields.push(key, value));
        Ok(fields)
    }

    /// Adds a field whose key is known to be new.
    pub(crate) fn push(&mut self, key: &str, value: &RawValue) {
        self.0.push(Field { key: key.into(), value: value.to_owned() });
    }
}

/// Same keys with the same bytes of JSON in the same order.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        let same = |((key, value), (other_key, other_value)): ((&str, &RawValue), (&str, &RawValue))| {
            key == other_key && value.get() == other_value.get()
        };
        self.len() == other.len() && self.iter().zip(other.iter()).all(same)
    }
}

impl Eq for Fields {}

/// Says how many there are: keys and values are personal data.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fields").field("len", &self.len()).finish()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<Box<str>>()? {
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom("an object has the same key twice"));
            }
            fields.push(Field { key, value: map.next_value()? });
        }
        Ok(Fields(fields))
    }
}

//! A second opinion on which bodies are acceptable JSON: serde_json decodes everything, strings included, and a
//! census of the decoded values applies the limits. It shares no code with the crate's own scan.

use std::collections::HashSet;
use std::fmt;

use agentflow_lead::limits::{BODY_BYTES_MAX, DEPTH_MAX, KEYS_MAX};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Whether `body` is a JSON object within the limits; `None` where serde_json cannot say, because it would have
/// to hold a number that is too large for it.
pub(crate) fn accepts(body: &[u8]) -> Option<bool> {
    if body.len() > BODY_BYTES_MAX {
        return Some(false);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let verdict = Census { level: 1, is_top: true }.deserialize(&mut json).and_then(|()| json.end());
    match verdict {
        Ok(()) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

struct Census {
    level: usize,
    is_top: bool,
}

impl Census {
    fn inside<E: Error>(&self) -> Result<Self, E> {
        if self.level > DEPTH_MAX {
            return Err(E::custom("too deep"));
        }
        Ok(Self { level: self.level + 1, is_top: false })
    }

    fn scalar<E: Error>(&self) -> Result<(), E> {
        if self.is_top { Err(E::custom("no object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Census {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Census {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(E::custom("NUL")) } else { self.scalar() }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.is_top {
            return Err(A::Error::custom("no object"));
        }
        while seq.next_element_seed(self.inside()?)?.is_some() {}
        self.inside().map(drop)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if key.contains('\0') || !keys.insert(key) || keys.len() > KEYS_MAX {
                return Err(A::Error::custom("NUL, key twice, or too many keys"));
            }
            map.next_value_seed(self.inside()?)?;
        }
        self.inside().map(drop)
    }
}

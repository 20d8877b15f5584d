//! The additional fields of a lead: a JSON object that is passed on as it came.

use std::borrow::Borrow;
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

/// A JSON object kept as text, so that numbers of any size keep their digits and keys their order.
///
/// `Debug` shows its length only. It is equal to another where the texts are, byte for byte.
///
/// # Example: a number that no float holds
///
/// ```
/// use agentflow_events::Fields;
///
/// let fields = Fields::parse(r#"{"account":12345678901234567890123,"rate":0.10}"#)?;
/// assert_eq!(fields.as_json(), r#"{"account":12345678901234567890123,"rate":0.10}"#);
/// # Ok::<(), agentflow_events::FieldsError>(())
/// ```
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Fields(Box<RawValue>);

/// The text is not one JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object")]
pub struct FieldsError;

impl FieldsError {
    /// The stable code: `invalid_fields`.
    pub const fn code(&self) -> &'static str {
        "invalid_fields"
    }
}

impl Fields {
    /// No fields: `{}`.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Keeps the text of a JSON object, without the white space around it.
    ///
    /// # Errors
    ///
    /// [`FieldsError`] where the text is no JSON, or not an object.
    pub fn parse(json: &str) -> Result<Self, FieldsError> {
        serde_json::from_str::<Box<RawValue>>(json).map_err(|_| FieldsError)?.try_into()
    }

    /// The object's text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// Reads the object as a type of the caller's own.
    ///
    /// # Errors
    ///
    /// Whatever serde_json finds; its text may quote the value, which is personal data.
    pub fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_json())
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::from_iter(std::iter::empty::<(&str, &RawValue)>())
    }
}

impl TryFrom<Box<RawValue>> for Fields {
    type Error = FieldsError;

    fn try_from(value: Box<RawValue>) -> Result<Self, FieldsError> {
        if value.get().starts_with('{') { Ok(Self(value)) } else { Err(FieldsError) }
    }
}

/// Key by key, in the order given. Of a key that comes twice both stand.
impl<K: AsRef<str>, V: Borrow<RawValue>> FromIterator<(K, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut json = String::from("{");
        for (key, value) in entries {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&serde_json::Value::from(key.as_ref()).to_string());
            json.push(':');
            json.push_str(value.borrow().get());
        }
        json.push('}');
        Self(RawValue::from_string(json).expect("keys are escaped and values are JSON already"))
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Fields {}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({} bytes)", self.as_json().len())
    }
}

//! A lead as a sender puts it together.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// The names of the contract's fields, which have setters of their own.
const CONTRACT: [&str; 6] = ["name", "email", "company", "message", "source", "timestamp"];

/// A lead: who it is, what they want, and whatever else is known. Nothing is checked here but the names of additional
/// fields; [`Prepared::new`](crate::Prepared::new) checks the whole.
///
/// Serialises to the body's JSON object, fields in the order of the contract and additional ones in the order in which
/// they were added. `Debug` shows which fields are there and nothing that stands in them.
///
/// # Example: additional fields
///
/// ```
/// use agentflow_client::Lead;
///
/// let lead = Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co")
///     .source("website_contact_form")
///     .field("budget", 5000)?
///     .field("utm", serde_json::json!({"medium": "cpc"}))?;
/// assert_eq!(
///     lead.to_json(),
///     r#"{"name":"Jordan Ellis","email":"jordan.ellis@stacklane.co","source":"website_contact_form","budget":5000,"utm":{"medium":"cpc"}}"#
/// );
/// # Ok::<(), agentflow_client::FieldError>(())
/// ```
#[derive(Clone)]
#[must_use = "a lead goes nowhere until it is sent"]
pub struct Lead {
    name: String,
    email: String,
    company: Option<String>,
    message: Option<String>,
    source: Option<String>,
    timestamp: Option<String>,
    fields: Vec<(String, Box<RawValue>)>,
}

/// Why a field cannot be added to a lead. Names no field of the caller's and no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is one of the contract's, which has a setter of its own.
    #[error("`{field}` is a field of the contract: use its own setter")]
    OfTheContract {
        /// Which.
        field: &'static str,
    },
    /// The value cannot be written as JSON: a map with keys that are no text, or a type that refuses.
    #[error("the field's value cannot be written as JSON")]
    NotJson,
}

impl FieldError {
    /// The stable code: `invalid_field`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "invalid_field"
    }
}

impl Lead {
    /// A lead of this person. Name: 1 to 200 characters; email: at most 254 bytes, and by it AgentFlow tells leads
    /// apart. Both are trimmed by AgentFlow, not here.
    pub fn new(name: impl Into<String>, email: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            email: email.into(),
            company: None,
            message: None,
            source: None,
            timestamp: None,
            fields: Vec::new(),
        }
    }

    /// Whom they work for: at most 200 characters. Recommended.
    pub fn company(mut self, company: impl Into<String>) -> Self {
        self.company = Some(company.into());
        self
    }

    /// What they wrote: at most 10,000 characters. Recommended; most of the score comes from it.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Where the lead comes from, such as `website_contact_form`: at most 200 characters. Recommended.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// When they submitted it: an ISO 8601 date or date-time such as `2024-11-14T08:44:00Z`. Recommended: it also tells
    /// two submissions with the same words apart, the second of which is a duplicate otherwise.
    pub fn timestamp(mut self, timestamp: impl Into<String>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Adds a field of the sender's own, which AgentFlow keeps as sent and passes on. A name that was added before takes
    /// the new value.
    ///
    /// Numbers that JSON has no words for (NaN, infinities) become null. A [`RawValue`] is kept to the digit.
    ///
    /// # Errors
    ///
    /// [`FieldError`]: the name is one of the contract's, or the value cannot be written as JSON.
    pub fn field(mut self, name: impl Into<String>, value: impl Serialize) -> Result<Self, FieldError> {
        let name = name.into();
        if let Some(field) = CONTRACT.into_iter().find(|field| *field == name) {
            return Err(FieldError::OfTheContract { field });
        }
        let value = serde_json::value::to_raw_value(&value).map_err(|_| FieldError::NotJson)?;
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = value,
            None => self.fields.push((name, value)),
        }
        Ok(self)
    }

    /// The body as it is sent, white space only where a raw value has it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and raw JSON always serialise")
    }
}

impl Serialize for Lead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = [
            ("name", Some(&self.name)),
            ("email", Some(&self.email)),
            ("company", self.company.as_ref()),
            ("message", self.message.as_ref()),
            ("source", self.source.as_ref()),
            ("timestamp", self.timestamp.as_ref()),
        ];
        let mut map = serializer.serialize_map(None)?;
        for (name, text) in texts {
            if let Some(text) = text {
                map.serialize_entry(name, text)?;
            }
        }
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead")
            .field("company", &self.company.is_some())
            .field("message", &self.message.is_some())
            .field("source", &self.source.is_some())
            .field("timestamp", &self.timestamp.is_some())
            .field("fields", &self.fields.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use agentflow_lead::{RawValue, Submission};
    use proptest::prelude::*;

    use super::{CONTRACT, FieldError, Lead};

    fn lead() -> Lead {
        Lead::new("Jordan Ellis", "jordan.ellis@stacklane.co")
    }

    #[test]
    fn a_field_of_the_contract_is_no_additional_one() {
        for field in CONTRACT {
            assert_eq!(lead().field(field, 1).unwrap_err(), FieldError::OfTheContract { field });
        }
        assert!(lead().field("Name", 1).is_ok(), "names are case-sensitive");
    }

    #[test]
    fn a_field_given_twice_keeps_its_place_and_takes_the_new_value() {
        let lead = lead().field("a", 1).and_then(|lead| lead.field("b", 2)).unwrap().field("a", 3).unwrap();
        assert!(lead.to_json().ends_with(r#","a":3,"b":2}"#), "{}", lead.to_json());
    }

    #[test]
    fn a_raw_value_keeps_its_digits() {
        let raw = RawValue::from_string("1.0e400".to_owned()).unwrap();
        assert!(lead().field("seats", raw).unwrap().to_json().ends_with(r#""seats":1.0e400}"#));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let keyed_by_lists = HashMap::from([(vec![1], 2)]);
        assert_eq!(lead().field("table", keyed_by_lists).unwrap_err(), FieldError::NotJson);
    }

    proptest! {
        #[test]
        fn agentflow_reads_what_was_put_together(
            name in "[\\PC&&[^\\s]]{1,200}",
            message in "\\PC{0,300}",
            key in "[a-z]{7,9}x",
            value in any::<i64>(),
        ) {
            let lead = Lead::new(&name, "jo@x.co").message(&message).field(&key, value).unwrap();
            match Submission::parse(lead.to_json().as_bytes()) {
                Ok(read) => {
                    prop_assert_eq!(read.name, name);
                    // A message of characters that show nothing is absent.
                    prop_assert!(read.message.is_none_or(|read| read == message));
                    prop_assert_eq!(read.fields.get(&key).unwrap().get(), value.to_string());
                }
                // And such a name is missing.
                Err(error) => prop_assert!(error.violations().iter().all(|v| v.field == "name"), "{error}"),
            }
        }
    }
}

//! Last stage: the contract's fields out of the members of an object.

use std::fmt;

use serde_json::value::RawValue;

use crate::json::{self, Bounds};
use crate::limits;
use crate::text;
use crate::violation::FieldCode;
use crate::{Email, EmailError, Fields, ParseError, SubmittedAt, Violation};

/// One lead as a sender submitted it: every field within its rules.
///
/// Leads are personal data: `Debug` shows which fields are there and nothing that stands in them.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// `name`: 1 to [`NAME_CHARS_MAX`](limits::NAME_CHARS_MAX) characters, trimmed. Control characters inside are kept
    /// as sent: escape it wherever it is shown.
    pub name: String,
    /// `email`.
    pub email: Email,
    /// `company`, as sent; never blank.
    pub company: Option<String>,
    /// `message`, as sent; never blank.
    pub message: Option<String>,
    /// `source`, as sent; never blank.
    pub source: Option<String>,
    /// `timestamp`.
    pub submitted_at: Option<SubmittedAt>,
    /// Everything else.
    pub fields: Fields,
}

impl Submission {
    /// Reads an untrusted body.
    ///
    /// # Errors
    ///
    /// - [`ParseError::TooLarge`]: more than [`BODY_BYTES_MAX`](limits::BODY_BYTES_MAX) bytes.
    /// - [`ParseError::Malformed`]: not a JSON object, or deeper, wider or stranger than we accept.
    /// - [`ParseError::Invalid`]: fields break rules, all of them named.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        if body.len() > limits::BODY_BYTES_MAX {
            return Err(ParseError::TooLarge { body_bytes: body.len() });
        }
        let mut sent = Sent::default();
        let mut fields = Fields::new();
        for (key, value) in json::members(body, Bounds::WIRE)? {
            match sent.place(&key) {
                Some(place) => *place = Some(value),
                None => fields.push(&key, value),
            }
        }
        sent.check(fields).map_err(ParseError::Invalid)
    }

    /// Lays a newer submission of the same person over this one: fields that it has win, absent ones leave what was
    /// known, additional fields go [key by key](Fields::merge).
    ///
    /// The email takes the newer spelling where its identity is the same; another person's never replaces it.
    pub fn merge(&mut self, newer: &Self) {
        fn take<T: Clone>(known: &mut Option<T>, newer: &Option<T>) {
            if newer.is_some() {
                known.clone_from(newer);
            }
        }
        self.name.clone_from(&newer.name);
        if self.email.identity() == newer.email.identity() {
            self.email.clone_from(&newer.email);
        }
        take(&mut self.company, &newer.company);
        take(&mut self.message, &newer.message);
        take(&mut self.source, &newer.source);
        take(&mut self.submitted_at, &newer.submitted_at);
        self.fields.merge(&newer.fields);
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("company", &self.company.is_some())
            .field("message", &self.message.is_some())
            .field("source", &self.source.is_some())
            .field("submitted_at", &self.submitted_at.is_some())
            .field("fields", &self.fields.len())
            .finish_non_exhaustive()
    }
}

/// The contract's fields as they stand in the body.
#[derive(Default)]
struct Sent<'a> {
    name: Option<&'a RawValue>,
    email: Option<&'a RawValue>,
    company: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    timestamp: Option<&'a RawValue>,
}

impl<'a> Sent<'a> {
    fn place(&mut self, key: &str) -> Option<&mut Option<&'a RawValue>> {
        Some(match key {
            "name" => &mut self.name,
            "email" => &mut self.email,
            "company" => &mut self.company,
            "message" => &mut self.message,
            "source" => &mut self.source,
            "timestamp" => &mut self.timestamp,
            _ => return None,
        })
    }

    fn check(self, fields: Fields) -> Result<Submission, Vec<Violation>> {
        let mut violations = Violations(Vec::new());
        let name = violations.note(name(self.name));
        let email = violations.note(email(self.email));
        let company = violations.note(label("company", self.company, limits::COMPANY_CHARS_MAX));
        let message = violations.note(label("message", self.message, limits::MESSAGE_CHARS_MAX));
        let source = violations.note(label("source", self.source, limits::SOURCE_CHARS_MAX));
        let submitted_at = violations.note(submitted_at(self.timestamp));
        match (name, email, company, message, source, submitted_at) {
            (Some(name), Some(email), Some(company), Some(message), Some(source), Some(submitted_at)) => {
                Ok(Submission { name, email, company, message, source, submitted_at, fields })
            }
            _ => Err(violations.0),
        }
    }
}

struct Violations(Vec<Violation>);

impl Violations {
    fn note<T>(&mut self, checked: Result<T, Violation>) -> Option<T> {
        checked.map_err(|violation| self.0.push(violation)).ok()
    }
}

fn name(value: Option<&RawValue>) -> Result<String, Violation> {
    let text = text::required("name", value)?;
    text::at_most(limits::NAME_CHARS_MAX, "name", text.trim().into())
}

fn email(value: Option<&RawValue>) -> Result<Email, Violation> {
    let text = text::required("email", value)?;
    Email::parse(&text).map_err(|error| {
        let code = if error == EmailError::TooLong { FieldCode::TooLong } else { FieldCode::InvalidFormat };
        Violation::new("email", code, error.to_string())
    })
}

fn label(
    field: &'static str,
    value: Option<&RawValue>,
    chars_max: usize,
) -> Result<Option<String>, Violation> {
    text::recommended(field, value)?.map(|text| text::at_most(chars_max, field, text)).transpose()
}

fn submitted_at(value: Option<&RawValue>) -> Result<Option<SubmittedAt>, Violation> {
    let text = text::recommended("timestamp", value)?;
    text.map(|text| SubmittedAt::parse(&text))
        .transpose()
        .map_err(|error| Violation::new("timestamp", FieldCode::InvalidFormat, error.to_string()))
}

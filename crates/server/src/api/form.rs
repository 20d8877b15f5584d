//! JSON bodies: an object whose fields are taken one by one, every violation told at once.

use std::sync::Arc;

use agentflow_lead::{FieldCode, Fields, Violation};
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::App;
use super::query::{bad, check_has_no_query, clip};
use crate::edge::{self, check_json};
use crate::reason::Reason;
use crate::reply::Problem;

/// The object that a request carries, read as strictly as a lead: no key twice, no NUL. An absent body is an empty object.
pub(super) struct Form {
    fields: Vec<(String, Box<RawValue>)>,
    /// The fields that were asked for.
    known: Vec<&'static str>,
    violations: Vec<Violation>,
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        check_has_no_query(&head.uri)?;
        let body = edge::read(body, App::BODY_BYTES_MAX, &app.bodies)
            .await
            .map_err(|unread| Problem::from(unread.fault))?;
        if body.bytes.is_empty() {
            return Ok(Self::new(&Fields::new()));
        }
        check_json(&head.headers).map_err(|detail| Problem::new(Reason::UnsupportedMediaType, detail))?;
        let malformed =
            |why: String| Problem::new(Reason::MalformedJson, format!("The body is malformed: {why}."));
        let text = std::str::from_utf8(&body.bytes).map_err(|error| malformed(error.to_string()))?;
        Ok(Self::new(&Fields::from_json(text).map_err(|error| malformed(error.to_string()))?))
    }
}

impl Form {
    fn new(fields: &Fields) -> Self {
        let fields = fields.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { fields, known: Vec::new(), violations: Vec::new() }
    }

    fn take(&mut self, field: &'static str) -> Option<Box<RawValue>> {
        self.known.push(field);
        let at = self.fields.iter().position(|(key, _)| key == field)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// Takes a field out; `expected` completes "must be …". Absent, and null unless `T` takes it, is `None`.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, field: &'static str, expected: &str) -> Option<T> {
        let value = self.take(field)?;
        self.read(field, &value, expected)
    }

    /// Takes a field out that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, field: &'static str, expected: &str) -> Option<T> {
        match self.take(field) {
            Some(value) if value.get() != "null" => self.read(field, &value, expected),
            _ => {
                self.refuse(field, FieldCode::Required, "is required");
                None
            }
        }
    }

    fn read<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
        value: &RawValue,
        expected: &str,
    ) -> Option<T> {
        let read = serde_json::from_str(value.get());
        if read.is_err() {
            // A number that is out of range is of the right type.
            let is_number = value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
            let number = is_number && expected.starts_with("a whole number");
            let code = if number { FieldCode::InvalidFormat } else { FieldCode::InvalidType };
            self.refuse(field, code, format!("must be {expected}"));
        }
        read.ok()
    }

    /// Notes a violation; a field is named for its first only.
    pub(super) fn refuse(&mut self, field: &'static str, code: FieldCode, message: impl Into<String>) {
        if !self.violations.iter().any(|violation| violation.field == field) {
            self.violations.push(Violation { field, code, message: message.into() });
        }
    }

    /// Notes a violation of the field's form unless `holds`.
    pub(super) fn check(&mut self, field: &'static str, holds: bool, message: &str) {
        if !holds {
            self.refuse(field, FieldCode::InvalidFormat, message);
        }
    }

    /// All or nothing: the violations, or fields that nobody took.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if let Some((unknown, _)) = self.fields.first() {
            let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
            return Err(bad(format!("There is no field {:?} here; there are: {known}.", clip(unknown))));
        }
        if self.violations.is_empty() {
            return Ok(());
        }
        let detail = "Fields are missing or wrong; see `errors` for each of them.";
        Err(Problem::new(Reason::ValidationFailed, detail).errors(self.violations))
    }
}

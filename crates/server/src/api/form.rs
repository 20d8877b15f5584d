//! JSON bodies: an object whose fields are taken one by one, every violation told at once.

use std::sync::Arc;

use agentflow_lead::{FieldCode, Violation};
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::App;
use super::query::{bad, clip};
use crate::edge::{self, check_json};
use crate::reason::Reason;
use crate::reply::Problem;

/// The object that a request carries; an absent body is an empty object.
pub(super) struct Form {
    fields: Map<String, Value>,
    violations: Vec<Violation>,
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let body = edge::read(body, App::BODY_BYTES_MAX, &app.bodies)
            .await
            .map_err(|unread| Problem::from(unread.fault))?;
        if body.bytes.is_empty() {
            return Ok(Self::new(Map::new()));
        }
        check_json(&head.headers).map_err(|detail| Problem::new(Reason::UnsupportedMediaType, detail))?;
        let value = serde_json::from_slice(&body.bytes).map_err(|error| {
            Problem::new(Reason::MalformedJson, format!("The body is not JSON: {error}."))
        })?;
        match value {
            Value::Object(fields) => Ok(Self::new(fields)),
            _ => Err(Problem::new(Reason::MalformedJson, "The body must be a JSON object.")),
        }
    }
}

impl Form {
    fn new(fields: Map<String, Value>) -> Self {
        Self { fields, violations: Vec::new() }
    }

    /// Takes a field out; `expected` completes "must be …". Absent, and null unless `T` takes it, is `None`.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, field: &'static str, expected: &str) -> Option<T> {
        let value = self.fields.remove(field)?;
        // A number that is out of range is of the right type.
        let number = value.is_number() && expected.starts_with("a whole number");
        let code = if number { FieldCode::InvalidFormat } else { FieldCode::InvalidType };
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(_) => {
                self.refuse(field, code, format!("must be {expected}"));
                None
            }
        }
    }

    /// Takes a field out that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, field: &'static str, expected: &str) -> Option<T> {
        if self.fields.get(field).is_none_or(Value::is_null) {
            self.fields.remove(field);
            self.refuse(field, FieldCode::Required, "is required");
            return None;
        }
        self.optional(field, expected)
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
        if let Some(unknown) = self.fields.keys().next() {
            return Err(bad(format!("There is no field {:?} here.", clip(unknown))));
        }
        if self.violations.is_empty() {
            return Ok(());
        }
        let detail = "Fields are missing or wrong; see `errors` for each of them.";
        Err(Problem::new(Reason::ValidationFailed, detail).errors(self.violations))
    }
}

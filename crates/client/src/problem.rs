//! A refusal in AgentFlow's words: RFC 9457 problem details with a reason code.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::Reason;
use crate::reason::is_code;

/// Fields that `Debug` and `Display` show; the contract has six. A reply of 64 KiB may name thousands.
const SHOWN_MAX: usize = 8;

/// Why AgentFlow did not accept a lead.
///
/// `Debug` and `Display` show status, reason, wait, and which fields break which rule: eight of them, and how many more there
/// are. They don't show what the other side says in words ([`title`](Self::title), [`detail`](Self::detail), messages): it is for people, may repeat what was
/// sent, and is to be escaped wherever it is shown.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The reply's status.
    pub status: u16,
    /// Why.
    pub reason: Reason,
    /// `type`: a URI that names the kind of problem. Empty where it is absent.
    pub type_uri: String,
    /// The kind of problem in a few words. Empty where it is absent.
    pub title: String,
    /// What is wrong with this request in particular. Empty where it is absent.
    pub detail: String,
    /// The fields that break rules, with [`Reason::ValidationFailed`]; else empty.
    pub errors: Vec<FieldProblem>,
    /// How long AgentFlow asks to wait, with 429 and 503.
    pub retry_after: Option<Duration>,
}

/// A field that breaks a rule. `Debug` leaves out the message.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldProblem {
    /// The field's name.
    pub field: String,
    /// Which rule, such as `invalid_format`; see [`FieldCode`](crate::FieldCode).
    pub code: String,
    /// For people: what the field must be.
    pub message: String,
}

impl Problem {
    /// Reads the body of an `application/problem+json` reply; `None` where it is not one of the contract's.
    pub(crate) fn parse(status: u16, body: &[u8], retry_after: Option<Duration>) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(body).ok()?;
        let reason = Reason::from_code(&wire.reason)?;
        let errors = wire.errors.into_iter().map(WireError::check).collect::<Option<_>>()?;
        let Wire { type_uri, title, detail, .. } = wire;
        Some(Self { status, reason, type_uri, title, detail, errors, retry_after })
    }

    fn shown_and_more(&self) -> (&[FieldProblem], usize) {
        let (shown, more) = self.errors.split_at(self.errors.len().min(SHOWN_MAX));
        (shown, more.len())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.reason, self.reason.advice())?;
        let (shown, more) = self.shown_and_more();
        for (index, error) in shown.iter().enumerate() {
            let before = if index == 0 { " (" } else { ", " };
            write!(f, "{before}{}: {}", error.field, error.code)?;
        }
        if more > 0 {
            write!(f, ", and {more} more")?;
        }
        f.write_str(if shown.is_empty() { "" } else { ")" })
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, more) = self.shown_and_more();
        f.debug_struct("Problem")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("errors", &shown)
            .field("more_errors", &more)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldProblem")
            .field("field", &self.field)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// The reply's own status counts, not the body's copy of it.
#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type", default)]
    type_uri: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    reason: String,
    #[serde(default)]
    errors: Vec<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    field: String,
    code: String,
    #[serde(default)]
    message: String,
}

impl WireError {
    /// Names and codes of the contract have the form of codes, and so may be shown.
    fn check(self) -> Option<FieldProblem> {
        let Self { field, code, message } = self;
        (is_code(&field) && is_code(&code)).then_some(FieldProblem { field, code, message })
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        let shown = Problem::parse(422, body.as_bytes(), None).map(|problem| problem.to_string());
        assert_eq!(shown.as_deref(), expected, "{body}");
    }

    #[test]
    fn a_problem_of_the_contract_shows_codes_and_none_of_its_words() {
        let errors = r#"[{"field":"email","code":"invalid_format","message":"x@y"},{"field":"name","code":"required"}]"#;
        check(
            &format!(r#"{{"reason":"validation_failed","detail":"x@y","errors":{errors},"more":1}}"#),
            Some(
                "422 validation_failed: fields are missing or wrong: see the problem's errors \
                 (email: invalid_format, name: required)",
            ),
        );
    }

    #[test]
    fn a_problem_with_thousands_of_errors_is_shown_in_a_few_hundred_bytes() {
        let parse = |count: usize| {
            let errors = vec![r#"{"field":"email","code":"required"}"#; count].join(",");
            let body = format!(r#"{{"reason":"validation_failed","errors":[{errors}]}}"#);
            Problem::parse(422, body.as_bytes(), None).expect("well formed")
        };
        let problem = parse(1_800);
        assert_eq!(problem.errors.len(), 1_800);
        let shown = problem.to_string();
        assert!(shown.ends_with("email: required, and 1792 more)"), "{shown}");
        assert!(shown.len() < 400 && format!("{problem:?}").len() < 800, "{problem:?}");
        assert!(parse(8).to_string().ends_with("email: required)"));
        assert!(parse(9).to_string().ends_with(", and 1 more)"));
    }

    #[test]
    fn other_problems_are_not_the_contract_s() {
        for body in ["", "null", "{}", "[]", r#"{"reason":7}"#, r#"{"reason":"Not A Code"}"#] {
            check(body, None);
        }
        check(r#"{"reason":"rate_limited","errors":[{"field":"jo@x.co","code":"required"}]}"#, None);
        check(r#"{"reason":"rate_limited","reason":"rate_limited"}"#, None);
    }
}

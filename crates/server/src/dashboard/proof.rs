//! Proof that somebody is the operator: the password, at a sign-in, and again before what gives power away.
//!
//! Every try passes one throttle. The audit log is told of an account's first failure within its window and of the one that
//! has it wait, so that a flood of tries writes no more than these; after the reply, whose time would tell that there is such an
//! account.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::Response;
use maud::html;
use zeroize::Zeroizing;

use super::Dashboard;
use super::access::Visitor;
use super::elements::token;
use super::fault::Fault;
use super::forms::Pairs;
use super::login::HOME;
use super::page::Place;
use super::throttle::{Attempt, Standing};
use crate::reason::Reason;
use crate::record::{AuditRow, Operator};
use crate::reply;

/// What is said of a wrong one.
pub(super) const WRONG_PASSWORD: &str = "This is not your password.";

impl Dashboard {
    /// Counts a try at an account.
    pub(super) fn attempt(&self, email: &str, remote: IpAddr) -> Result<Attempt<'_>, Fault> {
        self.throttle.attempt(email, remote, self.clock.now()).map_err(Fault::TooOften)
    }

    /// Counts a try by whoever is signed in.
    pub(super) fn attempt_within(&self, visitor: &Visitor) -> Result<Attempt<'_>, Fault> {
        self.throttle.attempt_within(visitor.id(), self.clock.now()).map_err(Fault::TooOften)
    }

    /// The operator and the attempt, which counts on, where this is their password.
    pub(super) async fn try_password<'a>(
        &self,
        attempt: Attempt<'a>,
        remote: IpAddr,
        operator: Option<Operator>,
        password: Zeroizing<String>,
    ) -> Result<Option<(Operator, Attempt<'a>)>, Fault> {
        let known = operator.clone();
        match self.management.accounts.check_password(operator, password).await {
            Ok(Some(operator)) => Ok(Some((operator, attempt))),
            Ok(None) => {
                if let Some(known) = &known {
                    self.note_failure("password", &attempt, known, remote);
                }
                Ok(None)
            }
            Err(error) => {
                attempt.taken_back();
                Err(error.into())
            }
        }
    }

    /// Has the audit log told that this `what` was wrong, if the attempt is one to tell of.
    pub(super) fn note_failure(
        &self,
        what: &str,
        attempt: &Attempt<'_>,
        operator: &Operator,
        remote: IpAddr,
    ) {
        let action = match attempt.standing {
            Standing::First => format!("{what}.wrong"),
            Standing::Last => format!("{what}.throttle"),
            Standing::Between => return,
        };
        let audit = AuditRow::new(operator.actor(), self.clock.now(), &action, format!("from {remote}"));
        let store = Arc::clone(&self.store);
        self.notes.spawn(async move {
            if let Err(error) = store.audit(audit).await {
                tracing::warn!(%error, "a wrong password is not in the audit log");
            }
        });
    }

    /// Whether the field has the visitor's password.
    pub(super) async fn is_password(
        &self,
        visitor: &Visitor,
        form: &Pairs,
        field: &str,
    ) -> Result<bool, Fault> {
        let attempt = self.attempt_within(visitor)?;
        let given = Zeroizing::new(form.exact(field).unwrap_or_default().to_owned());
        let operator = Some(visitor.operator.clone());
        let proven = self.try_password(attempt, visitor.remote, operator, given).await?;
        let is_right = proven.is_some();
        if let Some((_, attempt)) = proven {
            attempt.taken_back();
        }
        Ok(is_right)
    }

    /// A page that asks for the visitor's password and then sends the same form again; none where the form has it. `what` says
    /// what it is for.
    pub(super) async fn asks_password(
        &self,
        visitor: &Visitor,
        form: &Pairs,
        what: &str,
    ) -> Result<Option<Response>, Fault> {
        let is_given = form.has("password");
        if is_given && self.is_password(visitor, form, "password").await? {
            return Ok(None);
        }
        let place = Place::of(&visitor.path);
        let (back, _) = place.page(visitor.operator.role).unwrap_or((HOME, ""));
        let main = html! {
            main.narrow id="main" {
                h1 { "Your password, please" }
                p { (what) }
                @if is_given { p.notice.bad role="alert" { (WRONG_PASSWORD) } }
                form.stack method="post" action=(visitor.path) {
                    (token(visitor))
                    @for (name, value) in form.except(&["token", "password"]) { input type="hidden" name=(name) value=(value); }
                    label { span { "Your password" } input type="password" name="password" autocomplete="current-password" required autofocus; }
                    div.buttons { button.primary { "Confirm" } a.button href=(back) { "Cancel" } }
                }
            }
        };
        let page = self.show(visitor, place, "Your password", &main).await?;
        Ok(Some(if is_given { reply::refused(Reason::Forbidden, page) } else { page }))
    }
}

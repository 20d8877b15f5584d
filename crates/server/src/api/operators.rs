//! People, and invitations to choose a password.

use std::sync::Arc;

use agentflow_events::{Moment, OperatorId};
use agentflow_lead::{Email, FieldCode};
use axum::extract::State;
use serde::Serialize;
use zeroize::Zeroizing;

use super::auth::Administers;
use super::form::Form;
use super::query::{Named, PageJson, Params};
use super::tokens::role;
use super::{App, Reply, id};
use crate::accounts::{Accounts, Credential, Invited};
use crate::record::{Operator, Role};
use crate::reply::{self, Problem};
use crate::store::Page;

#[derive(Serialize)]
struct OperatorJson {
    id: OperatorId,
    email: String,
    role: Role,
    created_at: Moment,
    has_password: bool,
    invited_until: Option<Moment>,
}

impl From<Operator> for OperatorJson {
    fn from(operator: Operator) -> Self {
        Self {
            id: operator.id,
            email: operator.email,
            role: operator.role,
            created_at: operator.created_at,
            has_password: !operator.password_hash.is_empty(),
            invited_until: operator.invited_until,
        }
    }
}

#[derive(Serialize)]
struct InvitationJson<'a> {
    token: &'a str,
    expires_at: Moment,
}

impl<'a> From<&'a Invited> for InvitationJson<'a> {
    fn from(invited: &'a Invited) -> Self {
        Self { token: &invited.text, expires_at: invited.expires_at }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    params: Params,
) -> Reply {
    params.only(&["cursor", "limit"])?;
    let mut people = app.management.accounts.operators(caller.workspace_id).await?;
    people.reverse();
    Ok(reply::ok(PageJson::new(Page::of_all(people, params.page()?), OperatorJson::from)))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(operator): Named,
) -> Reply {
    let found = app.management.accounts.operator(caller.workspace_id, id(&operator, "operator")?).await?;
    Ok(reply::ok(OperatorJson::from(found)))
}

/// Without a password the person is invited to choose one.
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    mut form: Form,
) -> Reply {
    #[derive(Serialize)]
    struct CreatedJson<'a> {
        #[serde(flatten)]
        operator: OperatorJson,
        invitation: Option<InvitationJson<'a>>,
    }
    let email: Option<String> = form.required("email", "an email address");
    let email = email.and_then(|email| check_email(&mut form, &email));
    let role = role(&mut form, true);
    let password = password(&mut form, false);
    form.finish()?;
    let (Some(email), Some(role)) = (email, role) else { return Err(Problem::internal()) };
    let credential = password.map_or(Credential::Invitation, Credential::Password);
    let (operator, invited) =
        app.management.accounts.create_operator(caller, email, role, credential).await?;
    let invitation = invited.as_ref().map(InvitationJson::from);
    Ok(reply::created(CreatedJson { operator: operator.into(), invitation }))
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(operator): Named,
    mut form: Form,
) -> Reply {
    let operator_id = id(&operator, "operator")?;
    let email: Option<String> = form.optional("email", "an email address");
    let email = email.and_then(|email| check_email(&mut form, &email));
    let role = role(&mut form, false);
    let password = password(&mut form, false);
    app.management.accounts.operator(caller.workspace_id, operator_id).await?;
    form.finish()?;
    let changed = app.management.accounts.change_operator(caller, operator_id, email, role, password).await?;
    Ok(reply::ok(OperatorJson::from(changed)))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(operator): Named,
) -> Reply {
    app.management.accounts.delete_operator(caller, id(&operator, "operator")?).await?;
    Ok(reply::no_content())
}

pub(super) async fn invite(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(operator): Named,
    form: Form,
) -> Reply {
    form.finish()?;
    let invited = app.management.accounts.invite(caller, id(&operator, "operator")?).await?;
    Ok(reply::created(InvitationJson::from(&invited)))
}

/// Open to whoever has the invitation's token.
pub(super) async fn accept(State(app): State<Arc<App>>, mut form: Form) -> Reply {
    let token: Option<String> = form.required("token", "a string");
    let password = password(&mut form, true);
    form.finish()?;
    let (Some(token), Some(password)) = (token, password) else { return Err(Problem::internal()) };
    let operator = app.management.accounts.accept_invitation(&token, password).await?;
    Ok(reply::ok(OperatorJson::from(operator)))
}

/// Kept in the form by which addresses are compared.
fn check_email(form: &mut Form, email: &str) -> Option<String> {
    match Email::parse(email) {
        Ok(email) => Some(email.identity().to_owned()),
        Err(_) => {
            form.refuse("email", FieldCode::InvalidFormat, "must be an email address");
            None
        }
    }
}

fn password(form: &mut Form, is_required: bool) -> Option<Zeroizing<String>> {
    let given: Option<String> = if is_required {
        form.required("password", "a string")
    } else {
        form.optional("password", "a string")
    };
    let password = Zeroizing::new(given?);
    let length = password.chars().count();
    form.check("password", Accounts::PASSWORD_CHARS.contains(&length), "must have 12 to 200 characters");
    Some(password)
}

//! Settings: operators with their roles, and API tokens.

use std::sync::Arc;

use agentflow_events::OperatorId;
use agentflow_lead::Email;
use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Administers, Visitor};
use super::elements::{badge, must_be_sure, risky, time, token, utc};
use super::fault::{Fault, told_on};
use super::fields::{Draft, Field};
use super::forms::{Form, Pairs, Path};
use super::settings::Tab;
use crate::accounts::{AccountError, Credential, Invited};
use crate::id::TokenId;
use crate::record::{FactorState, Role};

pub(super) const OPERATORS: &str = "/dashboard/settings/operators";
const TOKENS: &str = "/dashboard/settings/tokens";
/// What is told where another tab, or somebody else, was faster.
pub(super) const GONE: &str = "Nothing was done: this person's account was deleted before.";
const REVOKED: &str = "This token was revoked before.";
const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

fn role_select(chosen: Role) -> Markup {
    html! {
        select name="role" aria-label="Role" { @for role in ROLES { option value=(role.as_str()) selected[role == chosen] { (role.as_str()) } } }
    }
}

fn with_article(role: Role) -> &'static str {
    match role {
        Role::Viewer => "a viewer",
        Role::Operator => "an operator",
        Role::Admin => "an admin",
    }
}

fn read_role(form: &Pairs) -> Result<Role, Fault> {
    let named = ROLES.into_iter().find(|role| form.text("role") == Some(role.as_str()));
    named.ok_or_else(|| Fault::Unusable("A role is viewer, operator or admin.".to_owned()))
}

pub(super) async fn operators(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
) -> Result<Response, Fault> {
    dashboard.show_operators(&visitor, &Draft::default()).await
}

impl Dashboard {
    async fn show_operators(&self, visitor: &Visitor, draft: &Draft) -> Result<Response, Fault> {
        let people = self.management.accounts.operators(visitor.workspace_id()).await?;
        let now = self.clock.now();
        let body = html! {
            div.scroll { table.cards {
                thead { tr { th { "Email" } th { "Role" } th { "Since" } th { "Sign-in" } th { span.hidden { "Actions" } } } }
                tbody { @for person in &people { tr {
                    td data-th="Email" { span { (person.email) @if person.id == visitor.id() { " " b { "(you)" } } } }
                    td data-th="Role" {
                        form.inline method="post" action={ (OPERATORS) "/" (person.id) } { (token(visitor)) (role_select(person.role)) button { "Change role" } }
                    }
                    td data-th="Since" { (time(person.created_at, now)) }
                    td data-th="Sign-in" {
                        @if let Some(until) = person.invited_until { span { (badge("wait", "invited")) " until " (utc(until)) } }
                        @else if person.password_hash.is_empty() { (badge("bad", "no password")) }
                        @else { @match person.second_factor {
                            FactorState::Off => (badge("good", "password")),
                            FactorState::On => (badge("good", "password and code")),
                            FactorState::Locked => span title="Too many wrong codes were given in a row, by somebody who has the password. A recovery code or a reset lets this person in; then another password is due." { (badge("bad", "codes locked")) },
                        } }
                    }
                    td.acts data-th="Actions" { div.buttons {
                        form method="post" action={ (OPERATORS) "/" (person.id) "/invite" } { (token(visitor)) button { "New invitation" } }
                        @if person.has_second_factor() && person.id != visitor.id() { form method="post" action={ (OPERATORS) "/" (person.id) "/factor" } { (token(visitor)) button { "Reset second factor" } } }
                        @if person.id != visitor.id() { (risky(visitor, &format!("{OPERATORS}/{}/delete", person.id), "Delete", "Signed out everywhere at once; the tokens of this person are refused.")) }
                    } }
                } } }
            } }
            section { h2 { "Invite somebody" }
                form.stack method="post" action=(OPERATORS) {
                    (token(visitor))
                    (draft.field(&Field { kind: "email", ..Field::text("email", "Email", "") }))
                    label { span { "Role" } (role_select(Role::from_name(&draft.value("role", "operator")).unwrap_or(Role::Operator))) }
                    p.hint { "Viewers read. Operators read, decide, resend, pause and test. Admins may do everything, and see secrets." }
                    div { button.primary { "Make an invitation" } }
                }
            }
        };
        self.show_settings(visitor, Tab::Operators, &body, draft.is_right()).await
    }

    fn tell_invitation(&self, visitor: &Visitor, email: &str, invited: &Invited) -> Response {
        let link = format!("{}/dashboard/invitation/{}", self.base_url, invited.text.as_str());
        let title = format!(
            "The invitation for {email}. Hand it over on a channel that you trust; it works once, until {}.",
            utc(invited.expires_at)
        );
        self.tell_value(visitor, OPERATORS, title, &link);
        self.done(visitor, OPERATORS, format!("An invitation for {email} is made."))
    }
}

pub(super) async fn invite(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    let role = read_role(&form)?;
    let email = form.text("email").and_then(|text| Email::parse(text).ok());
    let mut draft = Draft::of(form.clone());
    let Some(email) = email.map(|email| email.identity().to_owned()) else {
        draft.refuse("email", "This is no email address.");
        return dashboard.show_operators(&visitor, &draft).await;
    };
    let what = format!("To invite {email} as an admin.");
    if role == Role::Admin
        && let Some(asks) = dashboard.asks_password(&visitor, &form, &what).await?
    {
        return Ok(asks);
    }
    let accounts = &dashboard.management.accounts;
    let created =
        accounts.create_operator(visitor.actor(), email.clone(), role, Credential::Invitation).await;
    if let Err(taken @ AccountError::EmailTaken) = &created {
        draft.refuse("email", format!("Sorry: {taken}."));
        return dashboard.show_operators(&visitor, &draft).await;
    }
    let (_, invited) = created.map_err(told_on(OPERATORS, GONE))?;
    let invited = invited.ok_or(Fault::Internal)?;
    Ok(dashboard.tell_invitation(&visitor, &email, &invited))
}

pub(super) fn operator_id(text: &str) -> Result<OperatorId, Fault> {
    text.parse().map_err(|_| Fault::NotFound("operator"))
}

pub(super) async fn change_role(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(operator): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let (role, what) = (read_role(&form)?, "To make somebody an admin.");
    if role == Role::Admin
        && let Some(asks) = dashboard.asks_password(&visitor, &form, what).await?
    {
        return Ok(asks);
    }
    let (accounts, id) = (&dashboard.management.accounts, operator_id(&operator)?);
    let told = told_on(OPERATORS, GONE);
    let before = accounts.operator(visitor.workspace_id(), id).await.map_err(&told)?;
    let changed = accounts.change_operator(visitor.actor(), id, None, Some(role), None).await;
    let person = changed.map_err(&told)?;
    let invitation = match (before.invited_until, person.invited_until) {
        (Some(_), None) => " The invitation from before is void: make a new one.",
        _ => "",
    };
    let done = format!("{} is {} now.{invitation}", person.email, with_article(role));
    Ok(dashboard.done(&visitor, OPERATORS, done))
}

pub(super) async fn invite_again(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(operator): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let id = operator_id(&operator)?;
    let (accounts, told) = (&dashboard.management.accounts, told_on(OPERATORS, GONE));
    let person = accounts.operator(visitor.workspace_id(), id).await.map_err(&told)?;
    let what = format!("To let whoever has the invitation choose the password of {}.", person.email);
    if (person.role == Role::Admin || !person.password_hash.is_empty())
        && let Some(asks) = dashboard.asks_password(&visitor, &form, &what).await?
    {
        return Ok(asks);
    }
    let invited = accounts.invite(visitor.actor(), id).await.map_err(&told)?;
    Ok(dashboard.tell_invitation(&visitor, &person.email, &invited))
}

pub(super) async fn delete_operator(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(operator): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    must_be_sure(&form)?;
    let id = operator_id(&operator)?;
    let deleted = dashboard.management.accounts.delete_operator(visitor.actor(), id).await;
    deleted.map_err(told_on(OPERATORS, GONE))?;
    Ok(dashboard.done(&visitor, OPERATORS, "The account is deleted."))
}

pub(super) async fn tokens(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
) -> Result<Response, Fault> {
    dashboard.show_tokens(&visitor, &Draft::default()).await
}

impl Dashboard {
    async fn show_tokens(&self, visitor: &Visitor, draft: &Draft) -> Result<Response, Fault> {
        let tokens = self.management.accounts.tokens(visitor.workspace_id()).await?;
        let now = self.clock.now();
        let body = html! {
            div.scroll { table.cards {
                thead { tr { th { "Name" } th { "Role" } th { "Made" } th { "Last used" } th { span.hidden { "Actions" } } } }
                tbody { @for one in &tokens { tr {
                    td data-th="Name" { (one.name) }
                    td data-th="Role" { (one.role.as_str()) }
                    td data-th="Made" { (time(one.created_at, now)) }
                    td data-th="Last used" { @match one.last_used_at { Some(at) => (time(at, now)), None => "never" } }
                    td.acts data-th="Actions" { (risky(visitor, &format!("{TOKENS}/{}/delete", one.id), "Revoke", "What uses it is refused from then on.")) }
                } } }
            } }
            section { h2 { "Create a token" }
                form.stack method="post" action=(TOKENS) {
                    (token(visitor))
                    (draft.field(&Field { placeholder: Some("CRM import"), ..Field::text("name", "What it is for", "") }))
                    label { span { "Role" } (role_select(Role::from_name(&draft.value("role", "viewer")).unwrap_or(Role::Viewer))) }
                    div { button.primary { "Create token" } }
                }
            }
        };
        self.show_settings(visitor, Tab::Tokens, &body, draft.is_right()).await
    }
}

pub(super) async fn create_token(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    let role = read_role(&form)?;
    let name = form.text("name").filter(|name| name.chars().count() <= 100).map(str::to_owned);
    let mut draft = Draft::of(form.clone());
    let Some(name) = name else {
        draft.refuse("name", "A token has a name of 1 to 100 characters.");
        return dashboard.show_tokens(&visitor, &draft).await;
    };
    if let Some(asks) = dashboard.asks_password(&visitor, &form, "To make an API token.").await? {
        return Ok(asks);
    }
    let made = dashboard.management.accounts.create_token(visitor.actor(), name.clone(), role).await;
    let fresh = made.map_err(told_on(TOKENS, REVOKED))?;
    dashboard.tell_value(
        &visitor,
        TOKENS,
        "The new API token. Copy it now: it is not shown again.",
        &fresh.text,
    );
    Ok(dashboard.done(&visitor, TOKENS, format!("The token for {name} is made.")))
}

pub(super) async fn delete_token(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(id): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    must_be_sure(&form)?;
    let id: TokenId = id.parse().map_err(|_| Fault::NotFound("token"))?;
    let revoked = dashboard.management.accounts.delete_token(visitor.actor(), id).await;
    revoked.map_err(told_on(TOKENS, REVOKED))?;
    Ok(dashboard.done(&visitor, TOKENS, "The token is revoked."))
}

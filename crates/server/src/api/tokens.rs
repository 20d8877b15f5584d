//! API tokens.

use std::sync::Arc;

use agentflow_events::{Moment, OperatorId};
use agentflow_lead::FieldCode;
use axum::extract::State;
use serde::Serialize;

use super::auth::Administers;
use super::form::Form;
use super::query::{Named, PageJson, Params, bad};
use super::{App, Reply, id, not_found};
use crate::accounts::AccountError;
use crate::id::TokenId;
use crate::record::{ApiToken, Role};
use crate::reply::{self, Problem};
use crate::store::Page;

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotFound => not_found("operator or token"),
            AccountError::NotInvited => Problem::new(
                crate::reason::Reason::NotFound,
                "This invitation is not known; it may have been used or replaced, or its time is over.",
            ),
            AccountError::Store(error) => error.into(),
            AccountError::Unread(error) => {
                tracing::error!(%error, "a change of an account is stored but could not be read back");
                Problem::internal()
            }
            AccountError::Crowded => Problem::new(
                crate::reason::Reason::StoreUnavailable,
                "Too many passwords are being checked at this moment; try again shortly.",
            ),
            AccountError::PasswordChanged => bad("The password was changed meanwhile.".to_owned()),
            AccountError::Vault(error) => {
                tracing::error!(%error, "a secret of an account cannot be read");
                Problem::internal()
            }
            AccountError::HasFactor => bad("A second factor is in use already.".to_owned()),
            AccountError::WrongCode => bad("The code is wrong.".to_owned()),
            AccountError::FactorLocked => bad("Too many wrong codes in a row.".to_owned()),
            AccountError::EmailTaken => bad("Somebody else of the workspace has this email.".to_owned()),
            AccountError::LastAdmin => bad("The workspace would have no admin left.".to_owned()),
            AccountError::TooMany(max) => {
                bad(format!("A workspace has {max} of them at most; delete one first."))
            }
        }
    }
}

#[derive(Serialize)]
struct TokenJson {
    id: TokenId,
    name: String,
    role: Role,
    operator_id: OperatorId,
    created_at: Moment,
    last_used_at: Option<Moment>,
}

impl From<ApiToken> for TokenJson {
    fn from(token: ApiToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role,
            operator_id: token.operator_id,
            created_at: token.created_at,
            last_used_at: token.last_used_at,
        }
    }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    params: Params,
) -> Reply {
    params.only(&["cursor", "limit"])?;
    let mut tokens = app.management.accounts.tokens(caller.workspace_id).await?;
    tokens.reverse();
    Ok(reply::ok(PageJson::new(Page::of_all(tokens, params.page()?), TokenJson::from)))
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    mut form: Form,
) -> Reply {
    #[derive(Serialize)]
    struct FreshTokenJson<'a> {
        #[serde(flatten)]
        token: TokenJson,
        secret: &'a str,
    }
    const NAME_CHARS_MAX: usize = 100;
    let name: Option<String> = form.required("name", "a string");
    let role = role(&mut form, true);
    if let Some(name) = &name {
        let length = name.trim().chars().count();
        form.check("name", (1..=NAME_CHARS_MAX).contains(&length), "must have 1 to 100 characters");
    }
    form.finish()?;
    let (Some(name), Some(role)) = (name, role) else { return Err(Problem::internal()) };
    let fresh = app.management.accounts.create_token(caller, name.trim().to_owned(), role).await?;
    Ok(reply::created(FreshTokenJson { token: fresh.token.into(), secret: &fresh.text }))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(token): Named,
) -> Reply {
    app.management.accounts.delete_token(caller, id(&token, "token")?).await?;
    Ok(reply::no_content())
}

/// The field `role`.
pub(super) fn role(form: &mut Form, is_required: bool) -> Option<Role> {
    const ROLES: &str = "viewer, operator or admin";
    let name: String =
        if is_required { form.required("role", ROLES)? } else { form.optional("role", ROLES)? };
    let role = Role::from_name(&name);
    if role.is_none() {
        form.refuse("role", FieldCode::InvalidFormat, format!("must be {ROLES}"));
    }
    role
}

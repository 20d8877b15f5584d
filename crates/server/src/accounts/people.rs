//! Operators: people who sign in, and for whom tokens act.

use std::time::Duration;

use agentflow_events::{Moment, OperatorId, WorkspaceId};
use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::{AccountError, Accounts, check};
use crate::directory::credential_hash;
use crate::id::{mint, random};
use crate::record::{Actor, AuditRow, FactorState, Invitation, Operator, OperatorChange, Role};
use crate::store::StoreError;

/// How a new person will sign in.
pub enum Credential {
    /// With this password.
    Password(Zeroizing<String>),
    /// With one that they choose themselves, by an invitation.
    Invitation,
}

/// An invitation, to be handed over; shown once. No `Debug`.
pub struct Invited {
    /// Its token's text.
    pub text: Zeroizing<String>,
    /// It cannot be used from here on.
    pub expires_at: Moment,
}

impl Accounts {
    /// People of a workspace.
    pub const OPERATORS_MAX: usize = 1_000;
    /// Characters of a password.
    pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 12..=200;
    /// How long an invitation can be used.
    pub const INVITATION_KEPT: Duration = Duration::from_secs(7 * 86_400);

    /// A workspace's people, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn operators(&self, workspace: WorkspaceId) -> Result<Vec<Operator>, StoreError> {
        self.store.operators(workspace).await
    }

    /// One person.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or the store.
    pub async fn operator(&self, workspace: WorkspaceId, id: OperatorId) -> Result<Operator, AccountError> {
        let known = self.store.operator(id).await?;
        known.filter(|known| known.workspace_id == workspace).ok_or(AccountError::NotFound)
    }

    /// Makes an account, with its invitation where that was asked for.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn create_operator(
        &self,
        actor: Actor,
        email: String,
        role: Role,
        credential: Credential,
    ) -> Result<(Operator, Option<Invited>), AccountError> {
        if self.operators(actor.workspace_id).await?.len() >= Self::OPERATORS_MAX {
            return Err(AccountError::TooMany(Self::OPERATORS_MAX));
        }
        let (password_hash, invites) = match credential {
            Credential::Password(password) => (self.hash(password).await?, false),
            // No password has this hash.
            Credential::Invitation => (String::new(), true),
        };
        let now = self.clock.now();
        let id: OperatorId = mint(now);
        let operator = Operator {
            id,
            workspace_id: actor.workspace_id,
            email,
            password_hash,
            role,
            created_at: now,
            invited_until: None,
            second_factor: FactorState::Off,
        };
        let audit = AuditRow::new(actor, now, "operator.create", id);
        check(self.store.put_operator(operator, audit).await?)?;
        let invited = if invites { Some(self.invite(actor, id).await?) } else { None };
        Ok((self.operator(actor.workspace_id, id).await?, invited))
    }

    /// Changes email, role or password. A new role counts for the person's tokens at once.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_operator(
        &self,
        actor: Actor,
        id: OperatorId,
        email: Option<String>,
        role: Option<Role>,
        password: Option<Zeroizing<String>>,
    ) -> Result<Operator, AccountError> {
        self.operator(actor.workspace_id, id).await?;
        let password_hash = match password {
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        let change = OperatorChange { email, role, password_hash, instead_of: None };
        let audit = AuditRow::new(actor, self.clock.now(), "operator.change", id);
        check(self.store.change_operator(id, change, audit).await?)?;
        self.publish().await?;
        self.operator(actor.workspace_id, id).await
    }

    /// Puts a password in place of the one that has this hash. Answers the operator with the hash that was set.
    ///
    /// # Errors
    /// [`AccountError::PasswordChanged`] where it is another one by now, and [`AccountError`].
    pub async fn change_password(
        &self,
        actor: Actor,
        instead_of: String,
        password: Zeroizing<String>,
    ) -> Result<Operator, AccountError> {
        let id = actor.operator_id;
        let password_hash = self.hash(password).await?;
        let change = OperatorChange {
            password_hash: Some(password_hash.clone()),
            instead_of: Some(instead_of),
            ..OperatorChange::default()
        };
        let audit = AuditRow::new(actor, self.clock.now(), "operator.change", id);
        check(self.store.change_operator(id, change, audit).await?)?;
        Ok(Operator { password_hash, ..self.operator(actor.workspace_id, id).await? })
    }

    /// Deletes an account with its tokens, which are refused from then on.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn delete_operator(&self, actor: Actor, id: OperatorId) -> Result<(), AccountError> {
        let audit = AuditRow::new(actor, self.clock.now(), "operator.delete", id);
        check(self.store.delete_operator(id, audit).await?)?;
        self.publish().await
    }

    /// Lets a person choose a new password; an earlier invitation ends, the present password stays until then.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn invite(&self, actor: Actor, id: OperatorId) -> Result<Invited, AccountError> {
        self.operator(actor.workspace_id, id).await?;
        let now = self.clock.now();
        let text = Zeroizing::new(format!("afi_{}", Base64UrlUnpadded::encode_string(&random::<32>())));
        let expires_at = now.plus(Self::INVITATION_KEPT);
        let invitation = Invitation { token_hash: credential_hash(&text), operator_id: id, expires_at };
        self.store.put_invitation(invitation, AuditRow::new(actor, now, "operator.invite", id)).await?;
        Ok(Invited { text, expires_at })
    }

    /// Whom an invitation that can be used is for.
    ///
    /// # Errors
    /// [`AccountError::NotInvited`], or the store.
    pub async fn invited(&self, token: &str) -> Result<Operator, AccountError> {
        let invited = self.store.invited(credential_hash(token), self.clock.now()).await?;
        invited.ok_or(AccountError::NotInvited)
    }

    /// Uses an invitation up: the person has this password from then on. Answers the operator with the hash that was set.
    ///
    /// # Errors
    /// [`AccountError::NotInvited`], or the store.
    pub async fn accept_invitation(
        &self,
        token: &str,
        password: Zeroizing<String>,
    ) -> Result<Operator, AccountError> {
        // Looked up first, so that nobody has passwords hashed for an invitation that is none.
        let person = self.invited(token).await?;
        let password_hash = self.hash(password).await?;
        let audit = AuditRow::new(person.actor(), self.clock.now(), "operator.accept_invitation", person.id);
        if !self.store.accept_invitation(credential_hash(token), password_hash.clone(), audit).await? {
            return Err(AccountError::NotInvited);
        }
        Ok(Operator { password_hash, ..self.operator(person.workspace_id, person.id).await? })
    }
}

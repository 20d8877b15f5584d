//! API tokens.

use agentflow_events::WorkspaceId;
use zeroize::Zeroizing;

use super::{AccountError, Accounts};
use crate::id::TokenId;
use crate::record::{Actor, ApiToken, AuditRow, Role};
use crate::setup;
use crate::store::StoreError;

/// A new token, to be shown once. No `Debug`.
pub struct FreshToken {
    /// As it is kept.
    pub token: ApiToken,
    /// Its text.
    pub text: Zeroizing<String>,
}

impl Accounts {
    /// Tokens of a workspace.
    pub const TOKENS_MAX: usize = 1_000;

    /// A workspace's tokens, the oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn tokens(&self, workspace: WorkspaceId) -> Result<Vec<ApiToken>, StoreError> {
        let mut tokens = self.store.tokens().await?;
        tokens.retain(|token| token.workspace_id == workspace);
        let since = self.directory.token_uses(workspace);
        for token in &mut tokens {
            token.last_used_at = token.last_used_at.max(since.get(&token.id).copied());
        }
        tokens.sort_by_key(|token| token.id);
        Ok(tokens)
    }

    /// Makes a token that acts for `actor`.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn create_token(
        &self,
        actor: Actor,
        name: String,
        role: Role,
    ) -> Result<FreshToken, AccountError> {
        if self.tokens(actor.workspace_id).await?.len() >= Self::TOKENS_MAX {
            return Err(AccountError::TooMany(Self::TOKENS_MAX));
        }
        let now = self.clock.now();
        let (token, text) = setup::api_token(actor, name, role, now);
        let audit = AuditRow::new(actor, now, "token.create", token.id);
        self.store.put_token(token.clone(), audit).await?;
        self.publish().await?;
        Ok(FreshToken { token, text })
    }

    /// Deletes a token; it is refused from then on.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn delete_token(&self, actor: Actor, id: TokenId) -> Result<(), AccountError> {
        let audit = AuditRow::new(actor, self.clock.now(), "token.delete", id);
        if !self.store.delete_token(id, audit).await? {
            return Err(AccountError::NotFound);
        }
        self.publish().await
    }
}

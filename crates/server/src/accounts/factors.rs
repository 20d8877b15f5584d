//! Second factors: an authenticator app's codes, and recovery codes for when it is lost.

use std::time::Duration;

use agentflow_events::OperatorId;
use zeroize::Zeroizing;

use super::{AccountError, Accounts};
use crate::directory::sha256;
use crate::id::{SessionId, random};
use crate::record::{Actor, AuditRow, SecondFactor};
use crate::store::StoreError;
use crate::totp::{TotpSecret, base32};

impl Accounts {
    /// Recovery codes of a person.
    pub const RECOVERY_CODES: usize = 10;

    /// How long after its beginning a set-up can be finished.
    pub const SET_UP_WITHIN: Duration = Duration::from_secs(10 * 60);

    /// Begins the set-up of an authenticator, in place of one that was begun and never confirmed. It counts for nothing yet.
    ///
    /// # Errors
    /// [`AccountError::HasFactor`], or the store.
    pub async fn begin_factor(&self, actor: Actor, session: SessionId) -> Result<TotpSecret, AccountError> {
        let (id, secret) = (actor.operator_id, TotpSecret::generate());
        let sealed = self.vault.seal(&id.to_string(), &secret.to_text());
        let audit = AuditRow::new(actor, self.clock.now(), "second_factor.begin", id);
        if !self.store.put_factor(id, sealed, session, audit).await? {
            return Err(AccountError::HasFactor);
        }
        Ok(secret)
    }

    /// The secret of an authenticator that waits for its first code in this session.
    ///
    /// # Errors
    /// [`AccountError::NotFound`] where none does, or the store or vault.
    pub async fn begun_factor(&self, id: OperatorId, session: SessionId) -> Result<TotpSecret, AccountError> {
        self.open(&self.begun(id, session).await?)
    }

    /// The one that was begun in this session, lately. One that was begun in the future is from before the clock was set back.
    async fn begun(&self, id: OperatorId, session: SessionId) -> Result<SecondFactor, AccountError> {
        let now = self.clock.now();
        let waits = |factor: &SecondFactor| {
            let is_fresh = factor.begun_at <= now && now.since(factor.begun_at) < Self::SET_UP_WITHIN;
            !factor.is_active && factor.begun_in == session && is_fresh
        };
        self.store.factor(id).await?.filter(waits).ok_or(AccountError::NotFound)
    }

    /// Makes the authenticator count that was begun in this session, where this is a code of it, and ends every other one. Answers the recovery codes,
    /// which are shown this once.
    ///
    /// # Errors
    /// [`AccountError::WrongCode`]; [`AccountError::NotFound`] where none waits for a code; the store or vault.
    pub async fn confirm_factor(
        &self,
        actor: Actor,
        code: &str,
        session: SessionId,
    ) -> Result<Vec<Zeroizing<String>>, AccountError> {
        let (id, now) = (actor.operator_id, self.clock.now());
        let begun = self.begun(id, session).await?;
        let step = self.open(&begun)?.step_of(&digits(code), now).ok_or(AccountError::WrongCode)?;
        let codes: Vec<_> = (0..Self::RECOVERY_CODES).map(|_| recovery_code()).collect();
        let hashes = codes.iter().map(|code| recovery_hash(id, code)).collect();
        let audit = AuditRow::new(actor, now, "second_factor.on", id);
        if !self.store.activate_factor(begun, step, hashes, session, audit).await? {
            return Err(AccountError::NotFound);
        }
        Ok(codes)
    }

    /// The authenticator that a person is asked for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn active_factor(&self, id: OperatorId) -> Result<Option<SecondFactor>, StoreError> {
        Ok(self.store.factor(id).await?.filter(|factor| factor.is_active))
    }

    /// Uses up a code of the person's authenticator, or a recovery code. False: it is none, or was used; it counts as a wrong one.
    ///
    /// # Errors
    /// [`AccountError::FactorLocked`] where it is no recovery code and no other counts any more; the store or vault.
    pub async fn use_code(&self, actor: Actor, code: &str) -> Result<bool, AccountError> {
        let (id, now) = (actor.operator_id, self.clock.now());
        let Some(factor) = self.active_factor(id).await? else { return Ok(false) };
        let step = self.open(&factor)?.step_of(&digits(code), now).filter(|_| !factor.is_locked());
        let is_right = if let Some(step) = step {
            self.store.use_step(id, step).await?
        } else {
            let audit = AuditRow::new(actor, now, "second_factor.recover", id);
            self.store.use_recovery_code(id, recovery_hash(id, code), audit).await?
        };
        if !is_right && factor.is_locked() {
            return Err(AccountError::FactorLocked);
        }
        if !is_right {
            self.store.count_wrong_code(id, AuditRow::new(actor, now, "second_factor.lock", id)).await?;
        }
        Ok(is_right)
    }

    /// Takes a person's second factor away: their own, or as an admin.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or the store.
    pub async fn delete_factor(&self, actor: Actor, id: OperatorId) -> Result<(), AccountError> {
        let action = if actor.operator_id == id { "second_factor.off" } else { "second_factor.reset" };
        let audit = AuditRow::new(actor, self.clock.now(), action, id);
        if self.store.delete_factor(id, audit).await? { Ok(()) } else { Err(AccountError::NotFound) }
    }

    fn open(&self, factor: &SecondFactor) -> Result<TotpSecret, AccountError> {
        let id = factor.operator_id.to_string();
        let text = self.vault.open(&id, &factor.secret)?;
        TotpSecret::from_text(&text).ok_or(AccountError::NotFound)
    }
}

/// Apps show a space in the middle.
fn digits(code: &str) -> String {
    code.chars().filter(|letter| !letter.is_whitespace()).collect()
}

/// 80 random bits, in four groups: `abcd-efgh-ijkl-mnop`.
fn recovery_code() -> Zeroizing<String> {
    let plain = Zeroizing::new(base32(&random::<10>()).to_ascii_lowercase());
    let groups: Vec<&str> = (0..4).map(|group| &plain[group * 4..group * 4 + 4]).collect();
    Zeroizing::new(groups.join("-"))
}

/// However it was typed. Too many bits to be guessed from a hash that is quick.
fn recovery_hash(id: OperatorId, code: &str) -> [u8; 32] {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    let named = Zeroizing::new(format!("recovery code of {id}: {}", letters.collect::<String>()));
    sha256(named.as_bytes())
}

#[cfg(test)]
mod tests {
    use agentflow_events::Moment;

    use super::{recovery_code, recovery_hash};
    use crate::id::mint;

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed_and_to_its_person_alone() {
        let (code, again) = (recovery_code(), recovery_code());
        assert_ne!(code, again);
        assert!(code.len() == 19 && code.split('-').all(|group| group.len() == 4), "{}", code.as_str());
        let now = Moment::from_unix_millis(1_700_000_000_000);
        let (ann, bob) = (mint(now), mint(now));
        let typed = format!(" {} ", code.to_ascii_uppercase().replace('-', " "));
        assert_eq!(recovery_hash(ann, &code), recovery_hash(ann, &typed));
        assert_ne!(recovery_hash(ann, &code), recovery_hash(bob, &code));
        assert_ne!(recovery_hash(ann, &code), recovery_hash(ann, &again));
    }
}

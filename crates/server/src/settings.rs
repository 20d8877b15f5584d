//! A workspace's settings: the rules that they keep, and changing them; for the API and the dashboard.

use std::sync::Arc;

use crate::clock::Clock;
use crate::deliver::Deliver;
use crate::directory::{Directory, DirectoryError};
use crate::record::{Actor, AuditRow, Change, ScoringRules, Settings};
use crate::store::{Store, StoreError};

/// Changes settings, one change at a time.
pub struct SettingsDesk {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    deliver: Arc<Deliver>,
    clock: Clock,
    changing: tokio::sync::Mutex<()>,
}

/// A rule that settings would break: the field, and what completes "must be …".
pub type Broken = (&'static str, &'static str);

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError<E> {
    /// The change itself says no.
    #[error("the settings cannot be so")]
    Refused(E),
    /// There is no such workspace.
    #[error("there is no such workspace")]
    NotFound,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They are stored but could not be read back.
    #[error("the change is stored, but could not be read back: {0}")]
    Unread(DirectoryError),
}

impl SettingsDesk {
    /// Over a store, and everybody to tell of changes.
    pub fn new(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        deliver: Arc<Deliver>,
        clock: Clock,
    ) -> Self {
        Self { store, directory, deliver, clock, changing: tokio::sync::Mutex::default() }
    }

    /// Puts in place what `change` makes of the present settings. Whether they keep the rules is for `change` to ask of [`broken`].
    ///
    /// # Errors
    /// [`SettingsError`]; nothing was changed then, except for [`SettingsError::Unread`].
    pub async fn change<E>(
        &self,
        actor: Actor,
        change: impl FnOnce(Settings) -> Result<Settings, E>,
    ) -> Result<Settings, SettingsError<E>> {
        let _one_at_a_time = self.changing.lock().await;
        let workspace = self.directory.workspace(actor.workspace_id).ok_or(SettingsError::NotFound)?;
        let settings = change(workspace.settings.clone()).map_err(SettingsError::Refused)?;
        let now = self.clock.now();
        let changes = Change::between(&workspace.settings, &settings);
        let audit = AuditRow::new(actor, now, "settings.change", actor.workspace_id).changing(changes);
        self.store.put_settings(settings.clone(), audit).await?;
        self.directory.reload(now).await.map_err(SettingsError::Unread)?;
        self.deliver.wake();
        Ok(settings)
    }
}

/// Every rule that these settings break.
pub fn broken(settings: &Settings) -> Vec<Broken> {
    const MONTH_SECONDS: u32 = 30 * 86_400;
    const SCHEDULE_MAX: usize = 50;
    const SCORE: &str = "must be a whole number from 0 to 100, or null";
    let is_score = |score: Option<u8>| score.is_none_or(|score| score <= 100);
    let in_order = match (settings.auto_approve_at, settings.auto_reject_below) {
        (Some(at), Some(below)) => below <= at,
        _ => true,
    };
    let schedule = &settings.retry_schedule_seconds;
    let is_schedule =
        (1..=SCHEDULE_MAX).contains(&schedule.len()) && schedule.iter().all(|wait| *wait <= MONTH_SECONDS);
    let rules = [
        (is_score(settings.auto_approve_at), ("auto_approve_at", SCORE)),
        (is_score(settings.auto_reject_below), ("auto_reject_below", SCORE)),
        (in_order, ("auto_reject_below", "must not be above auto_approve_at")),
        (
            (600..=MONTH_SECONDS).contains(&settings.duplicate_window_seconds),
            ("duplicate_window_seconds", "must be a whole number from 600 to 2592000"),
        ),
        (is_schedule, ("retry_schedule_seconds", "must have 1 to 50 entries, each from 0 to 2592000")),
        (
            settings.retention_days.is_none_or(|days| (1..=36_500).contains(&days)),
            ("retention_days", "must be a whole number from 1 to 36500, or null"),
        ),
        (
            are_rules(&settings.scoring),
            ("scoring", "must have lists of at most 500 entries, each of 1 to 200 characters and not blank"),
        ),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, broken)| broken).collect()
}

fn are_rules(rules: &ScoringRules) -> bool {
    const ENTRIES_MAX: usize = 500;
    const ENTRY_CHARS_MAX: usize = 200;
    let fits = |list: &Vec<String>| {
        list.len() <= ENTRIES_MAX
            && list.iter().all(|entry| !entry.trim().is_empty() && entry.chars().count() <= ENTRY_CHARS_MAX)
    };
    [&rules.ideal_customer_keywords, &rules.preferred_sources, &rules.disposable_domains]
        .into_iter()
        .all(fits)
}

#[cfg(test)]
mod tests {
    use super::broken;
    use crate::record::Settings;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Settings), fields: &[&str]) {
        let mut settings = Settings::default();
        change(&mut settings);
        let found: Vec<&str> = broken(&settings).into_iter().map(|(field, _)| field).collect();
        assert_eq!(found, fields);
    }

    #[test]
    fn each_rule_names_its_field() {
        check(|_| {}, &[]);
        check(|settings| settings.auto_approve_at = None, &[]);
        check(|settings| settings.auto_approve_at = Some(101), &["auto_approve_at"]);
        check(|settings| settings.auto_reject_below = Some(81), &["auto_reject_below"]);
        check(|settings| settings.duplicate_window_seconds = 599, &["duplicate_window_seconds"]);
        check(|settings| settings.retry_schedule_seconds.clear(), &["retry_schedule_seconds"]);
        check(|settings| settings.retry_schedule_seconds = vec![2_592_001], &["retry_schedule_seconds"]);
        check(|settings| settings.retention_days = Some(0), &["retention_days"]);
        check(|settings| settings.scoring.preferred_sources = vec![" ".to_owned()], &["scoring"]);
    }
}

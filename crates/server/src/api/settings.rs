//! A workspace's settings: shown as they are, changed field by field, checked as a whole.

use std::sync::Arc;

use agentflow_lead::FieldCode;
use axum::extract::State;
use serde_json::Value;

use super::auth::{Administers, Reads};
use super::form::Form;
use super::query::Params;
use super::{App, Reply, not_found};
use crate::record::{ScoringRules, Settings};
use crate::reply::{self, Problem};
use crate::settings::{SettingsError, broken};

pub(super) async fn show(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&[])?;
    let workspace = app.directory.workspace(caller.workspace_id).ok_or_else(|| not_found("workspace"))?;
    Ok(reply::ok(&workspace.settings))
}

/// Puts in place what the body names: an absent field stays as it is, null turns a setting off that can be.
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    mut form: Form,
) -> Reply {
    let changed = app
        .management
        .settings
        .change(caller, |mut settings| {
            apply(&mut form, &mut settings);
            for (field, rule) in broken(&settings) {
                form.refuse(field, FieldCode::InvalidFormat, rule);
            }
            form.finish().map(|()| settings)
        })
        .await;
    changed.map(reply::ok).map_err(|error| match error {
        SettingsError::Refused(problem) => problem,
        SettingsError::NotFound => not_found("workspace"),
        SettingsError::Store(error) => error.into(),
        SettingsError::Unread(error) => {
            tracing::error!(%error, "settings are stored but could not be read back");
            Problem::internal()
        }
    })
}

fn apply(form: &mut Form, settings: &mut Settings) {
    const SCORE: &str = "a whole number from 0 to 100, or null";
    if let Some(at) = form.optional("auto_approve_at", SCORE) {
        settings.auto_approve_at = at;
    }
    if let Some(below) = form.optional("auto_reject_below", SCORE) {
        settings.auto_reject_below = below;
    }
    if let Some(seconds) = form.optional("duplicate_window_seconds", "a whole number") {
        settings.duplicate_window_seconds = seconds;
    }
    if let Some(schedule) = form.optional("retry_schedule_seconds", "a list of whole numbers") {
        settings.retry_schedule_seconds = schedule;
    }
    if let Some(days) = form.optional("retention_days", "a whole number, or null") {
        settings.retention_days = days;
    }
    if let Some(supersede) = form.optional("supersede_review_requests", "true or false") {
        settings.supersede_review_requests = supersede;
    }
    if let Some(scoring) = form.optional::<Value>("scoring", "an object") {
        match merged(&settings.scoring, scoring) {
            Some(rules) => settings.scoring = rules,
            None => form.refuse(
                "scoring",
                FieldCode::InvalidType,
                "must be an object with lists of strings: ideal_customer_keywords, preferred_sources, disposable_domains",
            ),
        }
    }
}

/// The rules with those lists replaced that `change` names.
fn merged(present: &ScoringRules, change: Value) -> Option<ScoringRules> {
    let mut rules = serde_json::to_value(present).ok()?;
    let (Value::Object(rules_map), Value::Object(change)) = (&mut rules, change) else { return None };
    rules_map.extend(change);
    serde_json::from_value(rules).ok()
}

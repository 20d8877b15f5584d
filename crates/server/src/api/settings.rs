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
use crate::reply;

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
    let _one_at_a_time = app.changing.lock().await;
    let workspace = app.directory.workspace(caller.workspace_id).ok_or_else(|| not_found("workspace"))?;
    let mut settings = workspace.settings.clone();
    apply(&mut form, &mut settings);
    check(&mut form, &settings);
    form.finish()?;
    let audit = app.audit(&caller, "settings.change", caller.workspace_id);
    app.store.put_settings(settings.clone(), audit).await?;
    app.publish().await?;
    Ok(reply::ok(settings))
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

fn check(form: &mut Form, settings: &Settings) {
    const MONTH_SECONDS: u32 = 30 * 86_400;
    const SCHEDULE_MAX: usize = 50;
    let score = |score: Option<u8>| score.is_none_or(|score| score <= 100);
    form.check(
        "auto_approve_at",
        score(settings.auto_approve_at),
        "must be a whole number from 0 to 100, or null",
    );
    form.check(
        "auto_reject_below",
        score(settings.auto_reject_below),
        "must be a whole number from 0 to 100, or null",
    );
    if let (Some(at), Some(below)) = (settings.auto_approve_at, settings.auto_reject_below) {
        form.check("auto_reject_below", below <= at, "must not be above auto_approve_at");
    }
    form.check(
        "duplicate_window_seconds",
        (600..=MONTH_SECONDS).contains(&settings.duplicate_window_seconds),
        "must be a whole number from 600 to 2592000",
    );
    let schedule = &settings.retry_schedule_seconds;
    form.check(
        "retry_schedule_seconds",
        (1..=SCHEDULE_MAX).contains(&schedule.len()) && schedule.iter().all(|wait| *wait <= MONTH_SECONDS),
        "must have 1 to 50 entries, each from 0 to 2592000",
    );
    form.check(
        "retention_days",
        settings.retention_days.is_none_or(|days| (1..=36_500).contains(&days)),
        "must be a whole number from 1 to 36500, or null",
    );
    check_scoring(form, &settings.scoring);
}

fn check_scoring(form: &mut Form, rules: &ScoringRules) {
    const ENTRIES_MAX: usize = 500;
    const ENTRY_CHARS_MAX: usize = 200;
    let lists = [&rules.ideal_customer_keywords, &rules.preferred_sources, &rules.disposable_domains];
    let fits = |list: &Vec<String>| {
        list.len() <= ENTRIES_MAX
            && list.iter().all(|entry| !entry.trim().is_empty() && entry.chars().count() <= ENTRY_CHARS_MAX)
    };
    form.check(
        "scoring",
        lists.into_iter().all(fits),
        "must have lists of at most 500 entries, each of 1 to 200 characters and not blank",
    );
}

//! Settings: thresholds with a preview, scoring, delivery; and the frame of all settings pages.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Administers, Visitor};
use super::elements::token;
use super::fault::Fault;
use super::forms::{Form, Pairs, Query};
use super::page::Place;
use crate::record::Settings;
use crate::reply;
use crate::settings::{SettingsError, broken};
use crate::store::{SCORED_MAX, ScoreCounts};

/// The pages of the settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Decisions,
    Scoring,
    Inbound,
    Outbound,
    Operators,
    Tokens,
}

const TABS: [(Tab, &str, &str); 6] = [
    (Tab::Decisions, "/dashboard/settings", "Decisions"),
    (Tab::Scoring, "/dashboard/settings/scoring", "Scoring"),
    (Tab::Inbound, "/dashboard/settings/inbound", "Inbound"),
    (Tab::Outbound, "/dashboard/settings/outbound", "Outbound"),
    (Tab::Operators, "/dashboard/settings/operators", "Operators"),
    (Tab::Tokens, "/dashboard/settings/tokens", "API tokens"),
];

impl Dashboard {
    pub(super) async fn show_settings(
        &self,
        visitor: &Visitor,
        tab: Tab,
        body: &Markup,
    ) -> Result<Response, Fault> {
        let main = html! {
            main.settings id="main" {
                h1 { "Settings" }
                nav.tabs aria-label="Settings" {
                    @for (to, path, name) in TABS { a href=(path) aria-current=[(to == tab).then_some("page")] { (name) } }
                }
                (body)
            }
        };
        Ok(self.show(visitor, Place::Settings, "Settings", &main).await?)
    }

    fn settings_of(&self, visitor: &Visitor) -> Result<Settings, Fault> {
        let workspace =
            self.directory.workspace(visitor.workspace_id()).ok_or(Fault::NotFound("workspace"))?;
        Ok(workspace.settings.clone())
    }

    async fn change_settings(
        &self,
        visitor: &Visitor,
        change: impl FnOnce(Settings) -> Result<Settings, String>,
    ) -> Result<(), Fault> {
        let changed = self.management.settings.change(visitor.actor(), |settings| {
            let settings = change(settings)?;
            match broken(&settings).first() {
                None => Ok(settings),
                Some((field, rule)) => Err(format!("{} {rule}.", field.replace('_', " "))),
            }
        });
        changed.await.map(drop).map_err(|error| match error {
            SettingsError::Refused(why) => Fault::Unusable(why),
            SettingsError::NotFound => Fault::NotFound("workspace"),
            SettingsError::Store(error) => error.into(),
            SettingsError::Unread(error) => {
                tracing::error!(%error, "settings are stored but could not be read back");
                Fault::Internal
            }
        })
    }
}

/// What is shown this once.
pub(super) fn once(text: &str, value: &str) -> Markup {
    html! { section.notice.good role="status" { p { (text) } pre.copy tabindex="0" { (value) } } }
}

/// How leads of these scores go under two thresholds: approved, in review, rejected.
fn split(scores: &ScoreCounts, approve_at: Option<u8>, reject_below: Option<u8>) -> [u64; 3] {
    let mut split = [0; 3];
    for (score, count) in (0_u8..).zip(scores) {
        let way = match () {
            () if approve_at.is_some_and(|at| score >= at) => 0,
            () if reject_below.is_some_and(|below| score < below) => 2,
            () => 1,
        };
        split[way] += count;
    }
    split
}

pub(super) async fn decisions(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Query(query): Query,
) -> Result<Response, Fault> {
    let settings = dashboard.settings_of(&visitor)?;
    let previewed = query.has("preview").then(|| thresholds(&query)).transpose().map_err(Fault::Unusable)?;
    let (approve_at, reject_below) =
        previewed.unwrap_or((settings.auto_approve_at, settings.auto_reject_below));
    let preview = match previewed {
        Some((approve_at, reject_below)) => {
            let since = dashboard.clock.now().minus(Duration::from_secs(30 * 86_400));
            let scores = dashboard.store.scores(visitor.workspace_id(), since).await?;
            let now = split(&scores, settings.auto_approve_at, settings.auto_reject_below);
            preview(now, split(&scores, approve_at, reject_below))
        }
        None => html! {},
    };
    let number = |value: Option<u8>| value.map(|value| value.to_string()).unwrap_or_default();
    let schedule: Vec<String> = settings.retry_schedule_seconds.iter().map(ToString::to_string).collect();
    let body = html! {
        section.card { h2 { "Thresholds" }
            (preview)
            form.stack method="post" action="/dashboard/settings" {
                (token(&visitor))
                label { span { "Approve by itself from a score of (empty: never)" } input type="number" name="auto_approve_at" min="0" max="100" value=(number(approve_at)); }
                label { span { "Reject by itself below a score of (empty: never)" } input type="number" name="auto_reject_below" min="0" max="100" value=(number(reject_below)); }
                div.buttons {
                    button.primary { "Save" }
                    button formmethod="get" name="preview" value="yes" { "Preview with the last 30 days" }
                }
            }
        }
        section.card { h2 { "Delivery and retention" }
            form.stack method="post" action="/dashboard/settings/delivery" {
                (token(&visitor))
                label { span { "Waits before each attempt, in seconds, the first one first" } input name="retry_schedule_seconds" required value=(schedule.join(", ")); }
                label.tick { input type="checkbox" name="supersede_review_requests" value="yes" checked[settings.supersede_review_requests]; span { "Drop a review request that still waits once its lead is decided" } }
                label { span { "Delete closed leads after days (empty: keep)" } input type="number" name="retention_days" min="1" max="36500" value=(settings.retention_days.map(|days| days.to_string()).unwrap_or_default()); }
                label { span { "A body counts as a duplicate for seconds" } input type="number" name="duplicate_window_seconds" min="600" max="2592000" required value=(settings.duplicate_window_seconds); }
                div { button.primary { "Save" } }
            }
        }
    };
    dashboard.show_settings(&visitor, Tab::Decisions, &body).await
}

fn preview(now: [u64; 3], then: [u64; 3]) -> Markup {
    let rows = ["Approved by itself", "For review", "Rejected by itself"];
    html! {
        div.notice role="status" {
            p { "The leads of the last 30 days, the newest " (SCORED_MAX) " at most, by their scores:" }
            table {
                thead { tr { th { "" } th.number { "Now" } th.number { "With these" } th.number { "Change" } } }
                tbody { @for (index, row) in rows.iter().enumerate() { tr {
                    td { (row) } td.number { (now[index]) } td.number { (then[index]) }
                    td.number { (format!("{:+}", i128::from(then[index]) - i128::from(now[index]))) }
                } } }
            }
        }
    }
}

fn score(form: &Pairs, name: &str) -> Result<Option<u8>, String> {
    let Some(text) = form.text(name) else { return Ok(None) };
    text.parse()
        .ok()
        .filter(|score| *score <= 100)
        .map(Some)
        .ok_or_else(|| "A threshold is a whole number from 0 to 100, or empty.".to_owned())
}

fn thresholds(form: &Pairs) -> Result<(Option<u8>, Option<u8>), String> {
    Ok((score(form, "auto_approve_at")?, score(form, "auto_reject_below")?))
}

pub(super) async fn save_thresholds(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    dashboard
        .change_settings(&visitor, |mut settings| {
            (settings.auto_approve_at, settings.auto_reject_below) = thresholds(&form)?;
            Ok(settings)
        })
        .await?;
    Ok(reply::see_other("/dashboard/settings"))
}

pub(super) async fn save_delivery(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    dashboard
        .change_settings(&visitor, |mut settings| {
            let schedule = form.text("retry_schedule_seconds").unwrap_or_default();
            settings.retry_schedule_seconds = schedule
                .split(',')
                .map(|wait| {
                    wait.trim()
                        .parse()
                        .map_err(|_| "Waits are whole numbers of seconds with commas between.".to_owned())
                })
                .collect::<Result<_, _>>()?;
            settings.supersede_review_requests = form.has("supersede_review_requests");
            settings.retention_days = match form.text("retention_days") {
                None => None,
                Some(days) => {
                    Some(days.parse().map_err(|_| "Days are a whole number, or empty.".to_owned())?)
                }
            };
            settings.duplicate_window_seconds = form
                .parsed("duplicate_window_seconds")
                .ok_or_else(|| "The time for duplicates is a whole number of seconds.".to_owned())?;
            Ok(settings)
        })
        .await?;
    Ok(reply::see_other("/dashboard/settings"))
}

pub(super) async fn scoring(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
) -> Result<Response, Fault> {
    let rules = dashboard.settings_of(&visitor)?.scoring;
    let lists = [
        ("ideal_customer_keywords", "Words of the ideal customer", &rules.ideal_customer_keywords),
        ("preferred_sources", "Sources that count for a lead", &rules.preferred_sources),
        ("disposable_domains", "Email domains that count as throw-away", &rules.disposable_domains),
    ];
    let body = html! {
        p.hint { "One entry a line. Leads that arrive from now on are scored with them; each signal is shown with the lead." }
        form.stack method="post" action="/dashboard/settings/scoring" {
            (token(&visitor))
            @for (name, text, entries) in lists { label { span { (text) } textarea name=(name) rows="6" { (entries.join("\n")) } } }
            div { button.primary { "Save" } }
        }
    };
    dashboard.show_settings(&visitor, Tab::Scoring, &body).await
}

pub(super) async fn save_scoring(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    let lines = |name: &str| -> Vec<String> {
        let text = form.text(name).unwrap_or_default();
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    dashboard
        .change_settings(&visitor, |mut settings| {
            settings.scoring.ideal_customer_keywords = lines("ideal_customer_keywords");
            settings.scoring.preferred_sources = lines("preferred_sources");
            settings.scoring.disposable_domains = lines("disposable_domains");
            Ok(settings)
        })
        .await?;
    Ok(reply::see_other("/dashboard/settings/scoring"))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn thresholds_split_scores_as_intake_does() {
        let mut scores = [0; 101];
        (scores[0], scores[29], scores[30], scores[79], scores[80], scores[100]) = (1, 2, 4, 8, 16, 32);
        assert_eq!(split(&scores, Some(80), Some(30)), [48, 12, 3]);
        assert_eq!(split(&scores, None, Some(30)), [0, 60, 3]);
        assert_eq!(split(&scores, Some(30), Some(30)), [60, 0, 3]);
        assert_eq!(split(&scores, None, None), [0, 63, 0]);
    }
}

//! Settings: thresholds with a preview, scoring, delivery; and the frame of all settings pages.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::Outcome;
use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Administers, Visitor};
use super::elements::{sure, token};
use super::fault::Fault;
use super::fields::{Draft, Field};
use super::forms::Form;
use super::page::Place;
use crate::qualify::decide;
use crate::record::{LeadState, ScoringRules, Settings};
use crate::settings::{SettingsError, broken};
use crate::store::{LeadFilter, PageRequest, SCORED_MAX, ScoreCounts};

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

const PATH: &str = "/dashboard/settings";
const SCORES: (u32, u32) = (0, 100);
const RETENTION_DAYS: (u32, u32) = (1, 36_500);
const WINDOW_SECONDS: (u32, u32) = (600, 2_592_000);

const TABS: [(Tab, &str, &str); 6] = [
    (Tab::Decisions, "/dashboard/settings", "Decisions"),
    (Tab::Scoring, "/dashboard/settings/scoring", "Scoring"),
    (Tab::Inbound, "/dashboard/settings/inbound", "Inbound"),
    (Tab::Outbound, "/dashboard/settings/outbound", "Outbound"),
    (Tab::Operators, "/dashboard/settings/operators", "Operators"),
    (Tab::Tokens, "/dashboard/settings/tokens", "API tokens"),
];

impl Dashboard {
    /// A page of the settings; `is_right`: whether it does not answer a form that cannot be used.
    pub(super) async fn show_settings(
        &self,
        visitor: &Visitor,
        tab: Tab,
        body: &Markup,
        is_right: bool,
    ) -> Result<Response, Fault> {
        let main = html! {
            main.settings id="main" {
                h1 { "Settings" }
                nav.tabs aria-label="Settings" {
                    @for (to, path, name) in TABS { a href=(path) aria-current=[(to == tab).then_some("page")] { (name) } }
                }
                @for (_, path, _) in TABS.iter().filter(|(to, ..)| *to == tab) { (self.told(visitor, path)) }
                (body)
            }
        };
        Ok(self.show_answer(visitor, Place::Settings, "Settings", &main, is_right).await?)
    }

    pub(super) fn settings_of(&self, visitor: &Visitor) -> Result<Settings, Fault> {
        let workspace =
            self.directory.workspace(visitor.workspace_id()).ok_or(Fault::NotFound("workspace"))?;
        Ok(workspace.settings.clone())
    }

    /// Puts in place what `change` makes of the settings, or marks in `draft` which rules that breaks.
    async fn change_settings(
        &self,
        visitor: &Visitor,
        draft: &mut Draft,
        change: impl FnOnce(&mut Settings),
    ) -> Result<(), Fault> {
        let changed = self.management.settings.change(visitor.actor(), |mut settings| {
            change(&mut settings);
            let broken = broken(&settings);
            if broken.is_empty() { Ok(settings) } else { Err(broken) }
        });
        match changed.await {
            Ok(_) => {}
            Err(SettingsError::Refused(broken)) => {
                for (field, rule) in broken {
                    draft.refuse(field, format!("This {rule}."));
                }
            }
            Err(SettingsError::NotFound) => return Err(Fault::NotFound("workspace")),
            Err(SettingsError::Store(error)) => return Err(error.into()),
            Err(SettingsError::Unread(error)) => {
                tracing::error!(%error, "settings are stored but could not be read back");
                return Err(Fault::Internal);
            }
        }
        Ok(())
    }
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
) -> Result<Response, Fault> {
    dashboard.show_decisions(&visitor, &Draft::default(), &Draft::default(), &html! {}).await
}

impl Dashboard {
    async fn show_decisions(
        &self,
        visitor: &Visitor,
        thresholds: &Draft,
        delivery: &Draft,
        preview: &Markup,
    ) -> Result<Response, Fault> {
        let settings = self.settings_of(visitor)?;
        let schedule: Vec<String> = settings.retry_schedule_seconds.iter().map(ToString::to_string).collect();
        let score = |name, label, present: Option<u8>| {
            thresholds.field(&Field::number(name, label, present.map(u32::from), SCORES))
        };
        let supersede = settings.supersede_review_requests;
        let body = html! {
            section.card { h2 { "Thresholds" }
                (preview)
                form.stack method="post" action=(PATH) {
                    (token(visitor))
                    (score("auto_approve_at", "Approve automatically from a score of (empty: never)", settings.auto_approve_at))
                    (score("auto_reject_below", "Reject automatically below a score of (empty: never)", settings.auto_reject_below))
                    div.buttons {
                        button.primary { "Save" }
                        button name="preview" value="yes" { "Preview with the last 30 days" }
                    }
                }
            }
            section.card { h2 { "Delivery and retention" }
                form.stack method="post" action={ (PATH) "/delivery" } {
                    (token(visitor))
                    (delivery.field(&Field::text("retry_schedule_seconds", "Waits before each attempt, in seconds, the first one first", schedule.join(", "))))
                    label.tick { input type="checkbox" name="supersede_review_requests" value="yes" checked[delivery.is_ticked("supersede_review_requests", "yes", supersede)]; span { "Drop a review request that still waits once its lead is decided" } }
                    (delivery.field(&Field::number("retention_days", "Delete closed leads after days (empty: keep)", settings.retention_days, RETENTION_DAYS)))
                    @if delivery.is_wrong("sure") { (delivery.told("sure")) (sure()) }
                    (delivery.field(&Field { required: true, ..Field::number("duplicate_window_seconds", "Treat the same body as a duplicate for (seconds)", Some(settings.duplicate_window_seconds), WINDOW_SECONDS) }))
                    div { button.primary { "Save" } }
                }
            }
        };
        let is_right = thresholds.is_right() && delivery.is_right();
        self.show_settings(visitor, Tab::Decisions, &body, is_right).await
    }
}

impl Dashboard {
    /// How many of the newest leads in review the present thresholds would decide; a thousand are looked at.
    async fn decided_by_now(&self, visitor: &Visitor) -> Result<usize, Fault> {
        let settings = self.settings_of(visitor)?;
        let filter = LeadFilter { state: Some(LeadState::InReview), ..LeadFilter::default() };
        let (mut found, mut cursor) = (0, None);
        for _ in 0..10 {
            let request = PageRequest { cursor, limit: 100 };
            let page = self.store.leads(visitor.workspace_id(), &filter, request).await?;
            let scores = page.items.iter().filter_map(|lead| lead.scored.as_ref());
            let scores = scores.map(|scored| scored.qualification.score);
            found += scores.filter(|score| decide(*score, &settings) != Outcome::ReviewRequested).count();
            if page.next_cursor.is_none() {
                break;
            }
            cursor = page.next_cursor;
        }
        Ok(found)
    }
}

fn preview(now: [u64; 3], then: [u64; 3]) -> Markup {
    let rows = ["Approved automatically", "For review", "Rejected automatically"];
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

fn read_thresholds(draft: &mut Draft) -> [Option<u8>; 2] {
    let mut score = |name| draft.number(name, SCORES).and_then(|score| u8::try_from(score).ok());
    let [approve_at, reject_below] = [score("auto_approve_at"), score("auto_reject_below")];
    if draft.is_right() && reject_below.zip(approve_at).is_some_and(|(below, at)| below > at) {
        draft.refuse("auto_reject_below", "This must not be above the score that approves.");
    }
    [approve_at, reject_below]
}

/// Saves the thresholds, or shows what they would have made of the last leads.
pub(super) async fn save_thresholds(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    let previews = form.has("preview");
    let mut draft = Draft::of(form);
    let [approve_at, reject_below] = read_thresholds(&mut draft);
    let mut shown = html! {};
    if previews && draft.is_right() {
        let settings = dashboard.settings_of(&visitor)?;
        let since = dashboard.clock.now().minus(Duration::from_secs(30 * 86_400));
        let scores = dashboard.store.scores(visitor.workspace_id(), since).await?;
        let now = split(&scores, settings.auto_approve_at, settings.auto_reject_below);
        shown = preview(now, split(&scores, approve_at, reject_below));
    } else if draft.is_right() {
        let change = |settings: &mut Settings| {
            (settings.auto_approve_at, settings.auto_reject_below) = (approve_at, reject_below);
        };
        dashboard.change_settings(&visitor, &mut draft, change).await?;
        if draft.is_right() {
            let done = match dashboard.decided_by_now(&visitor).await? {
                0 => "Saved. It applies to new leads.".to_owned(),
                found => {
                    format!("Saved. It applies to new leads; {found} in review would be decided by it now.")
                }
            };
            return Ok(dashboard.done(&visitor, PATH, done));
        }
    }
    dashboard.show_decisions(&visitor, &draft, &Draft::default(), &shown).await
}

pub(super) async fn save_delivery(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    let (supersede, sure) = (form.has("supersede_review_requests"), form.has("sure"));
    let mut draft = Draft::of(form);
    let schedule = draft.text("retry_schedule_seconds").unwrap_or_default().split(',');
    let schedule: Option<Vec<u32>> = schedule.map(|wait| wait.trim().parse().ok()).collect();
    if schedule.is_none() {
        draft.refuse("retry_schedule_seconds", "Waits are whole numbers of seconds with commas between.");
    }
    let retention_days = draft.number("retention_days", RETENTION_DAYS);
    let window = draft.required_number("duplicate_window_seconds", WINDOW_SECONDS);
    let present = dashboard.settings_of(&visitor)?.retention_days;
    if let Some(days) =
        retention_days.filter(|days| draft.is_right() && !sure && present.is_none_or(|now| *days < now))
    {
        let age = if days == 1 { "one day".to_owned() } else { format!("{days} days") };
        draft.refuse("sure", format!("Leads are deleted for good {age} after they were closed, those that are past it at once, with their events and deliveries."));
    }
    if draft.is_right() {
        let change = |settings: &mut Settings| {
            settings.retry_schedule_seconds = schedule.unwrap_or_default();
            settings.supersede_review_requests = supersede;
            settings.retention_days = retention_days;
            settings.duplicate_window_seconds = window;
        };
        dashboard.change_settings(&visitor, &mut draft, change).await?;
        if draft.is_right() {
            return Ok(dashboard.done(&visitor, PATH, "Delivery and retention saved."));
        }
    }
    dashboard.show_decisions(&visitor, &Draft::default(), &draft, &html! {}).await
}

const SCORING: &str = "/dashboard/settings/scoring";

pub(super) async fn scoring(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
) -> Result<Response, Fault> {
    dashboard.show_scoring(&visitor, &Draft::default()).await
}

impl Dashboard {
    async fn show_scoring(&self, visitor: &Visitor, draft: &Draft) -> Result<Response, Fault> {
        let rules = self.settings_of(visitor)?.scoring;
        let lists = [
            ("ideal_customer_keywords", "Words of the ideal customer", rules.ideal_customer_keywords),
            ("preferred_sources", "Sources that count for a lead", rules.preferred_sources),
            ("disposable_domains", "Email domains that count as throw-away", rules.disposable_domains),
        ];
        let body = html! {
            section.card { h2 { "What the rules look for" }
                p.hint { "One entry a line. Leads that arrive from now on are scored with them; each signal is shown with the lead." }
                form.stack method="post" action=(SCORING) {
                    (token(visitor))
                    (draft.told("scoring"))
                    @for (name, text, entries) in &lists {
                        label { span { (text) } textarea name=(name) rows="6" { (draft.value(name, &entries.join("\n"))) } }
                    }
                    div { button.primary { "Save" } }
                }
            }
        };
        self.show_settings(visitor, Tab::Scoring, &body, draft.is_right()).await
    }
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
    let scoring = ScoringRules {
        ideal_customer_keywords: lines("ideal_customer_keywords"),
        preferred_sources: lines("preferred_sources"),
        disposable_domains: lines("disposable_domains"),
    };
    let mut draft = Draft::of(form);
    dashboard.change_settings(&visitor, &mut draft, |settings| settings.scoring = scoring).await?;
    if draft.is_right() {
        return Ok(dashboard.done(&visitor, SCORING, "Saved. Leads that arrive from now on are scored so."));
    }
    dashboard.show_scoring(&visitor, &draft).await
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

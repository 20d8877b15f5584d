//! One lead as operators see it: what was qualified and why, what was sent, what happened to it.

use agentflow_events::{LeadId, Moment, Qualification};
use agentflow_lead::Submission;
use maud::{Markup, html};
use serde_json::value::RawValue;

use super::Dashboard;
use super::elements::{badge, bar, count, lead_state, score, time};
use crate::record::{DecisionRecord, EventRow, Lead, Scored, Settings, StoredSubmission};
use crate::store::{StoreError, Submissions};

/// A lead with everything that its page shows.
pub(super) struct Dossier {
    pub(super) lead: Lead,
    pub(super) submissions: Submissions,
    pub(super) events: Vec<EventRow>,
    /// Who decided, where it is decided.
    decided_by: Option<String>,
}

impl Dashboard {
    /// Bytes of submissions that are looked at for one page.
    const SUBMISSION_BYTES: usize = 1024 * 1024;

    pub(super) async fn dossier(&self, lead: Lead) -> Result<Dossier, StoreError> {
        let submissions = self.store.submissions(lead.workspace_id, lead.id, Self::SUBMISSION_BYTES).await?;
        let events = self.store.lead_events(lead.workspace_id, lead.id).await?;
        let decided_by = self.decided_by(&lead).await?;
        Ok(Dossier { lead, submissions, events, decided_by })
    }

    async fn decided_by(&self, lead: &Lead) -> Result<Option<String>, StoreError> {
        let Some(record) = &lead.decision else { return Ok(None) };
        let by = match record.decision.operator_id {
            Some(operator) => self.store.operator(operator).await?.map(|operator| operator.email),
            None => Some("the thresholds".to_owned()),
        };
        Ok(Some(by.unwrap_or_else(|| "a former operator".to_owned())))
    }

    /// Which decision was taken on a lead, by whom and when: `approved by ada@example.com 20 s ago`.
    pub(super) async fn decision_on(&self, lead: &Lead, now: Moment) -> Result<Option<Markup>, StoreError> {
        let by = self.decided_by(lead).await?;
        Ok(lead.decision.as_ref().zip(by).map(|(record, by)| decision(record, &by, now)))
    }
}

impl Dossier {
    /// Everything but the form that decides.
    pub(super) fn markup(&self, now: Moment, settings: &Settings) -> Markup {
        let Lead { details, state, .. } = &self.lead;
        html! {
            header.lead {
                div {
                    h2 { (details.name) }
                    p.sub {
                        (details.email.as_sent())
                        @if let Some(company) = &details.company { " · " (company) }
                    }
                }
                (lead_state(*state))
            }
            p.facts {
                "Received " (time(self.lead.received_at, now))
                @if let Some(source) = &details.source { " from " b { (source) } }
                @if let Some(previous) = self.lead.previous_lead_id {
                    " · " a href={ "/dashboard/leads/" (previous) } { "an earlier lead of this person" }
                }
            }
            @if let Some(scored) = &self.lead.scored { (qualification(scored, settings)) }
            @if let Some(message) = &details.message {
                section { h3 { "Message" } p.message { (message) } }
            }
            @if !details.fields.is_empty() {
                section { h3 { "Additional fields" }
                    dl.fields {
                        @for (name, value) in details.fields.iter() { dt { (name) } dd { (plain(value)) } }
                    }
                }
            }
            (self.history(now))
        }
    }

    fn history(&self, now: Moment) -> Markup {
        html! {
            section { h3 { "History" }
                ol.history {
                    @for (at, what) in self.happenings() { li { (time(at, now)) span { (what) } } }
                }
                @if self.submissions.count > self.submissions.newest.len() as u64 {
                    p.hint { "Only the newest " (self.submissions.newest.len()) " of " (self.submissions.count) " submissions are shown." }
                }
            }
        }
    }

    /// What happened to the lead, oldest first.
    fn happenings(&self) -> Vec<(Moment, Markup)> {
        let mut all: Vec<(Moment, Markup)> = Vec::new();
        for (index, submission) in self.submissions.newest.iter().enumerate() {
            let first = index == 0 && self.submissions.count == self.submissions.newest.len() as u64;
            let title = if first { "Submitted" } else { "Submitted again" };
            all.push((submission.at, html! {
                details { summary { (title) } pre tabindex="0" { (String::from_utf8_lossy(&submission.body)) } }
            }));
        }
        if let Some(record) = &self.lead.decision {
            let by = self.decided_by.as_deref().unwrap_or_default();
            all.push((
                record.decided_at,
                html! {
                    (record.decision.outcome.as_str()) " by " (by)
                    @if let Some(note) = &record.decision.note { q.note { (note) } }
                },
            ));
        }
        for event in &self.events {
            all.push((event.at, html! {
                a href={ "/dashboard/outbound?event=" (event.id) } { code { (event.event_type.as_str()) } }
                " was made"
            }));
        }
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// What the submissions after version `seen` changed, as a table; nothing where that cannot be told.
    pub(super) fn changes_since(&self, seen: u64) -> Option<Markup> {
        let later = usize::try_from(self.lead.version.checked_sub(seen)?).ok()?;
        let known = self.submissions.newest.len().checked_sub(later)?;
        let before = merged(self.submissions.newest.get(..known)?)?;
        let differences = differences(&before, &self.lead.details);
        Some(html! {
            p { (count(later, "further submission")) " joined the lead since you saw it." }
            @if differences.is_empty() {
                p { "Its fields are the same as before." }
            } @else {
                table {
                    thead { tr { th { "Field" } th { "You saw" } th { "Now" } } }
                    tbody { @for (field, old, new) in &differences { tr { td { (field) } td { (old) } td { (new) } } } }
                }
            }
        })
    }

    /// That it is decided already, where it is.
    pub(super) fn decided(&self, now: Moment) -> Option<Markup> {
        let (record, by) = (self.lead.decision.as_ref()?, self.decided_by.as_deref()?);
        Some(html! { p { (self.lead.details.name) " was already " (decision(record, by, now)) "." } })
    }
}

fn decision(record: &DecisionRecord, by: &str, now: Moment) -> Markup {
    html! { (record.decision.outcome.as_str()) " by " b { (by) } " " (time(record.decided_at, now)) }
}

fn qualification(scored: &Scored, settings: &Settings) -> Markup {
    let Qualification { score: points, confidence, summary, recommended_action, dimensions, .. } =
        &scored.qualification;
    html! {
        section.qualification {
            div.verdict {
                (score(points.value(), settings))
                div {
                    p { b { (summary) } }
                    p.sub { "Confidence " (confidence.as_str()) " · recommended: " (recommended_action.as_str().replace('_', " ")) }
                }
            }
            meter.whole min="0" max="100" value=(points.value()) aria-label="Score" { (points.value()) " of 100" }
            div.bars {
                (bar("Company fit", dimensions.company_fit.value()))
                (bar("Intent", dimensions.intent_strength.value()))
                (bar("Budget", dimensions.budget_signal.value()))
                (bar("Timeline", dimensions.timeline.value()))
            }
            details open {
                summary { "Signals, and what each gave" }
                table.signals {
                    tbody {
                        @for signal in &scored.signals {
                            tr {
                                td { (badge(if signal.points < 0 { "bad" } else { "good" }, &format!("{:+}", signal.points))) }
                                td { b { (signal.name.replace('_', " ")) } " " span.sub { (signal.detail) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// An additional field's value: texts as they are, everything else as its JSON.
fn plain(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

fn merged(submissions: &[StoredSubmission]) -> Option<Submission> {
    let mut parsed = submissions.iter().map(|submission| Submission::parse(&submission.body).ok());
    let mut whole = parsed.next()??;
    for newer in parsed {
        whole.merge(&newer?);
    }
    Some(whole)
}

fn differences(before: &Submission, after: &Submission) -> Vec<(String, String, String)> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut pairs = vec![
        ("name".to_owned(), before.name.clone(), after.name.clone()),
        ("email".to_owned(), before.email.as_sent().to_owned(), after.email.as_sent().to_owned()),
        ("company".to_owned(), text(&before.company), text(&after.company)),
        ("message".to_owned(), text(&before.message), text(&after.message)),
        ("source".to_owned(), text(&before.source), text(&after.source)),
    ];
    for (name, value) in after.fields.iter() {
        pairs.push((name.to_owned(), before.fields.get(name).map(plain).unwrap_or_default(), plain(value)));
    }
    pairs.retain(|(_, old, new)| old != new);
    pairs
}

/// The path of a lead's own page.
pub(super) fn path(lead: LeadId) -> String {
    format!("/dashboard/leads/{lead}")
}

#[cfg(test)]
mod tests {
    use agentflow_lead::Submission;

    use super::differences;

    #[test]
    fn what_changed_is_told_field_by_field() {
        let first =
            Submission::parse(br#"{"name":"A","email":"a@example.com","plan":"small","seats":5}"#).unwrap();
        let mut second = first.clone();
        second.merge(
            &Submission::parse(
                br#"{"name":"A","email":"a@example.com","company":"B","plan":"big","seats":5}"#,
            )
            .unwrap(),
        );
        let text = |field: &str, old: &str, new: &str| (field.to_owned(), old.to_owned(), new.to_owned());
        assert_eq!(differences(&first, &second), [text("company", "", "B"), text("plan", "small", "big")]);
        assert!(differences(&second, &second).is_empty());
    }
}

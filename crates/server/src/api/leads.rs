//! Leads: lists, one lead, and an operator's decision on it.

use std::sync::Arc;

use agentflow_events::{Decision, EventId, EventType, LeadId, Moment, Qualification};
use agentflow_lead::{Email, FieldCode};
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;

use super::auth::{Caller, Decides, Reads};
use super::form::Form;
use super::query::{Named, PageJson, Params};
use super::{App, Reply, id, not_found};
use crate::id::SubmissionId;
use crate::reason::Reason;
use crate::record::{DecisionRecord, EventRow, Lead, LeadState, Scored, Signal, StoredSubmission};
use crate::reply::{self, Problem};
use crate::review::{Judgement, ReviewError, Verdict};
use crate::store::{LeadFilter, Page, Submissions};

#[derive(Serialize)]
struct LeadJson {
    id: LeadId,
    version: u64,
    state: LeadState,
    email: String,
    name: String,
    company: Option<String>,
    message: Option<String>,
    source: Option<String>,
    submitted_at: Option<String>,
    fields: Box<RawValue>,
    score: Option<u8>,
    received_at: Moment,
    scored_at: Option<Moment>,
    previous_lead_id: Option<LeadId>,
    /// How many there are; `submissions` has the newest.
    submission_count: u64,
    submissions: Vec<SubmissionJson>,
    qualification: Option<QualificationJson>,
    decision: Option<DecisionJson>,
    events: Vec<EventHeadJson>,
}

#[derive(Serialize)]
struct SubmissionJson {
    id: SubmissionId,
    at: Moment,
    body: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct QualificationJson {
    #[serde(flatten)]
    qualification: Qualification,
    signals: Vec<Signal>,
}

#[derive(Serialize)]
struct DecisionJson {
    #[serde(flatten)]
    decision: Decision,
    decided_at: Moment,
}

#[derive(Serialize)]
struct EventHeadJson {
    id: EventId,
    r#type: EventType,
    at: Moment,
}

impl LeadJson {
    fn new(lead: Lead, submissions: Submissions, events: Vec<EventRow>) -> Self {
        let details = lead.details;
        let fields = RawValue::from_string(details.fields.to_json());
        Self {
            id: lead.id,
            version: lead.version,
            state: lead.state,
            email: details.email.as_sent().to_owned(),
            name: details.name,
            company: details.company,
            message: details.message,
            source: details.source,
            submitted_at: details.submitted_at.map(|at| at.as_sent().to_owned()),
            fields: fields.expect("a lead's fields are written as an object"),
            score: lead.scored.as_ref().map(|scored| scored.qualification.score.value()),
            received_at: lead.received_at,
            scored_at: lead.scored_at,
            previous_lead_id: lead.previous_lead_id,
            submission_count: submissions.count,
            submissions: submissions.newest.into_iter().map(SubmissionJson::from).collect(),
            qualification: lead.scored.map(QualificationJson::from),
            decision: lead.decision.map(DecisionJson::from),
            events: events.into_iter().map(EventHeadJson::from).collect(),
        }
    }
}

impl From<StoredSubmission> for SubmissionJson {
    fn from(submission: StoredSubmission) -> Self {
        // It was parsed before it was stored.
        Self { id: submission.id, at: submission.at, body: serde_json::from_slice(&submission.body).ok() }
    }
}

impl From<Scored> for QualificationJson {
    fn from(scored: Scored) -> Self {
        Self { qualification: scored.qualification, signals: scored.signals }
    }
}

impl From<DecisionRecord> for DecisionJson {
    fn from(record: DecisionRecord) -> Self {
        Self { decision: record.decision, decided_at: record.decided_at }
    }
}

impl From<EventRow> for EventHeadJson {
    fn from(event: EventRow) -> Self {
        Self { id: event.id, r#type: event.event_type, at: event.at }
    }
}

impl App {
    /// Bytes of submissions shown with one lead, and with each of a list.
    const SUBMISSION_BYTES: usize = 1024 * 1024;
    const SUBMISSION_BYTES_IN_LIST: usize = 16 * 1024;

    async fn show_lead(
        &self,
        caller: &Caller,
        lead: Lead,
        submission_bytes: usize,
    ) -> Result<LeadJson, Problem> {
        let submissions = self.store.submissions(caller.workspace_id, lead.id, submission_bytes).await?;
        let events = self.store.lead_events(caller.workspace_id, lead.id).await?;
        Ok(LeadJson::new(lead, submissions, events))
    }
}

pub(super) async fn list(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&["state", "email", "source", "q", "cursor", "limit"])?;
    let filter = LeadFilter {
        oldest_first: false,
        state: params.parsed("state", "received, in_review, qualified or rejected", LeadState::from_name)?,
        email: params.parsed("email", "a whole email address", |text| {
            Email::parse(text).ok().map(|email| email.identity().to_owned())
        })?,
        source: params.text("source").map(str::to_owned),
        text: params.text("q").map(str::to_owned),
    };
    let read = |page| app.store.leads(caller.workspace_id, &filter, page);
    let Page { items, next_cursor } = Page::full(params.page()?, read).await?;
    let mut shown = Vec::with_capacity(items.len());
    for lead in items {
        shown.push(app.show_lead(&caller, lead, App::SUBMISSION_BYTES_IN_LIST).await?);
    }
    Ok(reply::ok(PageJson::new(Page { items: shown, next_cursor }, |lead| lead)))
}

pub(super) async fn one(State(app): State<Arc<App>>, Reads(caller): Reads, Named(lead): Named) -> Reply {
    let lead_id = id(&lead, "lead")?;
    let lead = app.store.lead(caller.workspace_id, lead_id).await?.ok_or_else(|| not_found("lead"))?;
    Ok(reply::ok(app.show_lead(&caller, lead, App::SUBMISSION_BYTES).await?))
}

pub(super) async fn decide(
    State(app): State<Arc<App>>,
    Decides(caller): Decides,
    Named(lead): Named,
    mut form: Form,
) -> Reply {
    const NOTE_CHARS_MAX: usize = 2_000;
    let lead_id = id(&lead, "lead")?;
    let outcome: Option<String> = form.required("outcome", "a string");
    let verdict = match outcome.as_deref() {
        Some("approved") => Some(Verdict::Approve),
        Some("rejected") => Some(Verdict::Reject),
        Some(_) => {
            form.refuse("outcome", FieldCode::InvalidFormat, "must be approved or rejected");
            None
        }
        None => None,
    };
    let note: Option<Option<String>> = form.optional("note", "a string or null");
    let note = note.flatten().filter(|note| !note.trim().is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
        form.refuse("note", FieldCode::TooLong, format!("must have {NOTE_CHARS_MAX} characters at most"));
    }
    let version: Option<Option<u64>> = form.optional("version", "a whole number or null");
    form.finish()?;
    let Some(verdict) = verdict else { return Err(Problem::internal()) };
    let judgement = Judgement {
        workspace_id: caller.workspace_id,
        lead_id,
        operator_id: caller.operator_id,
        verdict,
        note,
        version: version.flatten(),
    };
    // In a task of its own: a caller that hangs up cannot stop a decision between its commit and its dispatch.
    let review = Arc::clone(&app);
    let decided = tokio::spawn(async move { review.review.decide(&judgement).await });
    let decided = decided.await.map_err(|_| Problem::internal())?;
    let lead = decided.map_err(|error| match error {
        ReviewError::NotFound => not_found("lead"),
        ReviewError::Closed(_) => Problem::new(Reason::LeadClosed, sentence(&error)),
        ReviewError::Changed(_) => Problem::new(Reason::LeadChanged, sentence(&error)),
        ReviewError::Store(error) => error.into(),
    })?;
    Ok(reply::ok(app.show_lead(&caller, lead, App::SUBMISSION_BYTES).await?))
}

fn sentence(error: &ReviewError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

//! Settings: the inbound URL and the signing secrets, shown after the password was given again, and replaced.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::Dashboard;
use super::access::{Administers, Visitor};
use super::elements::{badge, must_be_sure, risky, time, token, utc};
use super::fault::Fault;
use super::fields::{Draft, Field};
use super::forms::{Form, Path};
use super::settings::Tab;
use super::start;
use crate::id::SecretId;
use crate::record::SecretDirection;
use crate::reply;
use crate::rotation::{Rotate, RotationError, SecretState};
use crate::setup;

impl From<RotationError> for Fault {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::NotFound => Fault::NotFound("secret"),
            RotationError::Store(error) => error.into(),
            RotationError::Unread(error) => {
                tracing::error!(%error, "a change of a secret is stored but could not be read back");
                Fault::Internal
            }
            refused => Fault::Unusable(format!("Sorry: {refused}")),
        }
    }
}

fn path(direction: SecretDirection) -> String {
    format!("/dashboard/settings/{}", direction.as_str())
}

fn direction_of(name: &str) -> Result<SecretDirection, Fault> {
    match name {
        "inbound" => Ok(SecretDirection::Inbound),
        "outbound" => Ok(SecretDirection::Outbound),
        _ => Err(Fault::NotFound("page")),
    }
}

pub(super) async fn inbound(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
) -> Result<Response, Fault> {
    dashboard.show_secrets(&visitor, SecretDirection::Inbound, &Draft::default()).await
}

pub(super) async fn outbound(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
) -> Result<Response, Fault> {
    dashboard.show_secrets(&visitor, SecretDirection::Outbound, &Draft::default()).await
}

impl Dashboard {
    async fn show_secrets(
        &self,
        visitor: &Visitor,
        direction: SecretDirection,
        draft: &Draft,
    ) -> Result<Response, Fault> {
        let mut secrets = self.management.rotation.list(visitor.workspace_id()).await?;
        secrets.retain(|(row, _)| row.direction == direction);
        let now = self.clock.now();
        let act = format!("/dashboard/settings/secrets/{}", direction.as_str());
        let inbound = direction == SecretDirection::Inbound;
        let hours = |name, label| {
            draft.field(&Field { required: true, ..Field::number(name, label, Some(24), HOURS) })
        };
        let body = html! {
            section.card { h2 { @if inbound { "URL and signing secret" } @else { "Signing secret" } }
                p { @if inbound { "Senders POST leads to the URL and sign them with the secret. Both are credentials." } @else { "Receivers verify events with it. It is not the inbound secret." } }
                form.stack method="post" action={ (act) "/reveal" } {
                    (token(visitor))
                    label { span { "Your password, to see it" } input type="password" name="password" autocomplete="current-password" required; }
                    div { button { "Show" } }
                }
            }
            section { h2 { "Active secrets" }
                div.scroll { table.cards {
                    thead { tr { th { "Secret" } th { "State" } th { "Made" } th { "Valid" } @if inbound { th { "Used while replaced" } } th { span.hidden { "Actions" } } } }
                    tbody { @for (row, state) in &secrets { tr {
                        td data-th="Secret" { code { (row.id) } }
                        td data-th="State" { @match state { SecretState::Active => (badge("good", "in use")), SecretState::Pending => (badge("wait", "announced")), SecretState::Retiring => (badge("plain", "replaced")) } }
                        td data-th="Made" { (time(row.created_at, now)) }
                        td data-th="Valid" { span {
                            @if *state == SecretState::Pending { "from " (utc(row.active_from)) }
                            @else if let Some(end) = row.expires_at { "until " (utc(end)) }
                            @else { "until it is replaced" }
                        } }
                        @if inbound { td data-th="Used while replaced" { span {
                            @if *state == SecretState::Retiring { (row.uses) " times" @if let Some(at) = row.last_used_at { ", last " (time(at, now)) } } @else { "–" }
                        } } }
                        td.acts data-th="Actions" {
                            @let drop = format!("{act}/{}/drop", row.id);
                            @match state {
                                SecretState::Active => {},
                                SecretState::Pending => (risky(visitor, &drop, "Cancel", "The present secret stays in use.")),
                                SecretState::Retiring => (risky(visitor, &drop, "Drop now", "What is signed with it is refused from then on.")),
                            }
                        }
                    } } }
                } }
                @if inbound { p.hint { "A replaced secret that was not used for days is safe to drop." } }
            }
            section { h2 { "Rotate the secret" }
                form.stack method="post" action={ (act) "/rotate" } {
                    (token(visitor))
                    @if !inbound { (hours("after", "Sign with the new one only after (hours)")) }
                    (hours("overlap", if inbound { "Keep accepting the old secret for (hours; 0: it ends at once)" } else { "Keep signing with the old secret, too, for (hours; 0: it ends at once)" }))
                    div { button.primary { "Rotate the secret" } }
                }
            }
            @if inbound {
                section { h2 { "Replace the URL" }
                    (risky(visitor, "/dashboard/settings/inbound/endpoint", "Make a new URL", "The old URL is unknown at once: no lead comes in by it any more. Do this only if it became known to others."))
                }
            }
        };
        let tab = if inbound { Tab::Inbound } else { Tab::Outbound };
        self.show_settings(visitor, tab, &body, draft.is_right()).await
    }
}

pub(super) async fn reveal(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(direction): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let direction = direction_of(&direction)?;
    let what = match direction {
        SecretDirection::Inbound => "To see the inbound URL and its signing secret.",
        SecretDirection::Outbound => "To see the outbound signing secret.",
    };
    if let Some(asks) = dashboard.asks_password(&visitor, &form, what).await? {
        return Ok(asks);
    }
    let page = path(direction);
    let (secret, token) = dashboard.management.rotation.reveal(visitor.actor(), direction).await?;
    let Some(token) = token else {
        dashboard.tell_value(&visitor, &page, "The outbound signing secret.", &secret);
        return Ok(reply::see_other(&page));
    };
    let url = setup::inbound_url(&dashboard.base_url, &token);
    if let Some(page) = form.text("for").and_then(start::page) {
        dashboard.tell_first_leads(&visitor, page, &url, &secret);
        return Ok(reply::see_other(page));
    }
    dashboard.tell_value(&visitor, &page, "The inbound URL.", &url);
    dashboard.tell_value(&visitor, &page, "The inbound signing secret.", &secret);
    Ok(reply::see_other(&page))
}

/// Hours of a rotation: up to the thirty days that [`Rotation`](crate::rotation::Rotation) allows.
const HOURS: (u32, u32) = (0, 720);

pub(super) async fn rotate(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(direction): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let direction = direction_of(&direction)?;
    let mut draft = Draft::of(form.clone());
    let mut hours = |name| Duration::from_secs(u64::from(draft.required_number(name, HOURS)) * 3_600);
    let activate_after = match direction {
        SecretDirection::Inbound => Duration::ZERO,
        SecretDirection::Outbound => hours("after"),
    };
    let overlap = hours("overlap");
    if !draft.is_right() {
        return dashboard.show_secrets(&visitor, direction, &draft).await;
    }
    let what = format!("To make a new {} signing secret.", direction.as_str());
    if let Some(asks) = dashboard.asks_password(&visitor, &form, &what).await? {
        return Ok(asks);
    }
    let rotate = Rotate { direction, activate_after, overlap };
    let fresh = dashboard.management.rotation.rotate(visitor.actor(), rotate).await?;
    let text = format!(
        "The new {} secret, in use from {}; the old one counts until {}. Copy it now.",
        direction.as_str(),
        utc(fresh.active_from),
        utc(fresh.old_expires_at)
    );
    dashboard.deliver.wake();
    let page = path(direction);
    dashboard.tell_value(&visitor, &page, text, &fresh.text);
    Ok(dashboard.done(&visitor, &page, "The new secret is made."))
}

pub(super) async fn drop_secret(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path((direction, secret)): Path<(String, String)>,
    Form(form): Form,
) -> Result<Response, Fault> {
    must_be_sure(&form)?;
    let direction = direction_of(&direction)?;
    let secret: SecretId = secret.parse().map_err(|_| Fault::NotFound("secret"))?;
    dashboard.management.rotation.drop_secret(visitor.actor(), secret).await?;
    Ok(dashboard.done(&visitor, &path(direction), "The secret is dropped."))
}

pub(super) async fn rotate_endpoint(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    must_be_sure(&form)?;
    if let Some(asks) = dashboard.asks_password(&visitor, &form, "To make a new inbound URL.").await? {
        return Ok(asks);
    }
    let (_, token) = dashboard.management.rotation.rotate_endpoint(visitor.actor()).await?;
    let url = setup::inbound_url(&dashboard.base_url, &token);
    let page = path(SecretDirection::Inbound);
    dashboard.tell_value(&visitor, &page, "The new inbound URL.", &url);
    Ok(dashboard.done(&visitor, &page, "The new URL is in place; the old one is unknown."))
}

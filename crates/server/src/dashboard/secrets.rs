//! Settings: the inbound URL and the signing secrets, shown after the password was given again, and replaced.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use super::Dashboard;
use super::access::{Administers, Visitor};
use super::elements::{badge, time, token, utc};
use super::fault::Fault;
use super::forms::Form;
use super::settings::{Tab, once};
use crate::id::SecretId;
use crate::record::SecretDirection;
use crate::reply;
use crate::rotation::{Rotate, Rotation, RotationError, SecretState};
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
    dashboard.show_secrets(&visitor, SecretDirection::Inbound, &html! {}).await
}

pub(super) async fn outbound(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
) -> Result<Response, Fault> {
    dashboard.show_secrets(&visitor, SecretDirection::Outbound, &html! {}).await
}

impl Dashboard {
    async fn show_secrets(
        &self,
        visitor: &Visitor,
        direction: SecretDirection,
        news: &Markup,
    ) -> Result<Response, Fault> {
        let mut secrets = self.management.rotation.list(visitor.workspace_id()).await?;
        secrets.retain(|(row, _)| row.direction == direction);
        let now = self.clock.now();
        let act = format!("/dashboard/settings/secrets/{}", direction.as_str());
        let inbound = direction == SecretDirection::Inbound;
        let body = html! {
            (news)
            section.card { h2 { @if inbound { "URL and signing secret" } @else { "Signing secret" } }
                p { @if inbound { "Senders POST leads to the URL and sign them with the secret. Both are credentials." } @else { "Receivers verify events with it. It is not the inbound secret." } }
                form.stack method="post" action={ (act) "/reveal" } {
                    (token(visitor))
                    label { span { "Your password, to see it" } input type="password" name="password" autocomplete="current-password" required; }
                    div { button { "Show" } }
                }
            }
            section { h2 { "Secrets that count" }
                div.scroll { table {
                    thead { tr { th { "Secret" } th { "State" } th { "Made" } th { "Valid" } @if inbound { th { "Used while replaced" } } th { span.hidden { "Actions" } } } }
                    tbody { @for (row, state) in &secrets { tr {
                        td { code { (row.id) } }
                        td { @match state { SecretState::Active => (badge("good", "in use")), SecretState::Pending => (badge("wait", "announced")), SecretState::Retiring => (badge("plain", "replaced")) } }
                        td { (time(row.created_at, now)) }
                        td {
                            @if *state == SecretState::Pending { "from " (utc(row.active_from)) }
                            @else if let Some(end) = row.expires_at { "until " (utc(end)) }
                            @else { "until it is replaced" }
                        }
                        @if inbound { td {
                            @if *state == SecretState::Retiring { (row.uses) " times" @if let Some(at) = row.last_used_at { ", last " (time(at, now)) } }
                        } }
                        td { @if *state != SecretState::Active {
                            form method="post" action={ (act) "/" (row.id) "/drop" } { (token(visitor)) button { @if *state == SecretState::Pending { "Cancel" } @else { "Drop now" } } }
                        } }
                    } } }
                } }
                @if inbound { p.hint { "A replaced secret that was not used for days is safe to drop." } }
            }
            section { h2 { "Replace it" }
                form.stack method="post" action={ (act) "/rotate" } {
                    (token(visitor))
                    @if !inbound { label { span { "Sign with the new one only after (hours)" } input type="number" name="after" min="0" max="720" value="24"; } }
                    label { span { "The old one counts beside it for (hours)" } input type="number" name="overlap" min="0" max="720" value="24"; }
                    div { button.primary { "Make a new secret" } }
                }
            }
            @if inbound {
                section { h2 { "Replace the URL" }
                    p.hint { "The old URL is unknown at once. Do this only if it became known to others." }
                    form method="post" action="/dashboard/settings/inbound/endpoint" { (token(visitor)) button.bad { "Make a new URL" } }
                }
            }
        };
        self.show_settings(visitor, if inbound { Tab::Inbound } else { Tab::Outbound }, &body).await
    }
}

pub(super) async fn reveal(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(direction): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let direction = direction_of(&direction)?;
    dashboard.prove_password(&visitor, &form, "password").await?;
    let (secret, token) = dashboard.management.rotation.reveal(visitor.actor(), direction).await?;
    let url = token.map(|token| setup::inbound_url(&dashboard.base_url, &token));
    let news = html! {
        @if let Some(url) = &url { (once("The inbound URL.", url)) }
        (once(if url.is_some() { "The inbound signing secret." } else { "The outbound signing secret." }, &secret))
    };
    dashboard.show_secrets(&visitor, direction, &news).await
}

pub(super) async fn rotate(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path(direction): Path<String>,
    Form(form): Form,
) -> Result<Response, Fault> {
    let direction = direction_of(&direction)?;
    let hours = |name: &str, max: Duration| {
        let hours = form.text(name).map_or(Some(0), |text| text.parse::<u32>().ok());
        let time =
            hours.map(|hours| Duration::from_secs(u64::from(hours) * 3_600)).filter(|time| *time <= max);
        time.ok_or_else(|| Fault::Unusable("Hours are a whole number from 0 to 720.".to_owned()))
    };
    let activate_after = match direction {
        SecretDirection::Inbound => Duration::ZERO,
        SecretDirection::Outbound => hours("after", Rotation::ACTIVATE_AFTER_MAX)?,
    };
    let rotate = Rotate { direction, activate_after, overlap: hours("overlap", Rotation::OVERLAP_MAX)? };
    let what = format!("To make a new {} signing secret.", direction.as_str());
    if let Some(asks) = dashboard.asks_password(&visitor, &form, &what).await? {
        return Ok(asks);
    }
    let fresh = dashboard.management.rotation.rotate(visitor.actor(), rotate).await?;
    let text = format!(
        "The new {} secret, in use from {}; the old one counts until {}. Copy it now.",
        direction.as_str(),
        utc(fresh.active_from),
        utc(fresh.old_expires_at)
    );
    dashboard.deliver.wake();
    dashboard.show_secrets(&visitor, direction, &once(&text, &fresh.text)).await
}

pub(super) async fn drop_secret(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Path((direction, secret)): Path<(String, String)>,
    Form(_): Form,
) -> Result<Response, Fault> {
    let direction = direction_of(&direction)?;
    let secret: SecretId = secret.parse().map_err(|_| Fault::NotFound("secret"))?;
    dashboard.management.rotation.drop_secret(visitor.actor(), secret).await?;
    Ok(reply::see_other(&path(direction)))
}

pub(super) async fn rotate_endpoint(
    State(dashboard): State<Arc<Dashboard>>,
    Administers(visitor): Administers,
    Form(form): Form,
) -> Result<Response, Fault> {
    if let Some(asks) = dashboard.asks_password(&visitor, &form, "To make a new inbound URL.").await? {
        return Ok(asks);
    }
    let (_, token) = dashboard.management.rotation.rotate_endpoint(visitor.actor()).await?;
    let url = setup::inbound_url(&dashboard.base_url, &token);
    dashboard.show_secrets(&visitor, SecretDirection::Inbound, &once("The new inbound URL.", &url)).await
}

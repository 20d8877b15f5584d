//! Signing secrets and the inbound endpoint. What is new is shown in the reply that makes it, and never again.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::Moment;
use axum::extract::State;
use serde::Serialize;

use super::auth::{Administers, Reads};
use super::form::Form;
use super::query::{Named, NamedTwo, PageJson, Params, bad};
use super::{App, Reply, id, not_found};
use crate::id::{EndpointId, SecretId};
use crate::reason::Reason;
use crate::record::{Endpoint, SecretDirection, SecretRow};
use crate::reply::{self, Problem};
use crate::rotation::{Rotate, Rotation, RotationError, SecretState};
use crate::setup;
use crate::store::Page;

const OVERLAP_SECONDS: u32 = 86_400;

impl From<RotationError> for Problem {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::NotFound => not_found("secret"),
            RotationError::Store(error) => error.into(),
            RotationError::Unread(error) => {
                tracing::error!(%error, "a change of a secret is stored but could not be read back");
                Problem::internal()
            }
            refused @ (RotationError::Pending(_) | RotationError::TooMany | RotationError::Present) => {
                bad(sentence(&refused))
            }
        }
    }
}

fn sentence(error: &RotationError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let text: String = first.chain(letters).collect();
    if text.ends_with('.') { text } else { text + "." }
}

#[derive(Serialize)]
struct SecretStateJson {
    id: SecretId,
    direction: SecretDirection,
    state: SecretState,
    created_at: Moment,
    active_from: Moment,
    valid_until: Option<Moment>,
    /// Counted for inbound ones, while there are several.
    uses: Option<u64>,
    last_used_at: Option<Moment>,
}

impl From<(SecretRow, SecretState)> for SecretStateJson {
    fn from((row, state): (SecretRow, SecretState)) -> Self {
        Self {
            id: row.id,
            direction: row.direction,
            state,
            created_at: row.created_at,
            active_from: row.active_from,
            valid_until: row.expires_at,
            uses: (row.direction == SecretDirection::Inbound).then_some(row.uses),
            last_used_at: row.last_used_at,
        }
    }
}

/// Where the secrets stand; not the secrets.
pub(super) async fn list(State(app): State<Arc<App>>, Reads(caller): Reads, params: Params) -> Reply {
    params.only(&[])?;
    let mut items = app.management.rotation.list(caller.workspace_id).await?;
    items.reverse();
    Ok(reply::ok(PageJson::new(Page { items, next_cursor: None }, SecretStateJson::from)))
}

pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(direction): Named,
    mut form: Form,
) -> Reply {
    #[derive(Serialize)]
    struct SecretJson<'a> {
        id: SecretId,
        direction: SecretDirection,
        secret: &'a str,
        created_at: Moment,
        active_from: Moment,
        old_expires_at: Moment,
    }
    let direction = direction_of(&direction)?;
    let overlap = seconds(&mut form, "overlap_seconds", Rotation::OVERLAP_MAX);
    let activate_after = match direction {
        SecretDirection::Inbound => None,
        SecretDirection::Outbound => {
            seconds(&mut form, "activate_after_seconds", Rotation::ACTIVATE_AFTER_MAX)
        }
    };
    form.finish()?;
    let rotate = Rotate {
        direction,
        activate_after: activate_after.unwrap_or_default(),
        overlap: overlap.unwrap_or(Duration::from_secs(OVERLAP_SECONDS.into())),
    };
    let fresh = app.management.rotation.rotate(caller, rotate).await?;
    Ok(reply::ok(SecretJson {
        id: fresh.id,
        direction,
        secret: &fresh.text,
        created_at: fresh.created_at,
        active_from: fresh.active_from,
        old_expires_at: fresh.old_expires_at,
    }))
}

fn direction_of(name: &str) -> Result<SecretDirection, Problem> {
    match name {
        "inbound" => Ok(SecretDirection::Inbound),
        "outbound" => Ok(SecretDirection::Outbound),
        _ => Err(Problem::new(Reason::NotFound, "Secrets are `inbound` or `outbound`.")),
    }
}

fn seconds(form: &mut Form, field: &'static str, max: Duration) -> Option<Duration> {
    let seconds: u32 = form.optional(field, "a whole number from 0 to 2592000")?;
    let wanted = Duration::from_secs(seconds.into());
    form.check(field, wanted <= max, "must be a whole number from 0 to 2592000");
    Some(wanted)
}

/// Cancels a pending secret, or drops a retiring one before its end.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    NamedTwo(direction, secret): NamedTwo,
) -> Reply {
    let (direction, secret_id) = (direction_of(&direction)?, id(&secret, "secret")?);
    let known = app.management.rotation.list(caller.workspace_id).await?;
    if !known.iter().any(|(row, _)| row.id == secret_id && row.direction == direction) {
        return Err(not_found("secret"));
    }
    app.management.rotation.drop_secret(caller, secret_id).await?;
    Ok(reply::no_content())
}

/// The old URL is unknown from then on.
pub(super) async fn rotate_endpoint(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    form: Form,
) -> Reply {
    #[derive(Serialize)]
    struct EndpointJson {
        id: EndpointId,
        inbound_url: String,
        created_at: Moment,
    }
    form.finish()?;
    let (Endpoint { id, created_at, .. }, token) = app.management.rotation.rotate_endpoint(caller).await?;
    Ok(reply::ok(EndpointJson { id, inbound_url: setup::inbound_url(&app.base_url, &token), created_at }))
}

//! New signing secrets and a new inbound endpoint. Each is shown in the reply that makes it.

use std::sync::Arc;
use std::time::Duration;

use agentflow_events::Moment;
use agentflow_signature::{InboundSecret, OutboundSecret};
use axum::extract::State;
use serde::Serialize;

use super::auth::Administers;
use super::form::Form;
use super::query::{Named, bad};
use super::{App, Reply};
use crate::id::{EndpointId, SecretId, random};
use crate::reason::Reason;
use crate::record::{SecretDirection, SecretRow};
use crate::reply::{self, Problem};
use crate::setup;

const OVERLAP_SECONDS: u32 = 86_400;
const OVERLAP_SECONDS_MAX: u32 = 30 * 86_400;
/// Secrets of one direction that are accepted at the same time: a request that matches none is compared with each.
const LIVE_MAX: usize = 8;

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
        /// Until then the replaced one is accepted too; the server signs with the new one from now on.
        old_expires_at: Moment,
    }
    let (direction, text) = match direction.as_str() {
        "inbound" => {
            (SecretDirection::Inbound, InboundSecret::from_random_bytes(random()).expose().to_owned())
        }
        "outbound" => {
            (SecretDirection::Outbound, OutboundSecret::from_random_bytes(random()).expose().to_owned())
        }
        _ => return Err(Problem::new(Reason::NotFound, "Secrets are `inbound` or `outbound`.")),
    };
    let text = zeroize::Zeroizing::new(text);
    let overlap: Option<u32> = form.optional("overlap_seconds", "a whole number from 0 to 2592000");
    let overlap = overlap.unwrap_or(OVERLAP_SECONDS);
    form.check("overlap_seconds", overlap <= OVERLAP_SECONDS_MAX, "must be a whole number from 0 to 2592000");
    form.finish()?;

    let _one_at_a_time = app.changing.lock().await;
    let now = app.clock.now();
    let is_live = |row: &SecretRow| row.workspace_id == caller.workspace_id && row.direction == direction;
    if overlap > 0 && app.store.secrets(now).await?.iter().filter(|row| is_live(row)).count() >= LIVE_MAX {
        return Err(bad(format!(
            "{LIVE_MAX} secrets are accepted already; wait until one expires, or end them all with `overlap_seconds` 0."
        )));
    }
    let old_expires_at = now.plus(Duration::from_secs(overlap.into()));
    let secret = setup::secret(&app.vault, caller.workspace_id, direction, &text, now);
    let (id, created_at) = (secret.id, secret.created_at);
    app.store.rotate_secret(secret, old_expires_at, app.audit(&caller, "secret.rotate", id)).await?;
    app.publish().await?;
    Ok(reply::ok(SecretJson { id, direction, secret: &text, created_at, old_expires_at }))
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
    let (endpoint, token) = setup::endpoint(&app.vault, caller.workspace_id, app.clock.now());
    let (id, created_at) = (endpoint.id, endpoint.created_at);
    app.store.rotate_endpoint(endpoint, app.audit(&caller, "endpoint.rotate", id)).await?;
    app.publish().await?;
    Ok(reply::ok(EndpointJson { id, inbound_url: setup::inbound_url(&app.base_url, &token), created_at }))
}

//! What the first workspace begins with.

use std::path::Path;

use agentflow_events::{Moment, WorkspaceId};
use agentflow_signature::{InboundSecret, OutboundSecret};
use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::{FirstStart, absolute};
use crate::directory::credential_hash;
use crate::id::{EndpointId, SecretId, mint, random};
use crate::password;
use crate::record::{
    Actor, ApiToken, Endpoint, FactorState, Operator, Role, SecretDirection, SecretRow, Settings, Workspace,
};
use crate::store::Founding;
use crate::vault::Vault;

/// Name that the first admin signs in with.
const ADMIN_EMAIL: &str = "admin@localhost";

/// What the first API token is called.
const FIRST_TOKEN: &str = "first";

/// Mints everything, at random; the second part shows it in the clear.
pub(super) fn new(vault: &Vault, base_url: &str, certificate: &Path, now: Moment) -> (Founding, FirstStart) {
    let workspace = Workspace { id: mint(now), created_at: now, settings: Settings::default() };
    let inbound_secret = InboundSecret::from_random_bytes(random());
    let outbound_secret = OutboundSecret::from_random_bytes(random());
    let (endpoint, endpoint_token) = endpoint(vault, workspace.id, now);
    let password = password::generate();
    let admin = Operator {
        id: mint(now),
        workspace_id: workspace.id,
        email: ADMIN_EMAIL.to_owned(),
        password_hash: password::hash(&password),
        role: Role::Admin,
        created_at: now,
        invited_until: None,
        second_factor: FactorState::Off,
    };
    let actor = Actor { workspace_id: workspace.id, operator_id: admin.id };
    let (token, api_token) = api_token(actor, FIRST_TOKEN.to_owned(), Role::Admin, now);
    let secrets = [
        secret(vault, workspace.id, SecretDirection::Inbound, inbound_secret.expose(), now),
        secret(vault, workspace.id, SecretDirection::Outbound, outbound_secret.expose(), now),
    ];
    let first_start = FirstStart {
        workspace_id: workspace.id,
        inbound_url: inbound_url(base_url, &endpoint_token),
        inbound_secret: inbound_secret.expose().to_owned(),
        outbound_secret: outbound_secret.expose().to_owned(),
        api_url: api_url(base_url),
        api_token: api_token.to_string(),
        dashboard_url: dashboard_url(base_url),
        admin_email: admin.email.clone(),
        admin_password: password.to_string(),
        certificate_path: absolute(certificate),
    };
    (Founding { workspace, endpoint, secrets, admin, token }, first_start)
}

/// A fresh endpoint, and its token in the clear: 32 random bytes as base64url.
pub(crate) fn endpoint(
    vault: &Vault,
    workspace_id: WorkspaceId,
    now: Moment,
) -> (Endpoint, Zeroizing<String>) {
    let id: EndpointId = mint(now);
    let text = Zeroizing::new(Base64UrlUnpadded::encode_string(&random::<32>()));
    let token = vault.seal(&id.to_string(), &text);
    (Endpoint { id, workspace_id, token_hash: credential_hash(&text), token, created_at: now }, text)
}

/// A secret as it is kept, active at once.
pub(crate) fn secret(
    vault: &Vault,
    workspace_id: WorkspaceId,
    direction: SecretDirection,
    text: &str,
    now: Moment,
) -> SecretRow {
    let id: SecretId = mint(now);
    let secret = vault.seal(&id.to_string(), text);
    SecretRow {
        id,
        workspace_id,
        direction,
        secret,
        created_at: now,
        active_from: now,
        expires_at: None,
        uses: 0,
        last_used_at: None,
    }
}

/// Where leads are sent.
pub(crate) fn inbound_url(base_url: &str, endpoint_token: &str) -> String {
    format!("{base_url}/v1/inbound/{endpoint_token}")
}

/// Where the management API is.
pub(super) fn api_url(base_url: &str) -> String {
    format!("{base_url}/api/v1")
}

/// Where the dashboard is.
pub(super) fn dashboard_url(base_url: &str) -> String {
    format!("{base_url}/dashboard")
}

/// A fresh API token that acts for `actor`, and its text.
pub(crate) fn api_token(
    actor: Actor,
    name: String,
    role: Role,
    now: Moment,
) -> (ApiToken, Zeroizing<String>) {
    let text = Zeroizing::new(format!("aft_{}", Base64UrlUnpadded::encode_string(&random::<32>())));
    let token_hash = credential_hash(&text);
    let token = ApiToken {
        id: mint(now),
        workspace_id: actor.workspace_id,
        operator_id: actor.operator_id,
        name,
        role,
        token_hash,
        created_at: now,
        last_used_at: None,
    };
    (token, text)
}

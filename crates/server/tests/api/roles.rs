//! What each role may do.

use agentflow_server::clock::Clock;
use agentflow_server::directory::credential_hash;
use agentflow_server::id::{EndpointId, SecretId, mint, random};
use agentflow_server::record::{
    ApiToken, Endpoint, Operator, Role, SecretDirection, SecretRow, Settings, Workspace,
};
use agentflow_server::setup;
use agentflow_server::store::Founding;
use agentflow_server::vault::Vault;
use serde_json::{Value, json};

use crate::rig::{Rig, config_in};

/// A workspace whose token has this role.
fn founding(vault: &Vault, role: Role, token: &str) -> Founding {
    let now = Clock::system().now();
    let workspace = Workspace { id: mint(now), created_at: now, settings: Settings::default() };
    let admin = Operator {
        id: mint(now),
        workspace_id: workspace.id,
        email: format!("{}@localhost", role.as_str()),
        password_hash: String::new(),
        role,
        created_at: now,
    };
    let secret = |direction| {
        let id: SecretId = mint(now);
        let secret = vault.seal(&id.to_string(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        SecretRow { id, workspace_id: workspace.id, direction, secret, created_at: now, expires_at: None }
    };
    let endpoint_id: EndpointId = mint(now);
    Founding {
        endpoint: Endpoint {
            id: endpoint_id,
            workspace_id: workspace.id,
            token_hash: random(),
            token: vault.seal(&endpoint_id.to_string(), "unused"),
            created_at: now,
        },
        secrets: [secret(SecretDirection::Inbound), secret(SecretDirection::Outbound)],
        token: ApiToken {
            id: mint(now),
            workspace_id: workspace.id,
            operator_id: admin.id,
            role,
            token_hash: credential_hash(token),
            created_at: now,
        },
        workspace,
        admin,
    }
}

/// A server with one more workspace, whose token has this role.
async fn start(role: Role, token: &str) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let config = config_in(&folder);
    let home = setup::open(&config, "https://localhost", &Clock::system()).await.unwrap();
    home.store.found(founding(&home.vault, role, token)).await.unwrap();
    home.store.close().await;
    drop(home);
    Rig::start_in(folder, |_| {}).await
}

/// Each request with the least role that it needs.
fn requests() -> Vec<(&'static str, &'static str, Value, Role)> {
    let unknown = "0192f3a1c0de7b3e9d2f4a5b6c7d8e9f";
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    vec![
        ("GET", "/api/v1/leads", Value::Null, Role::Viewer),
        ("GET", "/api/v1/inbound-logs", Value::Null, Role::Viewer),
        ("GET", "/api/v1/events", Value::Null, Role::Viewer),
        ("GET", "/api/v1/deliveries", Value::Null, Role::Viewer),
        ("GET", "/api/v1/destinations", Value::Null, Role::Viewer),
        ("GET", "/api/v1/settings", Value::Null, Role::Viewer),
        (
            "POST",
            leak(format!("/api/v1/leads/lead_{unknown}/decision")),
            json!({"outcome": "approved"}),
            Role::Operator,
        ),
        ("POST", leak(format!("/api/v1/deliveries/dlv_{unknown}/resend")), Value::Null, Role::Operator),
        ("POST", "/api/v1/deliveries/resend", json!({}), Role::Operator),
        ("POST", leak(format!("/api/v1/destinations/dst_{unknown}/test")), Value::Null, Role::Operator),
        ("POST", "/api/v1/destinations", json!({}), Role::Admin),
        ("PATCH", leak(format!("/api/v1/destinations/dst_{unknown}")), json!({}), Role::Admin),
        ("DELETE", leak(format!("/api/v1/destinations/dst_{unknown}")), Value::Null, Role::Admin),
        ("PUT", "/api/v1/settings", json!({}), Role::Admin),
        ("POST", "/api/v1/secrets/inbound/rotate", Value::Null, Role::Admin),
        ("POST", "/api/v1/inbound-endpoint/rotate", Value::Null, Role::Admin),
    ]
}

#[tokio::test]
async fn a_role_may_do_what_it_may_and_no_more() {
    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        let rig = start(role, "aft_other").await;
        for (method, path, body, needed) in requests() {
            let answer = rig.call_as(Some("aft_other"), method, path, body).await;
            assert_eq!(answer.status == 403, role < needed, "{role:?} {method} {path}: {}", answer.status);
            assert_ne!(answer.status, 401);
        }
    }
}

#[tokio::test]
async fn without_a_token_that_is_known_there_is_nothing_to_see() {
    let rig = Rig::start().await;
    for (method, path, body, _) in requests() {
        for token in [None, Some("aft_unknown"), Some("")] {
            let answer = rig.call_as(token, method, path, body.clone()).await;
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            answer.expect_problem(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn another_workspace_does_not_exist() {
    let rig = start(Role::Admin, "aft_other").await;
    let body = json!({"url": "https://hooks.example.com", "event_types": ["lead.qualified"]});
    let mine = rig.call("POST", "/api/v1/destinations", body).await.expect(201);
    let receipt = rig.lead(crate::rig::lead_of("Jordan")).await;
    for path in [
        format!("/api/v1/destinations/{}", mine["id"].as_str().unwrap()),
        format!("/api/v1/leads/{}", receipt["lead_id"].as_str().unwrap()),
    ] {
        rig.get(&path).await;
        rig.call_as(Some("aft_other"), "GET", &path, Value::Null).await.expect_problem(404, "not_found");
    }
    for list in ["leads", "inbound-logs", "events", "deliveries", "destinations"] {
        let page =
            rig.call_as(Some("aft_other"), "GET", &format!("/api/v1/{list}"), Value::Null).await.expect(200);
        assert_eq!(page["items"], json!([]), "{list}");
    }
}

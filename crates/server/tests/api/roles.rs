//! What each role may do.

use agentflow_server::clock::Clock;
use agentflow_server::directory::credential_hash;
use agentflow_server::id::{EndpointId, SecretId, mint, random};
use agentflow_server::record::{
    ApiToken, Endpoint, FactorState, Operator, Role, SecretDirection, SecretRow, Settings, Workspace,
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
        invited_until: None,
        second_factor: FactorState::Off,
    };
    let secret = |direction| {
        let id: SecretId = mint(now);
        let secret = vault.seal(&id.to_string(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        SecretRow {
            id,
            workspace_id: workspace.id,
            direction,
            secret,
            created_at: now,
            active_from: now,
            expires_at: None,
            uses: 0,
            last_used_at: None,
        }
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
            name: "first".to_owned(),
            role,
            token_hash: credential_hash(token),
            created_at: now,
            last_used_at: None,
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

/// Who may make a request: whoever asks, or the least role.
type Needed = Option<Role>;

/// Every operation of the contract. A route that is missing here fails the test below.
fn operations() -> Vec<(&'static str, &'static str, Value, Needed)> {
    let (open, viewer, operator, admin) = (None, Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin));
    vec![
        ("POST", "/v1/inbound/{endpoint_token}", Value::Null, open),
        ("GET", "/api/v1/leads", Value::Null, viewer),
        ("GET", "/api/v1/leads/{id}", Value::Null, viewer),
        ("POST", "/api/v1/leads/{id}/decision", json!({"outcome": "approved"}), operator),
        ("GET", "/api/v1/inbound-logs", Value::Null, viewer),
        ("GET", "/api/v1/operational-logs", Value::Null, viewer),
        ("GET", "/api/v1/audit", Value::Null, admin),
        ("GET", "/api/v1/events", Value::Null, viewer),
        ("GET", "/api/v1/events/{id}", Value::Null, viewer),
        ("GET", "/api/v1/deliveries", Value::Null, viewer),
        ("GET", "/api/v1/deliveries/{id}", Value::Null, viewer),
        ("POST", "/api/v1/deliveries/{id}/resend", Value::Null, operator),
        ("POST", "/api/v1/deliveries/{id}/cancel", Value::Null, operator),
        ("POST", "/api/v1/deliveries/resend", json!({}), operator),
        ("POST", "/api/v1/deliveries/cancel", json!({}), operator),
        ("GET", "/api/v1/destinations", Value::Null, viewer),
        ("GET", "/api/v1/destinations/{id}", Value::Null, viewer),
        ("POST", "/api/v1/destinations", json!({}), admin),
        ("PATCH", "/api/v1/destinations/{id}", json!({}), admin),
        ("DELETE", "/api/v1/destinations/{id}", Value::Null, admin),
        ("POST", "/api/v1/destinations/{id}/test", Value::Null, operator),
        ("POST", "/api/v1/destinations/{id}/pause", Value::Null, operator),
        ("POST", "/api/v1/destinations/{id}/resume", Value::Null, operator),
        ("GET", "/api/v1/settings", Value::Null, viewer),
        ("PUT", "/api/v1/settings", json!({}), admin),
        ("GET", "/api/v1/secrets", Value::Null, viewer),
        ("POST", "/api/v1/secrets/{direction}/rotate", Value::Null, admin),
        ("DELETE", "/api/v1/secrets/{direction}/{id}", Value::Null, admin),
        ("POST", "/api/v1/inbound-endpoint/rotate", Value::Null, admin),
        ("GET", "/api/v1/tokens", Value::Null, admin),
        ("POST", "/api/v1/tokens", json!({}), admin),
        ("DELETE", "/api/v1/tokens/{id}", Value::Null, admin),
        ("GET", "/api/v1/operators", Value::Null, admin),
        ("POST", "/api/v1/operators", json!({}), admin),
        ("GET", "/api/v1/operators/{id}", Value::Null, admin),
        ("PATCH", "/api/v1/operators/{id}", json!({}), admin),
        ("DELETE", "/api/v1/operators/{id}", Value::Null, admin),
        ("POST", "/api/v1/operators/{id}/invitation", Value::Null, admin),
        ("POST", "/api/v1/invitations/accept", json!({}), open),
        ("GET", "/api/v1/openapi.json", Value::Null, open),
        ("GET", "/healthz", Value::Null, open),
        ("GET", "/readyz", Value::Null, open),
        ("GET", "/metrics", Value::Null, open),
    ]
}

/// The path with the id of something that is not there.
fn path_of(template: &str) -> String {
    let kinds =
        ["leads:lead", "events:evt", "deliveries:dlv", "destinations:dst", "tokens:tok", "operators:op"];
    let kind = kinds.iter().find_map(|kind| {
        let (name, prefix) = kind.split_once(':').unwrap();
        template.contains(&format!("/{name}/")).then_some(prefix)
    });
    let id = format!("{}_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f", kind.unwrap_or("sec"));
    template.replace("{direction}", "inbound").replace("{endpoint_token}", "unknown").replace("{id}", &id)
}

#[tokio::test]
async fn a_role_may_do_what_it_may_and_no_more() {
    let rig = Rig::start().await;
    let mut listed: Vec<_> =
        operations().iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    let mut served = rig.contract.operations();
    listed.sort();
    served.sort();
    assert_eq!(listed, served, "every operation has its row here");

    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        let asked = json!({"name": role.as_str(), "role": role.as_str()});
        let token = rig.call("POST", "/api/v1/tokens", asked).await.expect(201);
        let token = token["secret"].as_str();
        for (method, path, body, needed) in operations() {
            let answer = rig.call_as(token, method, &path_of(path), body).await;
            let refused = needed.is_some_and(|needed| role < needed);
            assert_eq!(answer.status == 403, refused, "{role:?} {method} {path}: {}", answer.status);
            assert_ne!(answer.status, 401, "{role:?} {method} {path}");
        }
    }
}

#[tokio::test]
async fn without_a_token_that_is_known_there_is_nothing_to_see() {
    let rig = Rig::start().await;
    for (method, path, body, needed) in operations() {
        for token in [None, Some("aft_unknown"), Some("")] {
            let answer = rig.call_as(token, method, &path_of(path), body.clone()).await;
            if needed.is_none() {
                assert_ne!(answer.status, 401, "{method} {path}");
                continue;
            }
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{method} {path}");
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
    for list in ["leads", "inbound-logs", "operational-logs", "events", "deliveries", "destinations", "audit"]
    {
        let page =
            rig.call_as(Some("aft_other"), "GET", &format!("/api/v1/{list}"), Value::Null).await.expect(200);
        assert_eq!(page["items"], json!([]), "{list}");
    }
}
